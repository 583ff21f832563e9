# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom: the packets that prove a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    format_ipv4,
    parse_address,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY

# Every pair up to this many guests; beyond, a ring and a chord: packets grow with the guests, not their square.
ALL_PAIRS = 24
# A host asks at most so many of its guests; so many guests ask the other side of a VPN connection.
HOST_PROBES = 48
# The lab's internet; documentation prefixes (RFC 5737, RFC 3849).
INTERNET = {4: "198.51.100.1", 6: "2001:db8:ffff::1"}


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


def of_guests(summary: Mapping[str, Any]) -> list[Probe]:
    """Packets from inside the guests; only a lab can send them. summary: the content of plan.json."""
    return list(_Guests(summary).probes())


def of_host(summary: Mapping[str, Any], host: str) -> list[Probe]:
    """Packets from a host itself to the guests, its own first: all that production allows."""
    instances = summary["instances"].items()
    reach = _reachable(summary, host) if _connected(summary, host) else set()
    own = [item for item in instances if item[1]["hypervisor"] == host]
    others = [item for item in instances if item[1]["hypervisor"] != host]
    return [
        Probe(host, "own guests" if instance["hypervisor"] == host else "guests elsewhere", address, "ping", "reach")
        for name, instance in own[: HOST_PROBES // 2] + _spread(others, HOST_PROBES // 2)
        for interface in instance["interfaces"]
        for family, address in addresses(interface).items()
        if (interface["network"], family, instance["hypervisor"] == host) in reach
    ]


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
    def __init__(self, summary: Mapping[str, Any]) -> None:
        self._instances = summary["instances"]
        self._networks = summary["networks"]
        self._connections = summary["connections"]
        self._names = list(self._instances)
        self._unused = self._find_unused()
        self._router = next((host for host in summary["hosts"].values() if "router" in host["roles"]), None)

    def probes(self) -> Iterator[Probe]:
        for index, source in enumerate(self._names):
            interface = self._instances[source]["interfaces"][0]
            network = self._networks[interface["network"]]
            own = addresses(interface)
            for target in self._targets(index):
                for remote in self._instances[target]["interfaces"]:
                    outcome = self._outcome(source, target, interface["network"], remote["network"])
                    group = "other VPCs" if outcome == "blocked" else "guests"
                    for family, address in addresses(remote).items():
                        if family in own and outcome:
                            yield Probe(source, group, address, "ping", outcome)
            if network["flat"]:
                yield from self._outside(source, network, own)
                continue
            if 4 in own:
                yield Probe(source, "gateway", network["gateway"], "ping", "reach")
                unused = self._unused.get(interface["network"])
                if unused:
                    yield Probe(source, "unused address", unused, "ping", "blocked")
            if 6 in own:
                yield Probe(source, "gateway", f"{interface['gateway6']}%eth0", "ping", "reach")
            yield from self._internet(source, network, own)
        for name, connection in self._connections.items():
            yield from self._vpn(name, connection)

    def _vpn(self, name: str, connection: Mapping[str, Any]) -> Iterator[Probe]:
        """To the host that stands for the other side, from where its answers are sent back, and from other VPCs."""
        announced = [parse_prefix(4, text) for text in connection["announce"] if text != "0.0.0.0/0"]
        found: dict[str, list[str]] = {"reach": [], "blocked": []}
        for source in self._names if connection["lab_host"] else ():
            interface = self._instances[source]["interfaces"][0]
            network = self._networks[interface["network"]]
            address = addresses(interface).get(4)
            if address is None or network["flat"]:
                continue
            if network["vpc"] != connection["vpc"]:
                found["blocked"].append(source)
            elif any(prefix.contains(parse_address(4, address)) for prefix in announced):
                found["reach"].append(source)
        for outcome, sources in found.items():
            for source in _spread(sources, HOST_PROBES):
                yield Probe(source, f"VPN {name}", connection["lab_host"], "ping", outcome)

    def _outcome(self, source: str, target: str, name: str, other: str) -> str:
        """What becomes of a packet between two networks; "" where others decide that, whose routers may do anything."""
        network, remote = self._networks[name], self._networks[other]
        if network["flat"] or remote["flat"]:
            together = self._instances[source]["hypervisor"] == self._instances[target]["hypervisor"]
            return "reach" if name == other and (together or network["uplinks"]) else ""
        return "reach" if network["vpc"] == remote["vpc"] else "blocked"

    def _outside(self, source: str, network: Mapping[str, Any], own: Mapping[int, str]) -> Iterator[Probe]:
        """From a flat network to what its uplinks lead to."""
        for family, key in ((4, "gateway"), (6, "gateway6")):
            if family in own and network[key] and network["uplinks"]:
                yield Probe(source, "gateway", network[key], "ping", "reach")
                yield Probe(source, "internet", INTERNET[family], "ping", "reach")
                # Nobody on the way changes the address.
                yield Probe(source, "internet", INTERNET[family], "http", "reach", own[family])

    def _targets(self, index: int) -> list[str]:
        count = len(self._names)
        if count <= ALL_PAIRS:
            return [name for name in self._names if name != self._names[index]]
        return [self._names[(index + 1) % count], self._names[(index + count // 2) % count]]

    def _internet(self, source: str, network: Mapping[str, Any], own: Mapping[int, str]) -> Iterator[Probe]:
        for family in own:
            if not network["nat"] or self._router is None:
                yield Probe(source, "internet", INTERNET[family], "ping", "blocked")
                continue
            yield Probe(source, "internet", INTERNET[family], "ping", "reach")
            # Which of its IPv6 addresses a router shows is its own choice (RFC 6724).
            seen_as = self._router["underlay"] if family == 4 else ""
            yield Probe(source, "internet", INTERNET[family], "http", "reach", seen_as)

    def _find_unused(self) -> dict[str, str]:
        """An IPv4 address of each network that nobody has: the highest."""
        taken = {network[key] for network in self._networks.values() for key in ("gateway", "bridge_address")}
        for instance in self._instances.values():
            taken.update(addresses(interface).get(4) for interface in instance["interfaces"])
        found = {}
        for name, network in self._networks.items():
            if not network["free"] or network["flat"]:
                continue
            prefix = parse_prefix(4, network["cidr"])
            for value in range(prefix.last - 1, prefix.first, -1):
                if format_ipv4(value) not in taken:
                    found[name] = format_ipv4(value)
                    break
        return found
