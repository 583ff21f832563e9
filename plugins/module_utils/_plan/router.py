# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a router looks like: a host route per guest, gateway addresses, NAT by sets and a rule that never changes."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import (
    MAIN_TABLE,
    Layout,
    State,
    addresses,
    forwarding,
    prefixes,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ROUTER


def slice_of(layout: Layout, name: str) -> State:
    """The desired state of one router, by subsystem."""
    host = layout.model.hosts[name]
    networks = list(layout.model.networks.values())
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
        if port.hypervisor != name:
            for family, address in addresses(port):
                routes[f"{family} {MAIN_TABLE} {address}"] = via[port.hypervisor, family]
    state: State = {
        "address": {
            f"lo {format_ipv4(network.gateway)}/32": "present" for network in networks if network.gateway is not None
        },
        "route": routes,
        "sysctl": forwarding(layout.has_ipv6()),
    }
    members = {
        family: (
            [prefix for network in networks if network.nat for kind, prefix in prefixes(network) if kind == family],
            [prefix for network in networks for kind, prefix in prefixes(network) if kind == family],
        )
        for family in (4, 6)
    }
    state.update(_nat_iptables(members) if host.backend == "iptables" else _nat_nftables(members))
    return state


# By family: (networks that reach the internet behind the router's address, all networks).
Members = dict[int, tuple[list[str], list[str]]]


def _nat_nftables(members: Members) -> State:
    table = f"inet {ROUTER.table}"
    state = {table: "table"}
    rules = []
    for family, word in ((4, "ip"), (6, "ip6")):
        nat, internal = members[family]
        if not internal:
            continue
        for kind, elements in (("nat", nat), ("internal", internal)):
            state[f"{table} set {kind}{family}"] = f"type ipv{family}_addr; flags interval"
            state.update({f"{table} set {kind}{family} {prefix}": "element" for prefix in elements})
        rules.append(f"{word} saddr @nat{family} {word} daddr != @internal{family} masquerade")
    hook = "type nat hook postrouting priority 100; policy accept;"
    state[f"{table} chain postrouting"] = "\n".join([hook, *rules])
    return {"nft": state}


def _nat_iptables(members: Members) -> State:
    sets: dict[str, str] = {}
    chains: dict[str, str] = {}
    chain = f"{ROUTER.prefix}postrouting"
    for family, word in ((4, "inet"), (6, "inet6")):
        nat, internal = members[family]
        if not internal:
            continue
        for kind, elements in (("nat", nat), ("internal", internal)):
            name = f"{ROUTER.prefix}{kind}{family}"
            sets[name] = f"hash:net family {word}"
            sets.update({f"{name} {prefix}": "member" for prefix in elements})
        chains[f"{family} nat {chain}"] = (
            f"-m set --match-set {ROUTER.prefix}nat{family} src"
            f" -m set ! --match-set {ROUTER.prefix}internal{family} dst -j MASQUERADE"
        )
        chains[f"{family} nat POSTROUTING -> {chain}"] = "last"
    return {"ipset": sets, "iptables": chains}
