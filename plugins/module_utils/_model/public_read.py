# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading vpc_public_addresses, vpc_port_forwards and vpc_nat_pools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_ipv4,
    parse_ipv4,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Hosts
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Instance, Interface
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.port import read_range, text_of
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.public import (
    ADDRESSES,
    FORWARDS,
    HELPERS,
    POOLS,
    NatPool,
    PortForward,
    PublicAddress,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.public_space import MOST, Space
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import TCP, UDP
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule_read import word_of
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group_read import NAME, NAME_ALLOWED
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Connection

_TARGET = frozenset(("instance",))
_ADDRESS_KEYS = frozenset(("address", "instance", "interface"))
_FORWARD_KEYS = frozenset(("address", "protocol", "ports", "instance", "interface", "to_port", "helper"))
_FORWARD_REQUIRED = frozenset(("protocol", "ports", "instance"))
_POOL_KEYS = frozenset(("name", "addresses", "networks"))
_PROTOCOLS = {"tcp": TCP, "udp": UDP}
# Ports of the router itself that must stay its own: without them it is out of its operator's reach, or its VPN is down.
_MANAGED = {(TCP, 22): "where the router is managed"}
_TUNNELLED = dict.fromkeys(((UDP, 500), (UDP, 4500)), "where a router that is a VPN gateway speaks IKE")


class Public(NamedTuple):
    """What was read of public.py; of use only where nothing was reported."""

    addresses: list[PublicAddress]
    forwards: list[PortForward]
    pools: list[NatPool]

    @property
    def reachable(self) -> frozenset[int]:
        """Addresses by which guests are reached."""
        used = {item.address for item in self.forwards if item.address is not None}
        return frozenset(used | {item.address for item in self.addresses})


def read_public(
    reports: Mapping[str, Report],
    raw: Mapping[str, Any],
    hosts: Hosts,
    networks: Networks,
    instances: Sequence[Instance],
    connections: Iterable[Connection],
) -> Public:
    """Read the three lists; reports: by section."""
    reader = _Reader(reports, hosts, networks, instances, Space(hosts, networks, connections))
    for path, item in _items(reports[ADDRESSES], ADDRESSES, raw, _ADDRESS_KEYS, frozenset(("address", *_TARGET))):
        reader.public(path, item)
    for path, item in _items(reports[FORWARDS], FORWARDS, raw, _FORWARD_KEYS, _FORWARD_REQUIRED):
        reader.forward(path, item)
    for path, item in _items(reports[POOLS], POOLS, raw, _POOL_KEYS, _POOL_KEYS):
        reader.pool(path, item)
    return reader.found


def _items(
    report: Report, section: str, raw: Mapping[str, Any], known: frozenset[str], required: frozenset[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, value in enumerate(fields.sequence(report, section, raw.get(section, []))):
        path = f"{section}[{index}]"
        item = fields.mapping(report, path, value, known, required)
        if item is not None:
            yield path, item


class _Reader:
    """Reads one item after the other and remembers what is taken."""

    def __init__(
        self,
        reports: Mapping[str, Report],
        hosts: Hosts,
        networks: Networks,
        instances: Sequence[Instance],
        space: Space,
    ) -> None:
        self.reports = reports
        self.networks = networks
        self.space = space
        self.reserved = dict(_MANAGED)
        if any({"router", "vpn_gateway"} <= set(host.roles) for host in hosts.hosts.values()):
            self.reserved.update(_TUNNELLED)
        self.found = Public([], [], [])
        self.targets: dict[tuple[str, int], str] = {}
        self.taken: dict[tuple[int | None, int], list[tuple[int, int, str]]] = {}
        self.pools: dict[str, str] = {}
        self.pooled: dict[str, str] = {}
        self.listed = instances

    @cached_property
    def instances(self) -> dict[str, Instance]:
        """By name; made only where somebody looks, since there may be 100,000."""
        return {instance.name: instance for instance in self.listed}

    def public(self, path: str, item: Mapping[str, Any]) -> None:
        report = self.reports[ADDRESSES]
        address = fields.address(report, path, item, "address", parse_ipv4)
        if address is not None:
            self.space.take(report, f"{path}.address", (address, address), path)
        target = self.target(report, path, item)
        if target is not None:
            other = self.targets.setdefault(target, path)
            if other is not path:
                report.add(f"{path}.instance", f"{target[0]} already has the public address of {other}")
        if address is not None and target is not None:
            self.found.addresses.append(PublicAddress(path, address, *target))

    def forward(self, path: str, item: Mapping[str, Any]) -> None:
        report = self.reports[FORWARDS]
        before = len(report.errors)
        address = fields.address(report, path, item, "address", parse_ipv4)
        if address is not None:
            self.space.take(report, f"{path}.address", (address, address), FORWARDS)
        word = item.get("protocol")
        protocol = _PROTOCOLS.get(word) if isinstance(word, str) else None
        if "protocol" in item and protocol is None:
            hint = report.hint(word.lower(), _PROTOCOLS) if isinstance(word, str) else ""
            report.add(f"{path}.protocol", f"{show(word)} is not allowed: tcp or udp{hint}")
        ports = read_range(report, f"{path}.ports", item["ports"]) if "ports" in item else None
        target = self.target(report, path, item)
        to_port = self.to_port(report, path, item, ports)
        helper = self.helper(report, path, item, protocol)
        readable = address is not None or "address" not in item
        if protocol is None or ports is None or not readable:
            return
        taken = self.taken.setdefault((address, protocol), [])
        for first, last, other in taken:
            if ports[0] <= last and first <= ports[1]:
                where = format_ipv4(address) if address is not None else "the router"
                report.add(
                    f"{path}.ports",
                    f"{word_of(protocol)} {text_of(ports)} of {where} overlaps {other}.ports {text_of((first, last))}",
                )
                break
        taken.append((*ports, path))
        for (kept, port), reason in self.reserved.items() if address is None else ():
            if protocol == kept and ports[0] <= port <= ports[1]:
                report.add(f"{path}.ports", f"{word_of(kept)} {port} of the router itself is {reason}: give address")
        if target is not None and len(report.errors) == before:
            self.found.forwards.append(PortForward(path, address, protocol, ports, *target, to_port, helper))

    def to_port(self, report: Report, path: str, item: Mapping[str, Any], ports: tuple[int, int] | None) -> int:
        if "to_port" not in item:
            return ports[0] if ports is not None else 0
        value = item["to_port"]
        if isinstance(value, str) and not value.isdecimal():
            report.add(f"{path}.to_port", f"{show(value)} is not a port: the first one; as many follow as ports has")
            return 0
        found = read_range(report, f"{path}.to_port", value)
        if found is None:
            return 0
        last = found[0] + (ports[1] - ports[0] if ports is not None else 0)
        if ports is not None and last > 65535:
            report.add(f"{path}.to_port", f"{found[0]} is too high: ports {text_of(ports)} would end at {last}")
        return found[0]

    def helper(self, report: Report, path: str, item: Mapping[str, Any], protocol: int | None) -> str | None:
        word = fields.text(report, path, item, "helper")
        if word is None:
            return None
        at = f"{path}.helper"
        if word not in HELPERS:
            report.add(at, f"{show(word)} is not allowed: {', '.join(HELPERS)}{report.hint(word, HELPERS)}")
        elif protocol is not None and HELPERS[word][0] != protocol:
            report.add(at, f"{word} is not allowed with protocol {word_of(protocol)}: {word_of(HELPERS[word][0])}")
        return word

    def target(self, report: Report, path: str, item: Mapping[str, Any]) -> tuple[str, int] | None:
        """(instance, number of its interface) to which an address or port leads."""
        name = fields.text(report, path, item, "instance")
        number = item.get("interface")
        if "interface" in item and (not isinstance(number, int) or isinstance(number, bool) or number < 0):
            report.add(f"{path}.interface", f"{show(number)} is not the number of an interface, from 0 on")
            return None
        if name is None:
            return None
        instance = self.instances.get(name)
        if instance is None:
            report.add(
                f"{path}.instance",
                f"{show(name)} is not an instance of vpc_instances{report.hint(name, self.instances)}",
            )
            return None
        # An interface whose network is refused could be any.
        if not all(interface.network in self.networks.places for interface in instance.interfaces):
            return None
        reasons = [self.refusal(interface) for interface in instance.interfaces]
        if number is None:
            number = next((index for index, reason in enumerate(reasons) if not reason), None)
            if number is None:
                for reason in reasons[:1]:
                    report.add(f"{path}.instance", f"{name} {reason}")
                return None
        elif number >= len(reasons):
            report.add(f"{path}.interface", f"{number} is not allowed: {name} has {len(reasons)} interfaces, from 0 on")
            return None
        elif reasons[number]:
            report.add(f"{path}.interface", f"interface {number} of {name} {reasons[number]}")
            return None
        return name, int(number)

    def refusal(self, interface: Interface) -> str:
        """Why nothing public can lead to an interface, "" where it can."""
        place = self.networks.places[interface.network]
        if place.flat:
            return f"is on {place.path}, a bridge of others: no router of ours is on its way"
        return "" if 4 in interface.families and place.low <= place.high else "has no IPv4 address"

    def pool(self, path: str, item: Mapping[str, Any]) -> None:
        report = self.reports[POOLS]
        name = fields.text(report, path, item, "name")
        if name is not None:
            if not NAME.fullmatch(name):
                report.add(f"{path}.name", f"{show(name)} is not allowed: {NAME_ALLOWED}")
            elif self.pools.setdefault(name, path) is not path:
                report.add(f"{path}.name", f"{show(name)} is already the name of {self.pools[name]}")
        addresses = _addresses(report, path, item)
        if addresses is not None:
            self.space.take(report, f"{path}.addresses", addresses, path)
        networks = self.pool_networks(report, path, item["networks"]) if "networks" in item else ()
        if name is not None and addresses is not None:
            self.found.pools.append(NatPool(path, name, addresses, networks))

    def pool_networks(self, report: Report, path: str, value: Any) -> tuple[str, ...]:
        at = f"{path}.networks"
        if value in ([], ()):
            report.add(at, "is empty; at least one network is needed")
        nat = {network.name: network.nat for network in self.networks.networks}
        places = self.networks.places

        def read(where: str, word: Any) -> str | None:
            if not isinstance(word, str):
                report.add(where, f"{show(word)} is not the name of a network")
                return None
            name = fields.plain(word)
            if name not in places:
                if self.networks.complete:
                    report.add(where, f"{show(name)} is not a network of vpc_networks{report.hint(name, places)}")
            elif not nat.get(name, True):
                report.add(where, f"{name} has no NAT: {places[name].path}.nat must be true")
            elif places[name].low > places[name].high:
                report.add(
                    where, f"{name} has no IPv4, and a pool is for nothing else: {places[name].path}.cidr is missing"
                )
            elif self.pooled.setdefault(name, path) is not path:
                report.add(where, f"{name} is already behind {self.pooled[name]}")
            return name

        return fields.each(report, at, value, read)


def _addresses(report: Report, path: str, item: Mapping[str, Any]) -> tuple[int, int] | None:
    """(first, last) of `addresses`: a range, a network or one address."""
    text = fields.text(report, path, item, "addresses")
    if text is None:
        return None
    at = f"{path}.addresses"
    try:
        if "-" in text:
            first, last = (parse_ipv4(word) for word in text.split("-", 1))
        elif "/" in text:
            prefix: Prefix = parse_prefix(4, text)
            first, last = prefix.first, prefix.last
        else:
            first = last = parse_ipv4(text)
    except ValueError as error:
        report.add(at, str(error))
        return None
    if first > last:
        report.add(at, f"{text} is not allowed: the first address comes first, {'-'.join(text.split('-')[::-1])}")
        return None
    if last - first >= MOST:
        report.add(at, f"{text} has {last - first + 1} addresses: at most {MOST}")
        return None
    return first, last
