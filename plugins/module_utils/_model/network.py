# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: what a user may write in vpc_networks.

A network with `bridge` is flat: it lives on a bridge that others made, and its gateway is outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields, guest_settings, ifname
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.acl import Acl, read_acl
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_address,
    parse_ipv4,
    parse_ipv6,
    special,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.guest_settings import GuestSettings
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.public import HELPERS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule_read import Names

SECTION = "vpc_networks"
SWITCHING = ("isolated", "bridged")
MAC_SCHEMES = ("address", "random")

_KEYS = frozenset(
    (
        "name",
        "vpc",
        "cidr",
        "cidr6",
        "gateway",
        "bridge_address",
        "nat",
        "local_switching",
        "bridge",
        "uplinks",
        "gateway6",
        "log_drops",
        "acl",
        "nat_helpers",
        "mac_scheme",
        *guest_settings.KEYS,
    ),
)
_REQUIRED = frozenset(("name",))
# An interface name has at most 15 characters, and the bridge is OWN_BRIDGE and the name.
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,11}")
_NAME_ALLOWED = "1 to 12 of a-z 0-9 _ -, not starting with -"
# Keys of the networks that are ours to build, and of flat ones.
_OURS = ("bridge_address", "local_switching")
_OTHERS = ("uplinks", "gateway6")
_LENGTHS = {4: (8, 30), 6: (8, 126)}


