# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What security groups and network ACLs mean on one hypervisor, whatever backend is told so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    disjoint,
    format_address,
    without,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group import SecurityGroup
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import link_local
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import Layout, bridge_of, extras

Groups = tuple[str, ...]


class Endpoint(NamedTuple):
    """An interface of a guest of the host.

    bridged: neighbours reach it without a routed hop, so its packets are seen with br_netfilter only. addresses:
    (family, integer) that it may use, its own `own` ones first, then its link-local one. prefixes: whole networks that
    it may use; inner: what is in its own network and nobody else's, outer: those that others may use as well, where
    they are. groups: in the order that decides; () where it is not filtered. macs: its own first.
    """

    guest: str
    number: int
    bridge: str
    vif: str
    flat: bool
    bridged: bool
    addresses: tuple[tuple[int, int], ...]
    prefixes: tuple[Prefix, ...]
    groups: Groups
    stateful: bool
    logged: bool
    own: int = 0
    macs: tuple[str, ...] = ()
    inner: tuple[Prefix, ...] = ()
    outer: tuple[Prefix, ...] = ()


class Outer(NamedTuple):
    """A network that a guest may use on its bridge, where it is a router between others.

    Only the bridge, or the MAC where others are on the bridge as well, tells its packets from those of all the others.
    """

    prefix: Prefix
    groups: Groups
    bridge: str
    mac: str = ""


@dataclass(frozen=True)
class HostPolicy:
    """All that a host filters.

    endpoints: every interface of its guests. combinations: the distinct non-empty lists of groups by which addresses
    are judged, sorted. groups: those of guests here. members, lists: by name and family, sorted and disjoint, of what
    rules here name; words: of the members, as text in the same order. acls: networks that have an ACL and a guest here,
    by name. translates: whether the host is a router as well, whose NAT needs every packet tracked.
    """

    endpoints: tuple[Endpoint, ...]
    combinations: tuple[Groups, ...]
    groups: dict[str, SecurityGroup]
    members: dict[str, dict[int, list[int]]]
    lists: dict[str, dict[int, list[Prefix]]]
    acls: dict[str, Network]
    words: dict[str, dict[int, list[str]]]
    translates: bool = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to filter."""
        return not self.groups and not self.acls

    def judged(self, bridged: bool | None = None) -> dict[tuple[int, int], Groups]:
        """(family, address) -> groups of every address of a guest; () where it is not filtered.

        bridged: only those of endpoints that are. See _judged().
        """
        return self._everybody if bridged is None else _judged(self._chosen(bridged))

    @cached_property
    def _everybody(self) -> dict[tuple[int, int], Groups]:
        return _judged(self.endpoints)

    @cached_property
    def guests(self) -> dict[int, dict[str, Groups]]:
        """judged() with the addresses as text, by family."""
        found: dict[int, dict[str, Groups]] = {4: {}, 6: {}}
        for (family, address), groups in self._everybody.items():
            found[family][format_address(family, address)] = groups
        return found

    def nets(self, bridged: bool | None = None) -> list[tuple[Prefix, Groups]]:
        """The same for whole networks, disjoint and in order; single addresses in them are for judged() first."""
        return _nets(self._chosen(bridged))

    def outer(self) -> list[Outer]:
        """The networks of routers, disjoint for each bridge, or MAC; for what neither judged() nor nets() has."""
        return _outer(self.endpoints)

    def closed(self) -> list[str]:
        """Bridges of ours with a filtered guest: who is on them is known, and nobody else may be there."""
        return sorted({item.bridge for item in self.endpoints if item.groups and not item.flat})

    def netfiltered(self) -> list[str]:
        """Bridges that must hand their packets to br_netfilter."""
        return sorted({item.bridge for item in self.endpoints if item.bridged})

    def _chosen(self, bridged: bool | None) -> list[Endpoint]:
        return [item for item in self.endpoints if bridged is None or item.bridged is bridged]


def of_host(layout: Layout, name: str) -> HostPolicy:
    """The policy of a hypervisor."""
    model = layout.model
    ports = layout.by_hypervisor.get(name, [])
    if not concerned(layout, name):
        return HostPolicy((), (), {}, {}, {}, {}, {})
    endpoints = _endpoints(layout, ports)
    judged = {groups for groups in _judged(endpoints).values() if groups}
    judged.update(groups for _prefix, groups in _nets(endpoints) if groups)
    judged.update(item.groups for item in _outer(endpoints) if item.groups)
    combinations = tuple(sorted(judged))
    groups = {group: model.groups[group] for group in sorted({item for groups in combinations for item in groups})}
    acls = {network.name: network for network in layout.networks(name) if network.acl is not None}
    named = [peer for rule in _rules(groups.values(), acls.values()) for peer in rule.peers]
    peers = {group: layout.members[group] for group in sorted({peer.group for peer in named if peer.group is not None})}
    return HostPolicy(
        endpoints,
        combinations,
        groups,
        {group: members.addresses for group, members in peers.items()},
        {
            item: {
                family: disjoint(prefix for prefix in model.prefix_lists[item].prefixes if prefix.family == family)
                for family in (4, 6)
            }
            for item in sorted({peer.list for peer in named if peer.list is not None})
        },
        acls,
        {group: members.words for group, members in peers.items()},
        "router" in model.hosts[name].roles,
    )


def rules_of(group: SecurityGroup, way: str) -> tuple[Rule, ...] | None:
    """A group's rules for what members get ("in") or send ("out"); None where everything may pass."""
    return group.ingress if way == "in" else group.egress


