# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guests of a network are told, in the plan's summary."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_address, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network


def guests_get(network: Network) -> dict[str, Any]:
    """The network's settings for guests, as JSON has them."""
    guests = network.guests
    return {
        "dhcp": guests.dhcp,
        "ipv6_addressing": guests.ipv6_addressing,
        "bridge_address6": None if guests.bridge_address6 is None else format_ipv6(guests.bridge_address6),
        "dns": list(guests.dns),
        "domain": guests.domain,
        "search": list(guests.search),
        "mtu": guests.mtu,
        "routes": [{"to": to.text, "via": format_address(to.family, via)} for to, via in guests.routes],
    }
