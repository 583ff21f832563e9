# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of network interfaces that a user may write."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show

# What the names of our own bridges start with: br-<network>.
OWN_BRIDGE = "br-"

# IFNAMSIZ - 1, linux/if.h.
_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,15}")
# all and default are taken in /proc/sys/net/*/conf.
_TAKEN = frozenset((".", "..", "lo", "all", "default"))
_BRIDGE_ALLOWED = "1 to 15 of A-Z a-z 0-9 _ . -, not starting with -, not lo, all, default, . or .."
_ALLOWED = _BRIDGE_ALLOWED.replace("starting with -", f"starting with - or {OWN_BRIDGE}")


def refusal(name: str, bridge: bool = False) -> str:
    """Why no interface may be called so, "" where it may. bridge: whether it is a bridge, which may start with br-."""
    if not _NAME.fullmatch(name) or name in _TAKEN or (not bridge and name.startswith(OWN_BRIDGE)):
        return f"{show(name)} is not allowed: {_BRIDGE_ALLOWED if bridge else _ALLOWED}"
    return ""


def read_names(report: Report, path: str, value: Any) -> tuple[str, ...]:
    """Read a list of names of interfaces that are no bridges."""
    return fields.each(report, path, value, lambda at, item: _name(report, at, item))


def _name(report: Report, path: str, item: Any) -> str | None:
    if not isinstance(item, str):
        report.add(path, f"{show(item)} is not the name of an interface")
        return None
    reason = refusal(item)
    if reason:
        report.add(path, reason)
        return None
    return fields.plain(item)
