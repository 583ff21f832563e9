# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hypervisor looks like: a bridge per network, proxy ARP, one route table per bridge, VPCs kept apart."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity, isolation
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import link_local
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import netfiltered
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import (
    MAIN_TABLE,
    Layout,
    State,
    forwarding,
    prefixes,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.nat import iptables, nftables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import HYPERVISOR
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.segments import Segments

# Groups see what passes between ports of such a bridge, with br_netfilter. See _kernel/link.py.
FILTERED = "nf_call_iptables 1 nf_call_ip6tables 1"


def common(layout: Layout) -> State:
    """What every hypervisor has that is no router itself: it, and monitoring on it, reaches guests elsewhere."""
    if layout.gateway is None:
        return {"route": {}}
    via = {family: layout.via(layout.gateway, family) for family in (4, 6)}
    return {
        "route": {
            f"{family} {MAIN_TABLE} {prefix}": via[family]
            for network in layout.routed.values()
            for family, prefix in prefixes(network)
        }
    }


def slice_of(layout: Layout, name: str) -> State:
    """The desired state of one hypervisor, by subsystem, without the common part."""
    if layout.idle(name):
        return {}
    host = layout.model.hosts[name]
    networks = layout.bridges(name)
    is_router = "router" in host.roles
    state: State = {
        "module": {"bridge": "loaded"} if networks else {},
        "link": {},
        "port": {},
        "address": {},
        "neighbour": {},
        "rule": {},
        "route": {},
        "sysctl": forwarding(layout.has_ipv4(), layout.has_ipv6()),
    }
    filtered = netfiltered(layout, name)
    if any(identity.bridge_name(network.name) in filtered for network in networks):
        state["module"]["br_netfilter"] = "loaded"
    for network in networks:
        _bridge(state, layout, network, is_router)
        if identity.bridge_name(network.name) in filtered:
            state["link"][identity.bridge_name(network.name)] += f" {FILTERED}"
    for port in layout.by_hypervisor.get(name, []):
        if port.network not in layout.routed:
            continue
        bridge = identity.bridge_name(port.network)
        if layout.routed[port.network].guests.bridge_address6 is not None:
            state["neighbour"][f"{bridge} {format_ipv6(link_local(port.mac))}"] = port.mac
        for family, address in port.addresses:
            state["route"][f"{family} {MAIN_TABLE} {address}"] = f"dev {bridge}"
            # Also in the bridge's own table: else the host answers ARP for its local guests, and races with them.
            state["route"][f"{family} {layout.tables[port.network]} {address}"] = f"dev {bridge}"
    bridges = {identity.bridge_name(network.name): layout.segments.of[network.name] for network in networks}
    quiet = [
        identity.bridge_name(network.name)
        for network in networks
        if network.cidr6 is not None and network.local_switching == "isolated"
    ]
    served = [identity.bridge_name(network.name) for network in networks if network.guests.bridge_address6 is not None]
    # A hypervisor that is a router itself translates public addresses before its filter sees where they lead.
    public = is_router and bool(layout.model.public or layout.model.forwards)
    if host.backend == "iptables":
        state.update(_iptables(layout.segments, bridges, quiet, served, public))
    else:
        state.update(_nftables(layout.segments, bridges, quiet, served, public))
    return state


def _bridge(state: State, layout: Layout, network: Network, is_router: bool) -> None:
    bridge = identity.bridge_name(network.name)
    table = layout.tables[network.name]
    isolated = network.local_switching == "isolated"
    state["link"][bridge] = f"bridge address {layout.bridge_macs[network.name]}"
    state["port"][bridge] = "isolated on" if isolated else "isolated off"
    if network.bridge_address is not None:
        state["address"][f"{bridge} {format_ipv4(network.bridge_address)}/32"] = "present"
    if network.cidr6 is not None:
        state["address"][f"{bridge} {identity.GATEWAY6}/64"] = "present"
    if network.cidr6 is not None and network.guests.bridge_address6 is not None:
        # What a daemon may advertise must be a prefix of the bridge; the way to it stays that of the other routes.
        address6 = f"{format_ipv6(network.guests.bridge_address6)}/{network.cidr6.length}"
        state["address"][f"{bridge} {address6}"] = "noprefixroute"
    for family, prefix in prefixes(network):
        state["rule"][f"{family} {identity.RULE_PRIORITY} iif {bridge}"] = f"lookup {table}"
        # A host that is its own router falls through to the main table, where the router's routes are.
        if not is_router and layout.gateway is not None:
            via = layout.via(layout.gateway, family)
            state["route"][f"{family} {table} {prefix}"] = via
            state["route"][f"{family} {table} default"] = via
    sysctl = state["sysctl"]
    if network.cidr is not None:
        sysctl[f"net/ipv4/conf/{bridge}/proxy_arp"] = "1"
        # Ports that cannot see each other need the host's answer for their neighbours on the same bridge too.
        sysctl[f"net/ipv4/conf/{bridge}/proxy_arp_pvlan"] = "1" if isolated else "0"
        sysctl[f"net/ipv4/conf/{bridge}/send_redirects"] = "0"
        # The kernel's default delays each guest's first packet by up to 0.8 s.
        sysctl[f"net/ipv4/neigh/{bridge}/proxy_delay"] = "0"
    if network.cidr6 is not None:
        sysctl[f"net/ipv6/conf/{bridge}/disable_ipv6"] = "0"


# ICMPv6 redirects are kept from isolated guests: after one they look for their neighbour where they cannot see it.
# IPv6 has no send_redirects sysctl. Measured without this: 11 of 12 pings between two guests of one bridge are lost.


# dnsmasq (2.90, dhcp6.c) waits half a second, and answers nobody, for a client of DHCPv6 whose MAC the kernel does not
# find out: one guest could keep it from all others. So guests ask from the address that the host knows the MAC of.
_CLIENTS = "fe80::/10"
# To a Rebind of DHCPv6 dnsmasq leases whatever address of the network it names, also another guest's, who then gets
# none. Who is not answered one solicits when its lease ends. With another header between, u32 cannot tell the type.
_REBIND = {"nftables": ("@th,64,8 0x6",), "iptables": ("0x4>>0x8&0xff=0x0:0x10,0x12:0xff", "0x30>>0x18=0x6")}


def _nftables(segments: Segments, bridges: dict[str, str], quiet: list[str], served: list[str], public: bool) -> State:
    """bridges: segment by name. quiet: bridges without redirects. served: those with DHCPv6.

    public: whether targets are translated here.
    """
    table = f"inet {HYPERVISOR.table}"
    state: dict[str, str] = {}
    sent, got = isolation.bridge_rules(state, table, segments, bridges)
    exempt = [f"{nftables.TRANSLATED} accept"] if public and sent else []
    rules = {"forward": [*exempt, *sent, *got], "input": sent, "output": []}
    if served:
        isolation.named(state, table, "served", "type ifname", [f'"{bridge}"' for bridge in served])
        rules["input"] = [
            f"iifname @served ip6 saddr != {_CLIENTS} udp dport 547 drop",
            *(f"iifname @served udp dport 547 {match} drop" for match in _REBIND["nftables"]),
            *sent,
        ]
    if quiet:
        isolation.named(state, table, "isolated", "type ifname", [f'"{bridge}"' for bridge in quiet])
        rules["output"] = ["oifname @isolated icmpv6 type 137 drop"]
    for hook, lines in rules.items():
        if lines:
            state[f"{table} chain {hook}"] = "\n".join([f"type filter hook {hook} priority 0; policy accept;", *lines])
    return {"nft": {table: "table", **state}} if state else {}


def _iptables(segments: Segments, bridges: dict[str, str], quiet: list[str], served: list[str], public: bool) -> State:
    """As _nftables()."""
    start = HYPERVISOR.prefix
    sets = isolation.Sets(HYPERVISOR)
    chains: dict[str, str] = {}
    for family in segments.families():
        sent, got = isolation.bridge_matches(sets, segments, family, bridges)
        exempt = [f"{iptables.TRANSLATED} -j RETURN"] if public and sent and family == 4 else []
        rules = {"FORWARD": [*exempt, *sent, *got], "INPUT": sent, "OUTPUT": []}
        if family == 6:
            refused = [(f"! -s {_CLIENTS} ", ""), *(("", f' -m u32 --u32 "{match}"') for match in _REBIND["iptables"])]
            rules["INPUT"] = [
                f"{source}-i {bridge} -p udp -m udp --dport 547{kind} -j DROP"
                for bridge in served
                for source, kind in refused
            ] + sent
            rules["OUTPUT"] = [f"-o {bridge} -p ipv6-icmp -m icmp6 --icmpv6-type 137 -j DROP" for bridge in quiet]
        for parent, lines in rules.items():
            if lines:
                chain = f"{start}{parent.lower()}"
                chains[f"{family} filter {chain}"] = "\n".join(lines)
                chains[f"{family} filter {parent} -> {chain}"] = "first"
    state = {"ipset": sets.state} if sets.state else {}
    return {**state, "iptables": chains} if chains else state
