# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances: what a user may write in vpc_instances. The one part with 100,000 items, so its checks cost little."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields, ifname
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    check_mac,
    format_ipv4,
    format_ipv6,
    parse_ipv4,
    parse_ipv6,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Hosts
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import Source
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Networks, Place
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.permission import (
    Pair,
    read_allowed_addresses,
    read_allowed_pairs,
    read_roles,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule_read import Names
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group import DEFAULT

SECTION = "vpc_instances"

_INTERFACE = ("network", "address", "address6", "mac", "vif", "allowed_addresses", "allowed_pairs", "roles")
_GROUPS = "security_groups"
_INTERFACE_KEYS = frozenset((*_INTERFACE, _GROUPS))
_KEYS = frozenset(("name", "hypervisor", "interfaces", *_INTERFACE_KEYS))
_REQUIRED = frozenset(("name", "hypervisor"))
_NETWORK = frozenset(("network",))
# Part of the name of a network namespace, which is a file name.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?")
_NAME_ALLOWED = "1 to 40 of a-z 0-9 . _ -, first and last a letter or digit"
# In place of an address: the interface has none of that family, and is given none.
NONE = "none"
_FAMILIES: tuple[int, ...] = (4, 6)


class Interface(NamedTuple):
    """An interface of an instance. path: where it was written; no part of its identity.

    address, address6, mac (lower case with colons), vif (name on the hypervisor): None where left out.
    allowed_addresses, allowed_pairs, roles: what it may send besides; see permission.py. families: those of which it
    has, or is given, an address where its network has a prefix. security_groups: in the order that decides; the
    instance's where the interface has no such key, the default group's where that is none, else ().
    """

    path: str
    network: str
    address: int | None
    address6: int | None
    mac: str | None
    vif: str | None
    allowed_addresses: tuple[Prefix, ...] = ()
    allowed_pairs: tuple[Pair, ...] = ()
    roles: tuple[str, ...] = ()
    families: tuple[int, ...] = _FAMILIES
    security_groups: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Interface) and self[1:] == other[1:]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[1:])


class Instance(NamedTuple):
    """A guest. path: where it was written; no part of its identity. interfaces: at least one.

    security_groups: as written; those that count are the interfaces'.
    """

    path: str
    name: str
    hypervisor: str
    interfaces: tuple[Interface, ...]
    security_groups: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instance) and self[1:] == other[1:]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[1:])


def read_instances(
    report: Report, raw: Any, hosts: Hosts, networks: Networks, names: Names, source: Source
) -> list[Instance]:
    """Read the list `vpc_instances`, the last part of which may be from a file, and count each network's interfaces.

    The result is in the order of the input, and of use only where nothing was reported.
    """
    reader = _Reader(report, hosts, networks, names)
    for path, value in source.places(SECTION, fields.sequence(report, SECTION, raw)):
        reader.instance(path, value)
    return reader.instances


def refusal(name: str) -> str:
    """Why no instance may be called so, "" where it may."""
    return "" if _NAME.fullmatch(name) else f"{show(name)} is not allowed: {_NAME_ALLOWED}"


