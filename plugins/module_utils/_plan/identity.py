# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and numbers that follow from other names: the same on every host and in every run.

All derivations hash the name, so that adding or removing one object never renames another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.ifname import OWN_BRIDGE

# Route table ids: a range of ours far from what people and daemons choose by hand.
TABLE_BASE = 1_000_000_000
TABLE_SIZE = 1_000_000_000
# One priority for all our rules: each matches its own bridge only, so their order does not matter.
RULE_PRIORITY = 20000
# The gateway of every IPv6 guest: link-local, so that one address serves every bridge.
GATEWAY6 = "fe80::1"
INTERFACE_NAME_MAX = 15  # IFNAMSIZ - 1, linux/if.h

_VIF = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def _digest(kind: str, name: str) -> bytes:
    return hashlib.sha256(f"{kind} {name}".encode()).digest()


def bridge_name(network: str) -> str:
    return f"{OWN_BRIDGE}{network}"


def bridge_mac(network: str, attempt: int = 0) -> str:
    """A locally administered MAC, the same on every hypervisor: a guest that moves keeps its gateway entry."""
    return "02:" + _digest("bridge", f"{network} {attempt}" if attempt else network)[:5].hex(":")


def table_name(network: str) -> str:
    """The table's name for people, in rt_tables.d."""
    return f"vpc-{network}"


def is_table(number: int) -> bool:
    """Whether a route table is in our range: others' are never ours to write."""
    return TABLE_BASE <= number < TABLE_BASE + TABLE_SIZE


def table_ids(networks: Iterable[str], given: Mapping[str, int] | None = None) -> dict[str, int]:
    """Route table id of each network. Equal hashes are told apart in order of name.

    given: ids that networks have already.
    """
    ids = dict(given or {})
    taken = set(ids.values())
    for name in sorted(networks):
        if name not in ids:
            offset = int.from_bytes(_digest("table", name)[:8], "big") % TABLE_SIZE
            while TABLE_BASE + offset in taken:
                offset = (offset + 1) % TABLE_SIZE
            ids[name] = TABLE_BASE + offset
            taken.add(ids[name])
    return ids


def short(vpc: str) -> str:
    """A VPC's name within the names of sets, whose alphabet and length are narrower."""
    return _digest("vpc", vpc).hex()[:8]


def vif_name(instance: str, index: int) -> str:
    """Host-side interface of a guest's interface where the inventory names none."""
    name = f"{instance}.{index}"
    if len(name) <= INTERFACE_NAME_MAX and _VIF.fullmatch(name):
        return name
    return f"v{_digest('vif', instance).hex()[:10]}.{index}"


def mac_of_address(address: int) -> str:
    """The last three octets of the IPv4 address behind QEMU's prefix, readable in a neighbour table."""
    return f"52:54:00:{address >> 16 & 255:02x}:{address >> 8 & 255:02x}:{address & 255:02x}"


def mac_of_address6(address: int) -> str:
    """A locally administered MAC for an interface without IPv4."""
    return "02:" + _digest("mac", str(address))[:5].hex(":")


def mac_of_guest(instance: str, index: int, attempt: int = 0) -> str:
    """A locally administered MAC that says nothing of the address, and stays when that changes."""
    return "02:" + _digest("guest", f"{instance} {index} {attempt}")[:5].hex(":")


def preferred_offset(instance: str, index: int, size: int) -> int:
    """Where in a range of size addresses the search for a free one starts."""
    return int.from_bytes(_digest("address", f"{instance} {index}")[:8], "big") % size