def acl_of(network: Network, way: str) -> tuple[Rule, ...] | None:
    """The same for what comes into a network, or leaves it."""
    if network.acl is None:
        return None
    return network.acl.ingress if way == "in" else network.acl.egress


def concerned(layout: Layout, name: str) -> bool:
    """Whether there is anything to filter on a hypervisor."""
    if any(network.acl is not None for network in layout.networks(name)):
        return True
    return bool(layout.model.groups) and any(_groups(layout, port) for port in layout.by_hypervisor.get(name, []))


def netfiltered(layout: Layout, name: str) -> frozenset[str]:
    """Bridges of a hypervisor that must hand their packets to br_netfilter, so that groups see them."""
    if not layout.model.groups:
        return frozenset()
    filtered = {port.network for port in layout.by_hypervisor.get(name, []) if _groups(layout, port)}
    return frozenset(
        bridge_of(network) for network in layout.networks(name) if _bridged(network, network.name in filtered)
    )


def _bridged(network: Network, filtered: bool) -> bool:
    return filtered and (network.flat or network.local_switching == "bridged")


def _groups(layout: Layout, port: Port) -> Groups:
    return layout.model.instances[port.instance].interfaces[port.number].security_groups


def _endpoints(layout: Layout, ports: list[Port]) -> tuple[Endpoint, ...]:
    model = layout.model
    filtered = {port.network for port in ports if _groups(layout, port)}
    places: dict[str, tuple[str, bool, bool]] = {}
    kinds: dict[Groups, tuple[bool, bool]] = {}
    found = []
    for port in ports:
        interface = model.instances[port.instance].interfaces[port.number]
        groups = interface.security_groups
        if port.network not in places:
            network = model.networks[port.network]
            places[port.network] = (bridge_of(network), network.flat, _bridged(network, port.network in filtered))
        if groups not in kinds:
            known = [model.groups[group] for group in groups]
            kinds[groups] = (any(group.stateful for group in known) or not groups, any(group.log for group in known))
        bridge, flat, bridged = places[port.network]
        addresses = [(4, port.address)] if port.address is not None else []
        if port.address6 is not None:
            addresses.append((6, port.address6))
        own = len(addresses)
        addresses.append((6, link_local(port.mac)))
        macs: tuple[str, ...] = (port.mac,)
        prefixes: tuple[Prefix, ...] = ()
        parts: tuple[tuple[Prefix, ...], tuple[Prefix, ...]] = ((), ())
        if interface.allowed_addresses or interface.allowed_pairs:
            pairs = extras(model, port)
            addresses = list(dict.fromkeys([*addresses, *((family, address) for _mac, family, address in pairs)]))
            macs = tuple(dict.fromkeys([port.mac, *(mac for mac, _family, _address in pairs)]))
            prefixes = tuple(item for item in interface.allowed_addresses if item.size > 1)
            parts = _parts(layout, model.networks[port.network], prefixes) if prefixes else parts
        found.append(
            Endpoint(
                port.instance,
                port.number,
                bridge,
                port.vif,
                flat,
                bridged,
                tuple(addresses),
                prefixes,
                groups,
                *kinds[groups],
                own,
                macs,
                *parts,
            )
        )
    return tuple(found)


