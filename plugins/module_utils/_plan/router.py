# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a router looks like: a host route per guest, gateway and public addresses, NAT, and VPCs kept apart.

All that goes from one network to another passes a router: it is where VPCs are kept apart. The networks behind a VPN
connection belong to the connection's VPC.
"""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import isolation
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import (
    MAIN_TABLE,
    Layout,
    State,
    destination,
    forwarding,
    prefixes,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.nat import iptables, nftables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.nat.translation import Nat, of_layout
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
    nat = of_layout(layout)
    addresses = {
        f"lo {format_ipv4(network.gateway)}/32": "present" for network in networks if network.gateway is not None
    }
    if name == layout.gateway:
        # Whoever has them answers ARP for them: another router gets them when it takes over.
        addresses.update(nat.addresses())
    state: State = {
        "address": addresses,
        # Hosts sort them several times: in order that costs next to nothing, and they pack to half the size.
        "route": dict(sorted(routes.items())),
        "sysctl": forwarding(layout.has_ipv4(), layout.has_ipv6()),
    }
    if nat.helpers:
        state["module"] = nat.modules()
    state.update(_iptables(layout, nat) if host.backend == "iptables" else _nftables(layout, nat))
    return state


def _nftables(layout: Layout, nat: Nat) -> State:
    table = f"inet {ROUTER.table}"
    state = {table: "table"}
    isolation.internal(state, table, layout.segments)
    nftables.add(state, table, nat, layout.segments.families())
    apart = isolation.router_rules(state, table, layout.segments)
    # What was sent to a public address goes wherever that leads.
    forward = [f"{nftables.TRANSLATED} accept", *apart] if apart and nat.public else apart
    for hook, rules in (("forward", forward), ("input", [*apart, *nftables.refusals(state, table, nat)])):
        if rules:
            state[f"{table} chain {hook}"] = "\n".join([f"type filter hook {hook} priority 0; policy accept;", *rules])
    return {"nft": state}


def _iptables(layout: Layout, nat: Nat) -> State:
    segments = layout.segments
    sets = isolation.Sets(ROUTER)
    chains: dict[str, str] = {}
    everything = {
        family: sets.prefixes(f"internal{family}", family, segments.internal) for family in segments.families()
    }
    iptables.add(chains, sets, nat, everything)
    for family, name in everything.items():
        apart = isolation.router_matches(sets, segments, family, name)
        forward, to_us = list(apart), iptables.refusals(sets, nat) if family == 4 else []
        if apart:
            chains[f"{family} filter {ROUTER.prefix}apart"] = "\n".join(apart)
            jump = f"-j {ROUTER.prefix}apart"
            # What was sent to a public address goes wherever that leads.
            exempt = [f"{iptables.TRANSLATED} -j RETURN"] if nat.public and family == 4 else []
            forward, to_us = [*exempt, jump], [*to_us, jump]
        for parent, rules in (("FORWARD", forward), ("INPUT", to_us)):
            if rules:
                chain = f"{ROUTER.prefix}{parent.lower()}"
                chains[f"{family} filter {chain}"] = "\n".join(rules)
                chains[f"{family} filter {parent} -> {chain}"] = "first"
    return {"ipset": sets.state, "iptables": chains}
