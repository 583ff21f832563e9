# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that a router shows to others: its own, 1:1 addresses, port forwards and pools, and helpers for protocols.

What is for VPCs keeps its source address. An exception is what a guest, or a host with guests, sends to a public
address: its answer would find a shorter way back than through the router, which alone knows whose answer it is. So the
source is translated too, to what the guest shows to the internet, or else to the router's own address.

A public address is the guests'. The router, which answers ARP for it, offers nothing on it but ping.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    disjoint,
    format_ipv4,
    parse_ipv4,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import Layout

# Kernel modules that rewrite addresses in what a protocol carries; each brings its helper.
_MODULE = "nf_nat_{}"
WORDS = {6: "tcp", 17: "udp"}


class Forward(NamedTuple):
    """Ports of an address that lead to a guest. addresses: text. first, last: ports; to: where the first leads."""

    address: str
    protocol: int
    first: int
    last: int
    guest: str
    to: int
    helper: str | None


class Pool(NamedTuple):
    """name; first and last address, as text; the networks behind it."""

    name: str
    first: str
    last: str
    networks: tuple[Prefix, ...]

    @property
    def short(self) -> str:
        """Its name within the names of sets."""
        return identity.short(self.name)


class Nat(NamedTuple):
    """What routers translate. All have the same: the one that is in use answers for the addresses.

    router: its address on the underlay. nat: networks that reach the internet behind it, by family. one: public
    address -> guest's. own: the public addresses, disjoint and in order. inside: those whose answers could miss the
    router. helpers: by name, of those in use, the networks whose guests have them.
    """

    router: str
    nat: dict[int, tuple[Prefix, ...]]
    one: dict[str, str]
    forwards: tuple[Forward, ...]
    pools: tuple[Pool, ...]
    own: tuple[Prefix, ...]
    inside: tuple[Prefix, ...]
    helpers: dict[str, tuple[Prefix, ...]]

    @property
    def own_rules(self) -> bool:
        """Whether there is more to do than to show the router's address."""
        return bool(self.one or self.forwards or self.pools)

    @property
    def public(self) -> bool:
        """Whether anybody outside can reach a guest."""
        return bool(self.one or self.forwards)

    def modules(self) -> dict[str, str]:
        return {_MODULE.format(helper): "loaded" for helper in self.helpers}

    def addresses(self) -> dict[str, str]:
        """Of the router that is in use."""
        return {
            f"lo {format_ipv4(value)}/32": "present"
            for prefix in self.own
            for value in range(prefix.first, prefix.last + 1)
        }

    def helped(self, helper: str) -> Iterator[tuple[str, int, int]]:
        """(address, protocol, port) of the forwards with a helper."""
        for forward in self.forwards:
            if forward.helper == helper:
                for port in range(forward.first, forward.last + 1):
                    yield forward.address, forward.protocol, port


def of_layout(layout: Layout) -> Nat:
    """Everything that the model says of it; it has seen to it that these interfaces have an IPv4 address."""
    model = layout.model
    networks = list(layout.routed.values())
    nat: dict[int, tuple[Prefix, ...]] = {}
    for family in (4, 6):
        found = [network.cidr if family == 4 else network.cidr6 for network in networks if network.nat]
        nat[family] = tuple(prefix for prefix in found if prefix is not None)
    wanted = {(item.instance, item.number) for item in model.public}
    wanted.update((item.instance, item.number) for item in model.forwards)
    guests = {(port.instance, port.number): _ipv4(port) for port in layout.ports if wanted and _id(port) in wanted}
    router = model.hosts[layout.gateway].underlay if layout.gateway is not None else ""
    forwards = tuple(
        Forward(
            router if item.address is None else format_ipv4(item.address),
            item.protocol,
            *item.ports,
            guests[item.instance, item.number],
            item.to_port,
            item.helper,
        )
        for item in model.forwards
    )
    pools = []
    for pool in model.pools.values():
        cidrs = [model.networks[name].cidr for name in pool.networks]
        first, last = (format_ipv4(address) for address in pool.addresses)
        pools.append(Pool(pool.name, first, last, tuple(sorted(cidr for cidr in cidrs if cidr is not None))))
    own = {item.address for item in model.public}
    own.update(item.address for item in model.forwards if item.address is not None)
    for pool in model.pools.values():
        own.update(range(pool.addresses[0], pool.addresses[1] + 1))
    hosts = [parse_ipv4(host.underlay) for host in model.hosts.values() if "hypervisor" in host.roles]
    inside = [prefix for prefix in layout.segments.internal if prefix.family == 4]
    helpers: dict[str, list[Prefix]] = {item.helper: [] for item in model.forwards if item.helper is not None}
    for network in networks:
        for helper in network.nat_helpers:
            helpers.setdefault(helper, []).extend([network.cidr] if network.cidr is not None else [])
    return Nat(
        router,
        nat,
        {format_ipv4(item.address): guests[item.instance, item.number] for item in model.public},
        forwards,
        tuple(pools),
        tuple(Prefix(4, address, 32) for address in sorted(own)),
        tuple(disjoint([*inside, *(Prefix(4, address, 32) for address in hosts)])),
        {name: tuple(disjoint(helpers[name])) for name in sorted(helpers)},
    )


def _id(port: Port) -> tuple[str, int]:
    return port.instance, port.number


def _ipv4(port: Port) -> str:
    return dict(port.addresses)[4]
