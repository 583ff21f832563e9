# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a router looks like: a host route per guest, gateway addresses, NAT by sets and a rule that never changes.

All that goes from one network to another passes a router: it is where VPCs are kept apart. The networks behind a VPN
connection belong to the connection's VPC.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Connection
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import (
    MAIN_TABLE,
    Layout,
    State,
    destination,
    disjoint,
    forwarding,
    prefixes,
    without,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ROUTER


def slice_of(layout: Layout, name: str) -> State:
    """The desired state of one router, by subsystem."""
    host = layout.model.hosts[name]
    networks = list(layout.routed.values())
    routes = {}
    for network in networks:
        for family, prefix in prefixes(network):
            # Unknown addresses of our own networks must not follow the default route out.
            routes[f"{family} {MAIN_TABLE} {prefix}"] = "unreachable"
    via = {
        (hypervisor, family): layout.via(hypervisor, family) for hypervisor in layout.by_hypervisor for family in (4, 6)
    }
    for port in layout.ports:
        # Guests of a router that is also a hypervisor: its hypervisor role has their routes.
        if port.hypervisor != name and port.network in layout.routed:
            for family, address in port.addresses:
                routes[f"{family} {MAIN_TABLE} {address}"] = via[port.hypervisor, family]
    connections = list(layout.model.connections.values())
    for connection in connections:
        # A gateway has its own ways; nobody's default route leads through a tunnel because of this.
        if connection.gateway != name:
            gateway = layout.via(connection.gateway, 4)
            for remote in connection.remote:
                if remote.length:
                    routes[f"4 {MAIN_TABLE} {destination(remote)}"] = gateway
    state: State = {
        "address": {
            f"lo {format_ipv4(network.gateway)}/32": "present" for network in networks if network.gateway is not None
        },
        # Hosts sort them several times: in order that costs next to nothing, and they pack to half the size.
        "route": dict(sorted(routes.items())),
        "sysctl": forwarding(layout.has_ipv6()),
    }
    sets = _sets(networks, connections)
    state.update(_iptables(sets) if host.backend == "iptables" else _nftables(sets))
    return state


class _Sets(NamedTuple):
    """The prefixes of one family that the router's rules look up. vpcs: by VPC, empty where there is only one."""

    nat: list[str]
    internal: list[str]
    vpcs: dict[str, list[str]]


def _sets(networks: list[Network], connections: list[Connection]) -> dict[int, _Sets]:
    found = {}
    for family in (4, 6):
        vpcs: dict[str, list[Prefix]] = {}
        nat = []
        for network in networks:
            prefix = network.cidr if family == 4 else network.cidr6
            if prefix is not None:
                vpcs.setdefault(network.vpc, []).append(prefix)
                nat += [prefix.text] if network.nat else []
        internal = [prefix for own in vpcs.values() for prefix in own]
        remote = [
            (connection.vpc, prefix)
            for connection in connections
            for prefix in connection.remote
            if prefix.length and family == 4
        ]
        for vpc, prefix in remote:
            # It may be wide enough to have networks of other VPCs in it, which stay theirs.
            holes = [other for name, own in vpcs.items() if name != vpc for other in own if prefix.overlaps(other)]
            vpcs.setdefault(vpc, []).extend(without(prefix, holes))
        internal += [prefix for _vpc, prefix in remote]
        if internal:
            # Sets take no overlaps.
            members = {vpc: [prefix.text for prefix in disjoint(own)] for vpc, own in vpcs.items()}
            texts = [prefix.text for prefix in disjoint(internal)]
            found[family] = _Sets(nat, texts, members if len(members) > 1 else {})
    return found


def _nftables(sets: dict[int, _Sets]) -> State:
    table = f"inet {ROUTER.table}"
    state = {table: "table"}
    nat, isolation = [], []
    for family, word in ((4, "ip"), (6, "ip6")):
        if family not in sets:
            continue
        members = {f"nat{family}": sets[family].nat, f"internal{family}": sets[family].internal}
        nat.append(f"{word} saddr @nat{family} {word} daddr != @internal{family} masquerade")
        for vpc, elements in sorted(sets[family].vpcs.items()):
            name = f"vpc{family}_{identity.short(vpc)}"
            members[name] = elements
            isolation.append(f"{word} saddr @{name} {word} daddr != @{name} {word} daddr @internal{family} drop")
        for name, elements in members.items():
            state[f"{table} set {name}"] = f"type ipv{family}_addr; flags interval"
            state.update({f"{table} set {name} {prefix}": "element" for prefix in elements})
    hook = "type nat hook postrouting priority 100; policy accept;"
    state[f"{table} chain postrouting"] = "\n".join([hook, *nat])
    if isolation:
        hook = "type filter hook forward priority 0; policy accept;"
        state[f"{table} chain forward"] = "\n".join([hook, *isolation])
    return {"nft": state}


def _iptables(sets: dict[int, _Sets]) -> State:
    members: dict[str, str] = {}
    chains: dict[str, str] = {}
    for family, word in ((4, "inet"), (6, "inet6")):
        if family not in sets:
            continue
        internal, nat = f"{ROUTER.prefix}internal{family}", f"{ROUTER.prefix}nat{family}"
        found = {nat: sets[family].nat, internal: sets[family].internal}
        isolation = []
        for vpc, elements in sorted(sets[family].vpcs.items()):
            name = f"{ROUTER.prefix}vpc{family}-{identity.short(vpc)}"
            found[name] = elements
            isolation.append(
                f"-m set --match-set {name} src -m set ! --match-set {name} dst"
                f" -m set --match-set {internal} dst -j DROP"
            )
        for name, elements in found.items():
            members[name] = f"hash:net family {word}"
            members.update({f"{name} {prefix}": "member" for prefix in elements})
        masquerade = f"-m set --match-set {nat} src -m set ! --match-set {internal} dst -j MASQUERADE"
        chains[f"{family} nat {ROUTER.prefix}postrouting"] = masquerade
        chains[f"{family} nat POSTROUTING -> {ROUTER.prefix}postrouting"] = "last"
        if isolation:
            chains[f"{family} filter {ROUTER.prefix}forward"] = "\n".join(isolation)
            chains[f"{family} filter FORWARD -> {ROUTER.prefix}forward"] = "first"
    return {"ipset": members, "iptables": chains}
