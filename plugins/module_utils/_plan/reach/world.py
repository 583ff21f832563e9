# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an address is, and who is who: the summary of a plan, ready for questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_address,
    parse_address,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter.match import Known

# The lab's internet; documentation prefixes (RFC 5737, RFC 3849).
INTERNET = {4: "198.51.100.1", 6: "2001:db8:ffff::1"}
_KEYS = {4: ("address", "cidr", "gateway"), 6: ("address6", "cidr6", "gateway6")}
_PRIVATE = tuple(
    parse_prefix(6 if ":" in text else 4, text)
    for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)

# Ports from which Linux asks, and to which answers go (net.ipv4.ip_local_port_range).
EPHEMERAL = (32768, 60999)

GUEST, HOST, NOBODY, VPN, PUBLIC, OUTSIDE = ("guest", "host", "nobody", "vpn", "public", "outside")


class Nic(NamedTuple):
    """An interface of a guest. addresses: by family, those that it has. groups: in the order that decides."""

    guest: str
    number: int
    hypervisor: str
    network: str
    addresses: dict[int, int]
    groups: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.guest} (interface {self.number})" if self.number else self.guest


class End(NamedTuple):
    """One end of a packet.

    kind: GUEST with nic; HOST, its name in `name`, "" for the hypervisor that is asked; NOBODY: an address of the
    network `name` that nobody has; VPN: behind the connection `name`; PUBLIC: a public address on the router; OUTSIDE:
    any other, such as the internet's. address: None where the other end decides it.
    """

    kind: str
    name: str
    address: int | None
    nic: Nic | None = None


