# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of the inventory in the forms that the slices of the hosts are cut from, each computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.settle import Settled, settle
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.segments import Segments, of_model

State = dict[str, dict[str, str]]

MAIN_TABLE = 254
# The engine puts the name of the interface that carries the underlay address here.
UNDERLAY = "@underlay"


class Members(NamedTuple):
    """Members of a security group: the own addresses of guest interfaces.

    addresses: integers in order, by family. words: the same as text. lines: `ADDRESS GUEST`, IPv4 first.
    """

    addresses: dict[int, list[int]]
    words: dict[int, list[str]]
    lines: list[str]


@dataclass(frozen=True)
class Layout:
    """model: what the user wrote. ports: every guest interface, in order of guest name.

    gateway: the router that hypervisors send to, None without one. routed: the networks that are ours to build, which
    flat ones are not. tables, bridge_macs: route table id and MAC of the bridge by routed network. by_hypervisor: the
    ports of each hypervisor.
    """

    model: Model
    ports: list[Port]
    gateway: str | None
    routed: dict[str, Network]
    tables: dict[str, int]
    bridge_macs: dict[str, str]
    by_hypervisor: dict[str, list[Port]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, settled: Settled | None = None) -> Layout:
        """settled: what was allocated; without, it is allocated as if there were no lock file."""
        settled = settled or settle(model)
        ports = settled.ports
        by_hypervisor: dict[str, list[Port]] = {}
        for port in ports:
            by_hypervisor.setdefault(port.hypervisor, []).append(port)
        # The first router carries the traffic; further ones hold the same state, ready to take over its address.
        gateway = next((host.name for host in model.hosts.values() if "router" in host.roles), None)
        routed = {name: network for name, network in model.networks.items() if not network.flat}
        return cls(model, ports, gateway, routed, settled.tables, settled.bridge_macs, by_hypervisor)

    def networks(self, host: str) -> list[Network]:
        """Networks with a guest on this hypervisor, in order of name."""
        names = {port.network for port in self.by_hypervisor.get(host, [])}
        return [self.model.networks[name] for name in sorted(names)]

    def bridges(self, host: str) -> list[Network]:
        """Those of them whose bridge is ours to make."""
        return [network for network in self.networks(host) if not network.flat]

    def idle(self, host: str) -> bool:
        """Whether there is nothing to build on a hypervisor: all that its guests need was made by others."""
        networks = self.networks(host) or self.model.networks.values()
        return bool(networks) and all(network.flat for network in networks)

    @cached_property
    def claims(self) -> dict[str | tuple[int, int], set[str]]:
        """Hypervisors by what guests on them may use besides their own: a MAC, or (family, address)."""
        found: dict[str | tuple[int, int], set[str]] = {}
        for port in self.ports:
            for mac, family, address in extras(self.model, port):
                found.setdefault(mac, set()).add(port.hypervisor)
                found.setdefault((family, address), set()).add(port.hypervisor)
        return found

    @cached_property
    def members(self) -> dict[str, Members]:
        """Of every security group, also of those without any."""
        found: dict[str, dict[int, list[tuple[int, str, str]]]] = {name: {4: [], 6: []} for name in self.model.groups}
        if not found:
            return {}
        instances = self.model.instances
        for port in self.ports:
            for name in instances[port.instance].interfaces[port.number].security_groups:
                for family, text in port.addresses:
                    value = port.address if family == 4 else port.address6
                    found[name][family].append((value or 0, text, port.instance))
        return {name: _members(families) for name, families in found.items()}

    @cached_property
    def segments(self) -> Segments:
        """Who may talk to whom by VPC and peering."""
        return of_model(self.model)

    def via(self, host: str, family: int) -> str:
        """A route's value for what is behind another host."""
        node = self.model.hosts[host]
        return f"via {node.underlay if family == 4 else node.underlay6} dev {UNDERLAY}"

    @cached_property
    def gateways(self) -> frozenset[str]:
        """Hosts with a VPN connection."""
        return frozenset(connection.gateway for connection in self.model.connections.values())

    def has_ipv6(self) -> bool:
        return any(network.cidr6 is not None for network in self.routed.values())

    def has_ipv4(self) -> bool:
        """Also while there is no network yet."""
        return any(network.cidr is not None for network in self.routed.values()) or not self.has_ipv6()


def _members(families: dict[int, list[tuple[int, str, str]]]) -> Members:
    for items in families.values():
        items.sort()
    return Members(
        {family: [value for value, _text, _guest in items] for family, items in families.items()},
        {family: [text for _value, text, _guest in items] for family, items in families.items()},
        [f"{text} {guest}" for family in (4, 6) for _value, text, guest in families[family]],
    )


def bridge_of(network: Network) -> str:
    """The bridge of a network, ours or others'."""
    return identity.bridge_name(network.name) if network.bridge is None else network.bridge


def extras(model: Model, port: Port) -> list[tuple[str, int, int]]:
    """What an interface may use besides its own address: (mac, family, address)."""
    interface = model.instances[port.instance].interfaces[port.number]
    if not interface.allowed_addresses and not interface.allowed_pairs:
        return []
    found = [(port.mac, item.family, item.base) for item in interface.allowed_addresses if item.size == 1]
    return [*found, *interface.allowed_pairs]


def prefixes(network: Network) -> list[tuple[int, str]]:
    """(family, prefix) of a network."""
    return [(prefix.family, prefix.text) for prefix in (network.cidr, network.cidr6) if prefix is not None]


def destination(prefix: Prefix) -> str:
    """A network as the keys of routes have it."""
    return prefix.text.partition("/")[0] if prefix.size == 1 else prefix.text


def forwarding(ipv4: bool, ipv6: bool) -> dict[str, str]:
    """Sysctls of every host that forwards. Alternatives: see _kernel/sysctl.py."""
    state = {}
    if ipv4:
        state["net/ipv4/ip_forward"] = "1"
        # Packets of guests turn round on one interface; a redirect would teach their senders a way that does not exist.
        state["net/ipv4/conf/all/send_redirects"] = "0"
        state[f"net/ipv4/conf/{UNDERLAY}/send_redirects"] = "0"
        # Answers from the internet arrive from the router, which need not be where our own default route points.
        state[f"net/ipv4/conf/{UNDERLAY}/rp_filter"] = "2|0"
    if ipv6:
        # A forwarding host ignores router advertisements unless told otherwise, and would lose its default route.
        state[f"net/ipv6/conf/{UNDERLAY}/accept_ra"] = "2|0"
        state["net/ipv6/conf/all/forwarding"] = "1"
    return state
