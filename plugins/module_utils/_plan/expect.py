# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets that prove a plan, whatever it has: each outcome is what the walk through the plan says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    format_address,
    parse_address,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, TCP
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.journey import UNKNOWN
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.question import outgoing
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.walk import Way, walk
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import (
    GUEST,
    HOST,
    INTERNET,
    OUTSIDE,
    End,
    World,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY

# Every pair up to this many guests; beyond, a ring and a chord: packets grow with the guests, not their square.
ALL_PAIRS = 24
# A host asks at most so many of its guests; so many guests ask the other side of a VPN connection.
HOST_PROBES = 48
_HTTP = 80
REACH, BLOCKED = "reach", "blocked"


class Probe(NamedTuple):
    """One packet to send.

    source: guest or host. target: group of targets, for people. kind: ping or http. expect: reach, or blocked where the
    packet must not arrive. answer: text that an HTTP answer must be, "" for any.
    """

    source: str
    target: str
    address: str
    kind: str
    expect: str
    answer: str = ""


def of_guests(summary: Mapping[str, Any], world: World | None = None) -> list[Probe]:
    """Packets from inside the guests; only a lab can send them. summary: the content of plan.json."""
    return list(_Guests(summary, world if world is not None else World(summary)).probes())


def of_host(summary: Mapping[str, Any], host: str) -> list[Probe]:
    """Packets from a host itself to the guests, its own first: all that production allows."""
    instances = summary["instances"].items()
    reach = _reachable(summary, host) if _connected(summary, host) else set()
    own = [item for item in instances if item[1]["hypervisor"] == host]
    others = [item for item in instances if item[1]["hypervisor"] != host]
    world = World(summary)
    source = End(HOST, host, None)
    found = []
    for name, instance in own[: HOST_PROBES // 2] + _spread(others, HOST_PROBES // 2):
        local = instance["hypervisor"] == host
        for nic in world.nics(name):
            for family, address in nic.addresses.items():
                if (nic.network, family, local) in reach:
                    outcome = _outcome(walk(world, family, source, End(GUEST, name, address, nic), None, 0))
                    group = "own guests" if local else "guests elsewhere"
                    text = format_address(family, address)
                    found += [Probe(host, group, text, "ping", outcome)] if outcome else []
    return found


def _outcome(way: Way) -> str:
    """What becomes of a packet; "" where others decide that, whose routers may do anything."""
    return "" if way.verdict == UNKNOWN else REACH if way.verdict == ACCEPT else BLOCKED


def _connected(summary: Mapping[str, Any], host: str) -> bool:
    """Whether the host knows the networks: as a VPN gateway only, it does for its connections."""
    gateways = {connection["gateway"] for connection in summary["connections"].values()}
    return summary["hosts"][host]["roles"] != [VPN_GATEWAY.name] or host in gateways


def _reachable(summary: Mapping[str, Any], host: str) -> set[tuple[str, int, bool]]:
    """(network, family, whether the guest is on the host itself) of the guests that a host can ask."""
    node = summary["hosts"][host]
    # A host whose only IPv6 address is link-local can ask nobody behind a router.
    far = {4: True, 6: not node["underlay6"].startswith("fe80:")}
    found: set[tuple[str, int, bool]] = set()
    for name, network in summary["networks"].items():
        for family, key, underlay in ((4, "cidr", "underlay"), (6, "cidr6", "underlay6")):
            # A flat network is known to a host that is at home in it.
            if not network["flat"]:
                local, remote = True, far[family]
            else:
                local = _inside(family, network[key], node[underlay])
                remote = local and bool(network["uplinks"])
            found.update((name, family, own) for own in (True, False) if (local if own else remote))
    return found


def _inside(family: int, cidr: str | None, address: str) -> bool:
    return cidr is not None and parse_prefix(family, cidr).contains(parse_address(family, address))


def addresses(interface: Mapping[str, Any]) -> dict[int, str]:
    """Addresses of a plan's interface without prefix length, by family."""
    found = {4: interface["address"], 6: interface["address6"]}
    return {family: address.partition("/")[0] for family, address in found.items() if address}


def _spread(items: list[Any], most: int) -> list[Any]:
    """At most so many of them, spread evenly, always the same ones."""
    if len(items) <= most:
        return items
    return [items[index * len(items) // most] for index in range(most)]


class _Guests:
    def __init__(self, summary: Mapping[str, Any], world: World) -> None:
        self._world = world
        self._networks = summary["networks"]
        self._connections = summary["connections"]
        self._names = list(summary["instances"])
        self._unused = self._find_unused(summary["instances"])

    def probes(self) -> Iterator[Probe]:
        for index, source in enumerate(self._names):
            nic = self._world.nic(source, 0)
            network = self._networks[nic.network]
            for target in self._targets(index):
                for remote in self._world.nics(target):
                    for family, address in remote.addresses.items():
                        if family in nic.addresses:
                            yield from self._guest(source, family, End(GUEST, target, address, remote))
            if network["flat"]:
                yield from self._outside(source, network, nic.addresses)
                continue
            yield from self._gateway(source, network, nic.addresses)
            for family in nic.addresses:
                unused = self._unused.get((nic.network, family))
                if unused:
                    yield Probe(source, "unused address", unused, "ping", BLOCKED)
                yield from self._internet(source, family)
        for name, connection in self._connections.items():
            yield from self._vpn(name, connection)

    def _walk(self, source: str, family: int, target: End, protocol: int | None = None, port: int = 0) -> Way:
        nic = outgoing(self._world, source, family, target.address)
        return walk(self._world, family, End(GUEST, source, nic.addresses.get(family), nic), target, protocol, port)

    def _guest(self, source: str, family: int, target: End) -> Iterator[Probe]:
        way = self._walk(source, family, target)
        outcome = _outcome(way)
        if outcome:
            apart = outcome == BLOCKED and way.path.endswith(".vpc")
            group = "other VPCs" if apart else "guests" if outcome == REACH else "guests behind filters"
            yield Probe(source, group, format_address(family, target.address or 0), "ping", outcome)

    def _gateway(self, source: str, network: Mapping[str, Any], families: Iterable[int]) -> Iterator[Probe]:
        for family in families:
            text = network["gateway"] if family == 4 else identity.GATEWAY6
            # The hypervisor of whoever asks has the gateway's IPv6 address; another host has the other one.
            name = self._world.router or ""
            host = name if family == 4 else self._world.instances[source]["hypervisor"]
            outcome = _outcome(self._walk(source, family, End(HOST, host, parse_address(family, text))))
            if outcome:
                yield Probe(source, "gateway", text if family == 4 else f"{text}%eth0", "ping", outcome)

    def _vpn(self, name: str, connection: Mapping[str, Any]) -> Iterator[Probe]:
        """To the host that stands for the other side, from where its answers are sent back, and from other VPCs."""
        found: dict[str, list[str]] = {REACH: [], BLOCKED: []}
        for source in self._names if connection["lab_host"] else ():
            target = self._world.of_address(4, parse_address(4, connection["lab_host"]))
            if 4 in self._world.nic(source, 0).addresses:
                way = self._walk(source, 4, target)
                if _outcome(way) and not way.path.endswith(".announce"):
                    found[_outcome(way)].append(source)
        for outcome, sources in found.items():
            for source in _spread(sources, HOST_PROBES):
                yield Probe(source, f"VPN {name}", connection["lab_host"], "ping", outcome)

    def _outside(self, source: str, network: Mapping[str, Any], families: Iterable[int]) -> Iterator[Probe]:
        """From a flat network to what its uplinks lead to."""
        for family in families:
            gateway = network["gateway" if family == 4 else "gateway6"]
            if gateway and network["uplinks"]:
                target = End(OUTSIDE, gateway, parse_address(family, gateway))
                yield Probe(source, "gateway", gateway, "ping", _outcome(self._walk(source, family, target)))
                yield from self._internet(source, family)

    def _internet(self, source: str, family: int) -> Iterator[Probe]:
        text = INTERNET[family]
        target = End(OUTSIDE, "", parse_address(family, text))
        # Whoever else could have a route back for what is not translated: a lab's internet has none.
        yield Probe(source, "internet", text, "ping", _outcome(self._walk(source, family, target)) or BLOCKED)
        way = self._walk(source, family, target, TCP, _HTTP)
        if way.verdict == ACCEPT:
            # Which of its IPv6 addresses a router shows is its own choice (RFC 6724), as is that of a pool.
            own = way.seen is not None and way.seen == way.source
            told = own or (family == 4 and not self._world.pools)
            yield Probe(
                source, "internet", text, "http", REACH, format_address(family, way.seen) if told and way.seen else ""
            )
        elif not way.path.endswith(".nat"):
            yield Probe(source, "internet", text, "http", BLOCKED)

    def _targets(self, index: int) -> list[str]:
        count = len(self._names)
        if count <= ALL_PAIRS:
            return [name for name in self._names if name != self._names[index]]
        return [self._names[(index + 1) % count], self._names[(index + count // 2) % count]]

    def _find_unused(self, instances: Mapping[str, Any]) -> dict[tuple[str, int], str]:
        """By network and family an address that nobody has: the highest."""
        taken = {network[key] for network in self._networks.values() for key in ("gateway", "bridge_address")}
        taken.update(network["guests_get"]["bridge_address6"] for network in self._networks.values())
        for instance in instances.values():
            for interface in instance["interfaces"]:
                taken.update(addresses(interface).values())
        found = {}
        for name, network in self._networks.items():
            for family, key in ((4, "cidr"), (6, "cidr6")):
                if network["flat"] or not network[key]:
                    continue
                prefix = parse_prefix(family, network[key])
                # An IPv4 network's last address is its broadcast address.
                for value in range(prefix.last - (family == 4), prefix.first, -1):
                    if format_address(family, value) not in taken:
                        found[name, family] = format_address(family, value)
                        break
        return found
