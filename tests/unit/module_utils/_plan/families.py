# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and guests with IPv4, with IPv6 and with both, made of those that have both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FAMILIES: dict[str, tuple[int, ...]] = {"IPv4-only": (4,), "IPv6-only": (6,), "dual": (4, 6)}
_KEYS = {4: ("cidr", "gateway", "bridge_address", "nat_helpers", "address"), 6: ("cidr6", "gateway6", "address6")}


def only(families: Iterable[int], items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Networks, or guests, without what they have of other families."""
    missing = {key for family in {4, 6}.difference(families) for key in _KEYS[family]}
    return [{key: value for key, value in item.items() if key not in missing} for item in items]