@dataclass(frozen=True)
class Network:
    """A network. path: where it was written; no part of its identity.

    gateway, bridge_address: addresses in cidr, None without cidr. local_switching: "isolated" or "bridged". log_drops:
    whether what the guard drops is logged. Flat networks only: bridge, its ports to the outside (uplinks) and the IPv6
    gateway; these have no bridge_address, and local_switching says nothing. acl: its network ACL. nat_helpers: of
    public.HELPERS, for what its guests ask of the internet. guests: what they are told.
    mac_scheme: of MAC_SCHEMES, what MACs that are left out follow from: the address, or else the guest's name.
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
    bridge: str | None = None
    uplinks: tuple[str, ...] = ()
    gateway6: int | None = None
    log_drops: bool = False
    acl: Acl | None = None
    nat_helpers: tuple[str, ...] = ()
    guests: GuestSettings = field(default_factory=GuestSettings)
    mac_scheme: str = MAC_SCHEMES[0]

    @property
    def flat(self) -> bool:
        return self.bridge is not None


class Place:
    """What the check of an interface needs of its network, also where parts of the network are refused.

    low, high, reserved: of a family, what a guest may have; reserved says whose an address is. Without the family
    nothing passes; where its prefix is refused all does, since one mistake is to be reported once. interfaces: how many
    refer to the network; without: how many of these want no address, by family. bridge, uplinks: where readable.
    """

    __slots__ = (
        "bridge",
        "cidr",
        "flat",
        "guests",
        "high",
        "high6",
        "interfaces",
        "low",
        "low6",
        "name",
        "path",
        "reserved",
        "reserved6",
        "uplinks",
        "without",
    )

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self.name = name
        self.flat = False
        self.cidr: dict[int, Prefix | None] = {4: None, 6: None}
        self.low, self.high = 0, -1
        self.low6, self.high6 = 0, -1
        self.reserved: dict[int, str] = {}
        self.reserved6: dict[int, str] = {}
        self.bridge: str | None = None
        self.uplinks: tuple[str, ...] = ()
        self.interfaces = 0
        self.without = {4: 0, 6: 0}
        self.guests = GuestSettings()

    def refusal(self, family: int, address: int) -> str:
        """Why a guest cannot have an address that is not between low and high, or reserved."""
        word = format_address(family, address)
        reserved = self.reserved if family == 4 else self.reserved6
        if address in reserved:
            return f"{word} is {reserved[address]}"
        key = "cidr" if family == 4 else "cidr6"
        cidr = self.cidr[family]
        if cidr is None:
            return f"{word} is given, but {self.path} has no {key}"
        where = f"{self.path}.{key} {cidr.text}"
        if not cidr.contains(address):
            return f"{word} is outside {where}"
        if address == cidr.first:
            return f"{word} is the {'network' if family == 4 else 'subnet-router anycast'} address of {where}"
        return f"{word} is the broadcast address of {where}"


@dataclass
class Networks:
    """What is known of the networks, also where some of them are refused.

    networks: those without a mistake of their own. places: by name, also of the refused ones.
    complete: False where a network's name could not be read. prefixes: (prefix, index) that are usable. flat: by index.
    claimed: what interfaces of flat networks' hosts are, by name: "the bridge of ...".
    """

    networks: list[Network] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    complete: bool = True
    prefixes: dict[int, list[tuple[Prefix, int]]] = field(default_factory=lambda: {4: [], 6: []})
    flat: dict[int, Place] = field(default_factory=dict)
    claimed: dict[str, str] = field(default_factory=dict)

    @property
    def routed(self) -> bool:
        """Whether there is a network that needs a router."""
        return any(not place.flat for place in self.places.values())


def read_networks(report: Report, raw: Any, names: Names) -> Networks:
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
        place.flat = "bridge" in item
        if place.flat:
            found.flat[index] = place
        network = _network(report, place, item, names)
        for family, cidr in place.cidr.items():
            if cidr is not None:
                found.prefixes[family].append((cidr, index))
        if len(report.errors) == before:
            found.networks.append(network)
    return found


def _network(report: Report, place: Place, item: Mapping[str, Any], names: Names) -> Network:
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
    gateway, bridge_address = _gateways(report, place, item)
    gateway6 = _flat(report, place, item) if place.flat else None
    for key in _OURS if place.flat else _OTHERS:
        if key in item:
            report.add(f"{path}.{key}", "cannot be combined with bridge" if place.flat else "needs bridge")
    nat = fields.flag(report, path, item, "nat")
    if nat and place.flat:
        report.add(f"{path}.nat", "true cannot be combined with bridge: the gateway is outside")
    switching = SWITCHING[0] if place.flat else fields.choice(report, path, item, "local_switching", SWITCHING)
    log_drops = fields.flag(report, path, item, "log_drops")
    acl = read_acl(report, f"{path}.acl", item["acl"], names) if "acl" in item else None
    if place.flat and "acl" in item:
        report.add(f"{path}.acl", "cannot be combined with bridge: the way in and out is outside")
    helpers = _helpers(report, path, item, nat) if "nat_helpers" in item else ()
    if helpers and "cidr" not in item:
        report.add(f"{path}.nat_helpers", "needs cidr: they are for IPv4")
    guests = place.guests = guest_settings.read_guest_settings(report, place, item, bridge_address)
    return Network(
        path,
        place.name,
        vpc,
        cidr,
        cidr6,
        gateway,
        bridge_address,
        nat,
        switching,
        place.bridge,
        place.uplinks,
        gateway6,
        log_drops,
        acl,
        helpers,
        guests,
        fields.choice(report, path, item, "mac_scheme", MAC_SCHEMES),
    )


def _helpers(report: Report, path: str, item: Mapping[str, Any], nat: bool) -> tuple[str, ...]:
    """The protocols, in the order of HELPERS, whose replies NAT shall follow."""

    def read(at: str, value: Any) -> str | None:
        if isinstance(value, str) and value in HELPERS:
            return fields.plain(value)
        hint = report.hint(value, HELPERS) if isinstance(value, str) else ""
        report.add(at, f"{show(value)} is not allowed: {', '.join(HELPERS)}{hint}")
        return None

    found = fields.each(report, f"{path}.nat_helpers", item["nat_helpers"], read)
    if found and not nat and not item.get("nat"):
        report.add(f"{path}.nat_helpers", "needs nat: true")
    return tuple(helper for helper in HELPERS if helper in found)


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


def _gateways(report: Report, place: Place, item: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Read gateway and bridge_address, by default the first and the second usable address."""
    cidr = place.cidr[4]
    chosen: dict[str, int | None] = {"gateway": None, "bridge_address": None}
    for offset, key in enumerate(("gateway",) if place.flat else chosen):
        address = fields.address(report, place.path, item, key, parse_ipv4)
        if address is not None and not place.low <= address <= place.high:
            report.add(f"{place.path}.{key}", place.refusal(4, address).replace(f"{place.path}.", ""))
            address = None
        elif address is None and cidr is not None and key not in item:
            address = cidr.first + 1 + offset
        chosen[key] = address
    gateway, bridge = chosen.values()
    if gateway is not None and gateway == bridge:
        key, other = ("bridge_address", "gateway") if "bridge_address" in item else ("gateway", "bridge_address")
        default = "" if other in item else ", by default"
        report.add(f"{place.path}.{key}", f"{format_address(4, gateway)} is the {other} as well{default}")
    if cidr is not None:
        for key, address in chosen.items():
            if address is not None:
                place.reserved.setdefault(address, f"the {key} of {place.path}")
    return gateway, bridge


def _flat(report: Report, place: Place, item: Mapping[str, Any]) -> int | None:
    """Read what only a flat network has; gives its gateway6."""
    path = place.path
    bridge = fields.text(report, path, item, "bridge")
    if bridge is not None:
        reason = ifname.refusal(bridge, bridge=True)
        if reason:
            report.add(f"{path}.bridge", reason)
        else:
            place.bridge = bridge
    if "uplinks" in item:
        place.uplinks = ifname.read_names(report, f"{path}.uplinks", item["uplinks"])
    address = fields.address(report, path, item, "gateway6", parse_ipv6)
    if address is None:
        return None
    if not place.low6 <= address <= place.high6:
        report.add(f"{path}.gateway6", place.refusal(6, address).replace(f"{path}.", ""))
        return None
    place.reserved6[address] = f"the gateway6 of {path}"
    return address