class _Reader:
    """Reads one instance after the other and remembers what must be unique, and where it was."""

    def __init__(self, report: Report, hosts: Hosts, networks: Networks, names: Names) -> None:
        self.report = report
        self.hosts = hosts
        self.networks = networks
        self.names_of_groups = names
        self.default: tuple[str, ...] = (DEFAULT,) if DEFAULT in names.groups else ()
        # Lists of groups that have been checked: 100,000 guests have few different ones.
        self.groups: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.instances: list[Instance] = []
        self.names: dict[str, str] = {}
        self.addresses: dict[int, str] = {}
        self.addresses6: dict[int, str] = {}
        self.macs: dict[str, str] = {}
        self.vifs: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def instance(self, path: str, value: Any) -> None:
        report = self.report
        item = fields.mapping(report, path, value, _KEYS, _REQUIRED)
        if item is None:
            return
        name = fields.text(report, path, item, "name")
        if name is not None:
            if not _NAME.fullmatch(name):
                report.add(f"{path}.name", refusal(name))
            elif self.names.setdefault(name, path) is not path:
                report.add(f"{path}.name", f"{show(name)} is already the name of {self.names[name]}")
        hypervisor = self.hypervisor(path, item)
        groups = self.security_groups(path, item) if _GROUPS in item else ()
        if "interfaces" in item:
            interfaces = self.interfaces(path, item, hypervisor, groups)
        else:
            if "network" not in item:
                report.add(f"{path}.network", "is missing (or interfaces, a list, for several networks)")
            interfaces = (self.interface(path, item, hypervisor, groups),)
        self.instances.append(Instance(path, name or "", hypervisor or "", interfaces, groups))

    def hypervisor(self, path: str, item: Mapping[str, Any]) -> str | None:
        word = fields.text(self.report, path, item, "hypervisor")
        if word is None:
            return None
        # The host's own string: 100,000 equal ones would cost memory.
        name = self.hosts.hypervisors.get(word)
        if name is None and self.hosts.complete:
            where = "group hypervisors" if word in self.hosts.names else "the inventory's group hypervisors"
            hint = "" if word in self.hosts.names else self.report.hint(word, self.hosts.hypervisors)
            self.report.add(f"{path}.hypervisor", f"{show(word)} is not in {where}{hint}")
        return name

    def interfaces(
        self, path: str, item: Mapping[str, Any], hypervisor: str | None, groups: tuple[str, ...]
    ) -> tuple[Interface, ...]:
        report = self.report
        both = [key for key in _INTERFACE if key in item]
        if both:
            report.add(f"{path}.interfaces", f"cannot be combined with {', '.join(both)} of the instance itself")
        values = fields.sequence(report, f"{path}.interfaces", item["interfaces"])
        if values is item["interfaces"] and not values:
            report.add(f"{path}.interfaces", "is empty; at least one interface is needed")
        found = []
        for index, value in enumerate(values):
            at = f"{path}.interfaces[{index}]"
            interface = fields.mapping(report, at, value, _INTERFACE_KEYS, _NETWORK)
            if interface is not None:
                own = self.security_groups(at, interface) if _GROUPS in interface else groups
                found.append(self.interface(at, interface, hypervisor, own))
        return tuple(found)

    def interface(
        self, path: str, item: Mapping[str, Any], hypervisor: str | None, groups: tuple[str, ...]
    ) -> Interface:
        report = self.report
        network = fields.text(report, path, item, "network")
        place = None
        address = address6 = None
        families = _FAMILIES
        if "address" in item and item["address"] == NONE:
            families = (6,)
        elif "address" in item:
            address = fields.address(report, path, item, "address", parse_ipv4)
        if "address6" in item and item["address6"] == NONE:
            families = families[:-1]
        elif "address6" in item:
            address6 = fields.address(report, path, item, "address6", parse_ipv6)
        if network is not None:
            place = self.networks.places.get(network)
            if place is None:
                self.unknown_network(path, network)
            else:
                network = place.name
                place.interfaces += 1
                if address is not None and (not place.low <= address <= place.high or address in place.reserved):
                    report.add(f"{path}.address", place.refusal(4, address))
                    address = None
                if address6 is not None and (not place.low6 <= address6 <= place.high6 or address6 in place.reserved6):
                    report.add(f"{path}.address6", place.refusal(6, address6))
                    address6 = None
                if families is not _FAMILIES:
                    self.without(path, place, families)
        if address is not None and self.addresses.setdefault(address, path) is not path:
            report.add(
                f"{path}.address", f"{format_ipv4(address)} is already taken by {self.addresses[address]}.address"
            )
        if address6 is not None and self.addresses6.setdefault(address6, path) is not path:
            report.add(
                f"{path}.address6", f"{format_ipv6(address6)} is already taken by {self.addresses6[address6]}.address6"
            )
        mac = self.mac(path, item) if "mac" in item else None
        vif = self.vif(path, item, hypervisor) if "vif" in item else None
        addresses = self.allowed_addresses(path, item, place) if "allowed_addresses" in item else ()
        pairs = (
            read_allowed_pairs(report, f"{path}.allowed_pairs", item["allowed_pairs"])
            if "allowed_pairs" in item
            else ()
        )
        roles = read_roles(report, f"{path}.roles", item["roles"]) if "roles" in item else ()
        groups = groups or self.default
        if groups and place is not None and place.flat and hypervisor in self.hosts.unguarded:
            report.add(
                f"{path}.{_GROUPS}",
                f"{', '.join(groups)} cannot be enforced on {place.path}, a bridge of others, without the guard: "
                f"{hypervisor}.vpc_antispoof is false",
            )
        return Interface(path, network or "", address, address6, mac, vif, addresses, pairs, roles, families, groups)

    def without(self, path: str, place: Place, families: tuple[int, ...]) -> None:
        """Check an interface that shall have no address of some family."""
        for family in _FAMILIES:
            place.without[family] += family not in families
        present = {4: place.low <= place.high, 6: place.low6 <= place.high6}
        if not any(present[family] for family in families):
            key = "address" if 4 not in families else "address6"
            self.report.add(f"{path}.{key}", f"{NONE} leaves the interface without any address")

    def allowed_addresses(self, path: str, item: Mapping[str, Any], place: Place | None) -> tuple[Prefix, ...]:
        path = f"{path}.allowed_addresses"
        found = read_allowed_addresses(self.report, path, item["allowed_addresses"])
        for prefix in found:
            if place is not None and prefix.size == 1:
                reserved = place.reserved if prefix.family == 4 else place.reserved6
                if prefix.base in reserved:
                    self.report.add(path, place.refusal(prefix.family, prefix.base))
        return found

    def mac(self, path: str, item: Mapping[str, Any]) -> str | None:
        mac = fields.text(self.report, path, item, "mac")
        if mac is not None:
            try:
                check_mac(mac)
            except ValueError as error:
                self.report.add(f"{path}.mac", str(error))
            else:
                if self.macs.setdefault(mac, path) is not path:
                    self.report.add(f"{path}.mac", f"{mac} is already taken by {self.macs[mac]}.mac")
        return mac

    def vif(self, path: str, item: Mapping[str, Any], hypervisor: str | None) -> str | None:
        vif = fields.text(self.report, path, item, "vif")
        if vif is None:
            return None
        reason = ifname.refusal(vif)
        if reason:
            self.report.add(f"{path}.vif", reason)
        elif vif in self.networks.claimed:
            self.report.add(f"{path}.vif", f"{vif} is {self.networks.claimed[vif]}")
        elif hypervisor is not None and vif in self.hosts.trusted.get(hypervisor, ()):
            self.report.add(f"{path}.vif", f"{vif} is in {hypervisor}.vpc_antispoof_trusted_ports: nobody's guests")
        elif hypervisor is not None and self.vifs[hypervisor].setdefault(vif, path) is not path:
            earlier = self.vifs[hypervisor][vif]
            self.report.add(
                f"{path}.vif", f"{vif} is already taken by {earlier}.vif on the same hypervisor, {hypervisor}"
            )
        return vif

    def security_groups(self, path: str, item: Mapping[str, Any]) -> tuple[str, ...]:
        value = item[_GROUPS]
        if isinstance(value, (list, tuple)):
            try:
                known = self.groups.get(tuple(value))
            except TypeError:  # an item that is no key
                known = None
            if known is not None:
                return known
        before = len(self.report.errors)
        found = fields.each(self.report, f"{path}.{_GROUPS}", value, self.security_group)
        if len(self.report.errors) == before:
            self.groups[found] = found
        return found

    def security_group(self, path: str, value: Any) -> str | None:
        names = self.names_of_groups
        if not isinstance(value, str):
            self.report.add(path, f"{show(value)} is not the name of a security group")
            return None
        name = fields.plain(value)
        if name in names.groups:
            return name
        if name in names.places:
            self.report.add(path, f"{show(name)} is no group: it is the name of {names.places[name]}")
        elif names.complete:
            hint = self.report.hint(name, names.groups)
            self.report.add(path, f"{show(name)} is not a group of vpc_security_groups{hint}")
        return name

    def unknown_network(self, path: str, name: str) -> None:
        # Where a network's name could not be read, it may be this one.
        if self.networks.complete:
            hint = self.report.hint(name, self.networks.places)
            self.report.add(f"{path}.network", f"{show(name)} is not a network of vpc_networks{hint}")
