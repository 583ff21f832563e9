# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: what a user may write in vpc_networks."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_address,
    parse_ipv4,
    special,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show

SECTION = "vpc_networks"
SWITCHING = ("isolated", "bridged")

_KEYS = frozenset(
    ("name", "vpc", "cidr", "cidr6", "gateway", "bridge_address", "nat", "local_switching"),
)
_REQUIRED = frozenset(("name",))
# An interface name has at most 15 characters, and the bridge is br-<name>.
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,11}")
_NAME_ALLOWED = "1 to 12 of a-z 0-9 _ -, not starting with -"
_LENGTHS = {4: (8, 30), 6: (8, 126)}
_NOTHING: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Network:
    """A network. path: where it was written; no part of its identity.

    gateway, bridge_address: addresses in cidr, None without cidr. local_switching: "isolated" or "bridged".
    """

    path: str = field(compare=False)
    name: str
    vpc: str
    cidr: Prefix | None
    cidr6: Prefix | None
    gateway: int | None
    bridge_address: int | None
    nat: bool
    local_switching: str


class Place:
    """What the check of an interface needs of its network, also where parts of the network are refused.

    low, high, reserved: of a family, what a guest may have. Without the family nothing passes; where its prefix is
    refused all does, since one mistake is to be reported once. interfaces: how many refer to the network.
    """

    __slots__ = ("bridge", "cidr", "gateway", "high", "high6", "interfaces", "low", "low6", "name", "path", "reserved")

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self.name = name
        self.cidr: dict[int, Prefix | None] = {4: None, 6: None}
        self.low, self.high, self.reserved = 0, -1, _NOTHING
        self.low6, self.high6 = 0, -1
        self.gateway: int | None = None
        self.bridge: int | None = None
        self.interfaces = 0

    def refusal(self, family: int, address: int) -> str:
        """Why a guest cannot have an address that is not between low and high, or reserved."""
        word = format_address(family, address)
        key = "cidr" if family == 4 else "cidr6"
        cidr = self.cidr[family]
        if cidr is None:
            return f"{word} is given, but {self.path} has no {key}"
        where = f"{self.path}.{key} {cidr.text}"
        if not cidr.contains(address):
            return f"{word} is outside {where}"
        if address == cidr.first:
            return f"{word} is the {'network' if family == 4 else 'subnet-router anycast'} address of {where}"
        if address == cidr.last:
            return f"{word} is the broadcast address of {where}"
        return f"{word} is the {'gateway' if address == self.gateway else 'bridge_address'} of {self.path}"


@dataclass
class Networks:
    """What is known of the networks, also where some of them are refused.

    networks: those without a mistake of their own. places: by name, also of the refused ones.
    complete: False where a network's name could not be read. prefixes: (prefix, index) that are usable.
    """

    networks: list[Network] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    complete: bool = True
    prefixes: dict[int, list[tuple[Prefix, int]]] = field(default_factory=lambda: {4: [], 6: []})


def read_networks(report: Report, raw: Any) -> Networks:
    """Read the list `vpc_networks`, each item by itself, and compare their names."""
    found = Networks()
    items = fields.sequence(report, SECTION, raw)
    found.complete = items is raw
    for index, value in enumerate(items):
        path = f"{SECTION}[{index}]"
        before = len(report.errors)
        item = fields.mapping(report, path, value, _KEYS, _REQUIRED)
        name = None if item is None else fields.text(report, path, item, "name")
        place = Place(path, name or "")
        if name is None:
            found.complete = False
        elif name in found.places:
            report.add(f"{path}.name", f"{show(name)} is already the name of {found.places[name].path}")
        else:
            found.places[name] = place
            if not _NAME.fullmatch(name):
                report.add(f"{path}.name", f"{show(name)} is not allowed: {_NAME_ALLOWED}")
        if item is None:
            continue
        network = _network(report, place, item)
        for family, cidr in place.cidr.items():
            if cidr is not None:
                found.prefixes[family].append((cidr, index))
        if len(report.errors) == before:
            found.networks.append(network)
    return found


def _network(report: Report, place: Place, item: Mapping[str, Any]) -> Network:
    """Read what depends on no other network; the result counts only where nothing was reported."""
    path = place.path
    vpc = fields.text(report, path, item, "vpc")
    if vpc is None:
        vpc = "default"
    elif not _NAME.fullmatch(vpc):
        report.add(f"{path}.vpc", f"{show(vpc)} is not allowed: {_NAME_ALLOWED}")
    cidr = _cidr(report, place, item, "cidr", 4)
    cidr6 = _cidr(report, place, item, "cidr6", 6)
    if "cidr" not in item and "cidr6" not in item:
        report.add(f"{path}.cidr", "is missing: a network has cidr, cidr6 or both")
        place.high, place.high6 = 1 << 32, 1 << 128
    _gateway(report, place, item)
    nat = fields.flag(report, path, item, "nat")
    switching = fields.choice(report, path, item, "local_switching", SWITCHING)
    return Network(path, place.name, vpc, cidr, cidr6, place.gateway, place.bridge, nat, switching)


