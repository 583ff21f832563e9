# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file: what was given to guests and networks where the inventory leaves it out. To text and back.

One object is one line. The lines of a network are in order of address, not of guest: where two branches give one
address to two guests, both insert a line at the same place, and git reports a conflict that shows both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Union

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_ipv4, format_ipv6

FORMAT = 1
NETWORK, GUEST, FREED = "network", "guest", "freed"
# In place of what the inventory says itself, or what there is none of.
NONE = "-"
HEADER = f"""\
# Addresses, MACs and table ids that plainlinux.vpc allocated where the inventory leaves them out.
# Commit this file with the inventory. It is written by the playbooks site and lock.
# After a merge conflict keep the lines of both sides: what clashes is refused with what to do.
#
# {NETWORK} NAME PREFIX PREFIX6 TABLE BRIDGE-MAC
# {GUEST} NETWORK ADDRESS ADDRESS6 MAC GUEST NUMBER    GUEST#2 is its second interface in the network
# {FREED} NETWORK ADDRESS ADDRESS6 MAC GUEST NUMBER    kept for this guest, and from others for a while
# NUMBER counts the allocations of addresses in a network; {NONE} stands for what is not allocated.
format {FORMAT}
"""


# What orders lines without an IPv4 address.
_Rest = Union[tuple[()], tuple[int, str, str, int]]


class Allocation(NamedTuple):
    """What one interface of a guest was given; None where nothing was.

    ordinal: its place among the guest's interfaces in the network, from 1 on. number: which allocation of an address in
    the network it was, 0 without an address; of a freed one, how many there had been when it was freed. line: in the
    file, 0 for a new one. text: the line, "" for a new one.
    """

    network: str
    address: int | None
    address6: int | None
    mac: str | None
    guest: str
    ordinal: int
    number: int
    line: int = 0
    text: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        return self.network, self.guest, self.ordinal

    @property
    def owner(self) -> str:
        """The interface as the file names it."""
        return self.guest if self.ordinal == 1 else f"{self.guest}#{self.ordinal}"


class LockedNetwork(NamedTuple):
    """A network as it was when it was written. table, mac: of its bridge; None where the bridge is others'."""

    name: str
    cidr: Prefix | None
    cidr6: Prefix | None
    table: int | None
    mac: str | None
    line: int = 0


@dataclass(frozen=True)
class Lock:
    """A lock file. name: for messages. guests: what is in use. freed: what was in use, by whom."""

    name: str = "vpc-lock.txt"
    networks: dict[str, LockedNetwork] = field(default_factory=dict)
    guests: tuple[Allocation, ...] = ()
    freed: tuple[Allocation, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is allocated."""
        return bool(self.networks or self.guests or self.freed)


def render(lock: Lock) -> str:
    """The text of the file. Equal locks have the same, in whatever order their lines are."""
    parts = [HEADER]
    by_network: dict[str, list[tuple[int, _Rest, str]]] = {name: [] for name in lock.networks}
    for kind, items in ((GUEST, lock.guests), (FREED, lock.freed)):
        for item in items:
            # In order of address; those without one come last. No address is there twice.
            address, rest = (item.address, ()) if item.address is not None else (1 << 32, _rest(item))
            by_network.setdefault(item.network, []).append((address, rest, item.text or _text(kind, item)))
    for name in sorted(by_network):
        parts.append("\n")
        if name in lock.networks:
            parts.append(_network_text(lock.networks[name]))
        by_network[name].sort()
        parts.extend([f"{text}\n" for _address, _order, text in by_network[name]])
    return "".join(parts)


def _rest(item: Allocation) -> _Rest:
    """The place of a line without an IPv4 address: by IPv6 address, then by MAC."""
    return item.address6 if item.address6 is not None else 1 << 128, item.mac or "", item.guest, item.ordinal


def _text(kind: str, item: Allocation) -> str:
    address = format_ipv4(item.address) if item.address is not None else NONE
    address6 = format_ipv6(item.address6) if item.address6 is not None else NONE
    return f"{kind} {item.network} {address} {address6} {item.mac or NONE} {item.owner} {item.number}"


def _network_text(network: LockedNetwork) -> str:
    words = (
        network.cidr.text if network.cidr is not None else NONE,
        network.cidr6.text if network.cidr6 is not None else NONE,
        str(network.table) if network.table is not None else NONE,
        network.mac or NONE,
    )
    return f"{NETWORK} {network.name} {' '.join(words)}\n"