def _parts(
    layout: Layout, network: Network, found: tuple[Prefix, ...]
) -> tuple[tuple[Prefix, ...], tuple[Prefix, ...]]:
    """(inner, outer) of what a guest of the network may use."""
    inner: list[Prefix] = []
    outer: list[Prefix] = []
    for prefix in found:
        cidr = network.cidr if prefix.family == 4 else network.cidr6
        (inner if cidr is not None and cidr.overlaps(prefix) and cidr.length <= prefix.length else outer).append(prefix)
    taken = [(4, network.gateway), (4, network.bridge_address)]
    taken += [(6, network.gateway6), (6, network.guests.bridge_address6)]
    for port in layout.ports:
        if port.network == network.name:
            taken += [(4, port.address), (6, port.address6)]
    holes = [Prefix(family, address, 32 if family == 4 else 128) for family, address in taken if address is not None]
    return tuple(part for prefix in inner for part in without(prefix, holes)), tuple(outer)


def _rules(groups: Iterable[SecurityGroup], networks: Iterable[Network]) -> Iterator[Rule]:
    for group in groups:
        yield from group.ingress
        yield from group.egress or ()
    for network in networks:
        if network.acl is not None:
            yield from network.acl.ingress or ()
            yield from network.acl.egress or ()


def _judged(endpoints: Iterable[Endpoint]) -> dict[tuple[int, int], Groups]:
    """Groups by address. An address that several guests may use is its owner's, or else judged by the groups of all."""
    found: dict[tuple[int, int], Groups] = {}
    others: list[tuple[tuple[int, int], Groups]] = []
    for item in endpoints:
        for number, address in enumerate(item.addresses):
            # The link-local address is next to the own ones.
            if number <= item.own:
                found[address] = item.groups
            else:
                others.append((address, item.groups))
    shared: dict[tuple[int, int], Groups] = {}
    for address, groups in others:
        if address not in found:
            shared[address] = tuple(dict.fromkeys([*shared.get(address, ()), *groups]))
    return {**found, **shared}


def _nets(endpoints: Iterable[Endpoint]) -> list[tuple[Prefix, Groups]]:
    return _longest((prefix, item.groups) for item in endpoints for prefix in item.inner)


def _outer(endpoints: Iterable[Endpoint]) -> list[Outer]:
    found: dict[tuple[str, str], list[tuple[Prefix, Groups]]] = {}
    for item in endpoints:
        for prefix in item.outer:
            for mac in item.macs if item.flat else ("",):
                found.setdefault((item.bridge, mac), []).append((prefix, item.groups))
    return [
        Outer(prefix, groups, bridge, mac)
        for (bridge, mac), nets in sorted(found.items())
        for prefix, groups in _longest(nets)
    ]


def _longest(nets: Iterable[tuple[Prefix, Groups]]) -> list[tuple[Prefix, Groups]]:
    """Groups by network, disjoint and in order: the longest prefix decides; of equal ones the groups of all."""
    found: dict[Prefix, Groups] = {}
    for prefix, groups in nets:
        found[prefix] = tuple(dict.fromkeys([*found.get(prefix, ()), *groups]))
    return sorted(
        (part, groups)
        for prefix, groups in found.items()
        for part in without(prefix, [other for other in found if other.length > prefix.length])
    )