def _cidr(report: Report, place: Place, item: Mapping[str, Any], key: str, family: int) -> Prefix | None:
    cidr = fields.prefix(report, place.path, item, key, family)
    if cidr is not None:
        low, high = _LENGTHS[family]
        meaning = special(cidr)
        if not low <= cidr.length <= high:
            report.add(f"{place.path}.{key}", f"{cidr.text} is not allowed: prefix length {low} to {high}")
            cidr = None
        elif meaning:
            report.add(f"{place.path}.{key}", f"{cidr.text} is not allowed: it overlaps {meaning}")
            cidr = None
    place.cidr[family] = cidr
    refused = cidr is None and key in item
    if family == 4:
        if cidr is not None:
            place.low, place.high = cidr.first + 1, cidr.last - 1
        elif refused:
            place.high = 1 << 32
    elif cidr is not None:
        place.low6, place.high6 = cidr.first + 1, cidr.last
    elif refused:
        place.high6 = 1 << 128
    return cidr


def _gateway(report: Report, place: Place, item: Mapping[str, Any]) -> None:
    """Read gateway and bridge_address, by default the first and the second usable address."""
    cidr = place.cidr[4]
    chosen: list[int | None] = []
    for offset, key in enumerate(("gateway", "bridge_address")):
        address = fields.address(report, place.path, item, key, parse_ipv4)
        if address is not None and not place.low <= address <= place.high:
            report.add(f"{place.path}.{key}", place.refusal(4, address).replace(f"{place.path}.", ""))
            address = None
        elif address is None and cidr is not None and key not in item:
            address = cidr.first + 1 + offset
        chosen.append(address)
    gateway, bridge = chosen
    if gateway is not None and gateway == bridge:
        key, other = ("bridge_address", "gateway") if "bridge_address" in item else ("gateway", "bridge_address")
        default = "" if other in item else ", by default"
        report.add(f"{place.path}.{key}", f"{format_address(4, gateway)} is the {other} as well{default}")
    place.gateway, place.bridge = gateway, bridge
    if cidr is not None:
        place.reserved = frozenset(address for address in chosen if address is not None)


def check_overlaps(report: Report, found: Networks) -> None:
    """Report, at the later of them, networks that overlap: a router has one table for all VPCs."""
    for family, key in ((4, "cidr"), (6, "cidr6")):
        prefixes = found.prefixes[family]
        texts = {index: prefix for prefix, index in prefixes}
        others: dict[int, list[int]] = {}
        for one, two in _overlaps(prefixes):
            others.setdefault(max(one, two), []).append(min(one, two))
        for index, earlier in others.items():
            first = min(earlier)
            more = f" and {len(earlier) - 1} more" if len(earlier) > 1 else ""
            report.add(
                f"{SECTION}[{index}].{key}",
                f"{texts[index].text} overlaps {SECTION}[{first}].{key} {texts[first].text}{more}",
            )


def _overlaps(prefixes: Sequence[tuple[Prefix, int]]) -> list[tuple[int, int]]:
    """Pairs of indexes of overlapping prefixes; of several equal prefixes only the first stands for the others.

    Two prefixes are disjoint or nested, so in sorted order whatever encloses a prefix is on a short stack.
    """
    pairs: list[tuple[int, int]] = []
    stack: list[tuple[int, int, int]] = []
    for prefix, index in sorted(prefixes):
        base, last = prefix.base, prefix.last
        while stack and stack[-1][1] < base:
            stack.pop()
        pairs.extend((index, other) for start, end, other in stack)
        if not stack or stack[-1][:2] != (base, last):
            stack.append((base, last, index))
    return pairs


def check_underlay(report: Report, found: Networks, underlay: Mapping[int, list[tuple[int, str]]]) -> None:
    """Report networks that contain a host's own address: guests would take the hosts' traffic."""
    for family, key in ((4, "cidr"), (6, "cidr6")):
        hosts = sorted(underlay[family])
        for prefix, index in found.prefixes[family]:
            at = bisect_left(hosts, (prefix.first, ""))
            end = bisect_left(hosts, (prefix.last + 1, ""))
            if at < end:
                address, path = hosts[at]
                more = f" and {end - at - 1} more" if end - at > 1 else ""
                report.add(
                    f"{SECTION}[{index}].{key}",
                    f"{prefix.text} contains {path} {format_address(family, address)}{more}",
                )


def check_space(report: Report, found: Networks) -> None:
    """Report networks with more interfaces than addresses: those left out are allocated from what is free."""
    for place in found.places.values():
        cidr, cidr6 = place.cidr[4], place.cidr[6]
        # Network and broadcast address, gateway and bridge; the subnet-router anycast address.
        for key, prefix, taken in (("cidr", cidr, 4), ("cidr6", cidr6, 1)):
            if prefix is not None and place.interfaces > prefix.size - taken:
                report.add(
                    f"{place.path}.{key}",
                    f"{prefix.text} has {prefix.size - taken} addresses for guests, {place.interfaces} are needed",
                )