class World:
    """summary: the content of plan.json. Everything that costs time with many guests is made when it is needed."""

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self.instances: Mapping[str, Any] = summary["instances"]
        self.networks: Mapping[str, Any] = summary["networks"]
        self.hosts: Mapping[str, Any] = summary["hosts"]
        self.connections: Mapping[str, Any] = summary.get("connections", {})
        self.groups: Mapping[str, Any] = summary.get("security_groups", {})
        self.lists: Mapping[str, Any] = summary.get("prefix_lists", {})
        self.peerings: Mapping[str, Any] = summary.get("peerings", {})
        self.public: Mapping[str, Any] = summary.get("public_addresses", {})
        self.forwards: Mapping[str, Any] = summary.get("port_forwards", {})
        self.pools: Mapping[str, Any] = summary.get("nat_pools", {})
        self.router = next((name for name, host in self.hosts.items() if "router" in host["roles"]), None)
        self._nics: dict[tuple[str, int], Nic] = {}
        self.prefixes: list[tuple[Prefix, str]] = [
            (parse_prefix(family, network[_KEYS[family][1]]), name)
            for name, network in self.networks.items()
            for family in (4, 6)
            if network[_KEYS[family][1]]
        ]
        self._by_network = {(name, prefix.family): prefix for prefix, name in self.prefixes}
        self.remotes: list[tuple[Prefix, str]] = sorted(
            (
                (parse_prefix(4, text), name)
                for name, connection in self.connections.items()
                for text in connection["remote"]
                if text != "0.0.0.0/0"
            ),
            key=lambda item: -item[0].length,
        )

    @cached_property
    def rules(self) -> list[Mapping[str, Any]]:
        """Every rule of every filter."""
        acls = [network["acl"] for network in self.networks.values() if "acl" in network]
        filters = [*self.groups.values(), *acls]
        return [rule for item in filters for side in ("ingress", "egress") for rule in item[side] or ()]

    @cached_property
    def ephemeral(self) -> list[int]:
        """Ports from which may be asked: one of each range that no rule divides."""
        edges = {edge for rule in self.rules for low, high in rule.get("ports", ()) for edge in (low, high + 1)}
        return sorted({EPHEMERAL[0], *(edge for edge in edges if EPHEMERAL[0] <= edge <= EPHEMERAL[1])})

    @cached_property
    def known(self) -> Known:
        """What prefix lists and groups in rules stand for."""
        members: dict[str, list[str]] = {name: [] for name in self.groups}
        for instance in self.instances.values() if members else ():
            for interface in instance["interfaces"]:
                for group in interface.get("security_groups", ()):
                    members[group] += [
                        interface[key].partition("/")[0] for key in ("address", "address6") if interface[key]
                    ]
        return Known({name: item["prefixes"] for name, item in self.lists.items()}, members)

    @cached_property
    def netfiltered(self) -> frozenset[tuple[str, str]]:
        """(network, hypervisor) whose bridge hands its packets to br_netfilter: flat and bridged ones with groups."""
        return frozenset(
            (interface["network"], instance["hypervisor"])
            for instance in self.instances.values()
            for interface in instance["interfaces"]
            if interface.get("security_groups") and not interface["isolated"]
        )

    @cached_property
    def owners(self) -> dict[str, tuple[str, int]]:
        """Interfaces (guest, number) by address as text."""
        return {
            interface[key].partition("/")[0]: (name, number)
            for name, instance in self.instances.items()
            for number, interface in enumerate(instance["interfaces"])
            for key in ("address", "address6")
            if interface[key]
        }

    def announced(self, connection: str) -> list[Prefix]:
        """Networks that the other side of a VPN connection is told of, but for a default route."""
        texts = self.connections[connection]["announce"]
        return [parse_prefix(4, text) for text in texts if text != "0.0.0.0/0"]

    def nic(self, guest: str, number: int) -> Nic:
        """An interface of a guest that exists. Raises IndexError."""
        found = self._nics.get((guest, number))
        if found is None:
            instance = self.instances[guest]
            item = instance["interfaces"][number]
            addresses = {
                family: parse_address(family, item[keys[0]].partition("/")[0])
                for family, keys in _KEYS.items()
                if item[keys[0]]
            }
            found = Nic(
                guest,
                number,
                instance["hypervisor"],
                item["network"],
                addresses,
                tuple(item.get("security_groups", ())),
            )
            self._nics[guest, number] = found
        return found

    def nics(self, guest: str) -> list[Nic]:
        return [self.nic(guest, number) for number in range(len(self.instances[guest]["interfaces"]))]

    def inside(self, network: str, family: int, address: int) -> bool:
        """Whether an address is one of the network's."""
        prefix = self._by_network.get((network, family))
        return prefix is not None and prefix.contains(address)

    def underlay(self, host: str, family: int) -> int | None:
        """A host's underlay address; None where it has none that others can name."""
        text = self.hosts[host]["underlay" if family == 4 else "underlay6"]
        return None if not text or text.startswith("fe80:") else parse_address(family, text)

    def of_address(self, family: int, address: int) -> End:
        """Whose an address is."""
        text = format_address(family, address)
        if text in self.owners:
            nic = self.nic(*self.owners[text])
            return End(GUEST, nic.guest, address, nic)
        if family == 4 and self._is_public(text, address):
            return End(PUBLIC, text, address)
        for name in self.hosts:
            if self.underlay(name, family) == address:
                return End(HOST, name, address)
        for prefix, name in self.prefixes:
            if prefix.family == family and prefix.contains(address):
                return self._in_network(name, family, address, text)
        for prefix, name in self.remotes:
            if family == 4 and prefix.contains(address):
                return End(VPN, name, address)
        return End(OUTSIDE, text, address)

    def _is_public(self, text: str, address: int) -> bool:
        """Whether the router has an address for guests."""
        if text in self.public or any(item["address"] == text for item in self.forwards.values()):
            return True
        ranges = ([parse_address(4, word) for word in item["addresses"]] for item in self.pools.values())
        return any(low <= address <= high for low, high in ranges)

    def _in_network(self, name: str, family: int, address: int, text: str) -> End:
        network = self.networks[name]
        if text == network["gateway"] and not network["flat"] and self.router is not None:
            return End(HOST, self.router, address)
        if text in (network["bridge_address"], network["guests_get"]["bridge_address6"]):
            # Every hypervisor has it: the one that is asked is the guest's own.
            return End(HOST, "", address)
        if text in (network["gateway"], network["gateway6"]):
            return End(OUTSIDE, text, address)
        return End(NOBODY, name, address)

    def together(self, one: str, other: str) -> str | None:
        """What lets two networks of ours reach each other: "" if one VPC, the path of a peering, None if nothing."""
        vpcs = (self.networks[one]["vpc"], self.networks[other]["vpc"])
        if vpcs[0] == vpcs[1]:
            return ""
        for peering in self.peerings.values():
            for near, far in ((0, 1), (1, 0)):
                if (peering["vpcs"][near], peering["vpcs"][far]) == vpcs:
                    networks = peering["networks"]
                    if one in networks[near] and other in networks[far]:
                        return str(peering["path"])
        return None

    def ways_in(self, nic: Nic, protocol: int, port: int) -> Iterator[tuple[str, str | None, int]]:
        """(path, public address or None for the router's own, public port) that lead to an interface's port."""
        for text, item in self.public.items():
            if (item["instance"], item["number"]) == (nic.guest, nic.number):
                yield item["path"], text, port
        for path, item in self.forwards.items():
            if (item["instance"], item["number"], item["protocol"]) == (nic.guest, nic.number, protocol):
                first, last = item["ports"]
                if item["to_port"] <= port <= item["to_port"] + last - first:
                    yield path, item["address"], first + port - item["to_port"]

    def public_source(self, nic: Nic) -> tuple[str, str] | None:
        """(address, path) of an interface's 1:1 address."""
        for text, item in self.public.items():
            if (item["instance"], item["number"]) == (nic.guest, nic.number):
                return text, item["path"]
        return None


def private(family: int, address: int) -> bool:
    """Whether the internet knows no way to an address, whoever has it."""
    return any(prefix.family == family and prefix.contains(address) for prefix in _PRIVATE)
