# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's packet filter: who may speak IKE, ESP and BGP, what goes through a tunnel, and how large it may be.

It only refuses. A firewall of the host that refuses more must let in UDP 500 and 4500 and ESP from the peers itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, disjoint
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import RACOON
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import State
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway

_IKE_PORTS = "500,4500"
_BGP_PORT = 179


@dataclass(frozen=True)
class _Sides:
    """What may pass the tunnels of one connection. interfaces: of its tunnels.

    ours: networks of our side. remote: networks of the other side. wide: whether the tunnels also lead to and from what
    is no network of a VPC: the internet, or whatever is behind a default route that is announced.
    """

    name: str
    interfaces: tuple[str, ...]
    ours: list[Prefix]
    remote: list[Prefix]
    wide: bool


def state(gateway: Gateway) -> State:
    """The desired state of nft, or of ipset and iptables; empty without a tunnel."""
    if not gateway.tunnels:
        return {"ipset": {}, "iptables": {}} if gateway.firewall == "iptables" else {"nft": {}}
    return _iptables(gateway) if gateway.firewall == "iptables" else {"nft": _nftables(gateway)}


def _sides(gateway: Gateway) -> Iterator[_Sides]:
    """By connection; none where policies decide: what they do not select does not pass."""
    if gateway.provider == RACOON:
        return
    for connection in gateway.connections:
        wide = connection.internet or any(not prefix.length for prefix in connection.announce)
        yield _Sides(
            connection.name,
            tuple(tunnel.name for tunnel in connection.tunnels),
            disjoint(prefix for prefix in connection.announce if prefix.length),
            disjoint(prefix for prefix in connection.remote if prefix.length),
            wide,
        )


def _internet(gateway: Gateway) -> list[Prefix]:
    """Networks of other sides that reach the internet behind the gateway's address."""
    return disjoint(
        prefix
        for connection in gateway.connections
        if connection.internet
        for prefix in connection.remote
        if prefix.length
    )


def _local(gateway: Gateway) -> list[Prefix]:
    """What is no internet: networks of VPCs, of other sides, and what is announced to them."""
    found = set(gateway.internal)
    for connection in gateway.connections:
        found.update(prefix for prefix in (*connection.announce, *connection.remote) if prefix.length)
    return disjoint(found)


def _sizes(gateway: Gateway) -> dict[int, list[str]]:
    """Interfaces by the MSS of what goes through them. Policies have no interface: the smallest counts for all."""
    if gateway.provider == RACOON:
        return {min(plan.mss for plan in gateway.tunnels): []}
    found: dict[int, list[str]] = {}
    for plan in gateway.tunnels:
        found.setdefault(plan.mss, []).append(plan.name)
    return dict(sorted(found.items()))


def _peers(gateway: Gateway) -> list[str]:
    return sorted({plan.tunnel.peer_outside_address for plan in gateway.tunnels})


def _nftables(gateway: Gateway) -> dict[str, str]:
    table = f"inet {VPN_GATEWAY.table}"
    state = {table: "table"}

    def named(name: str, header: str, elements: list[str]) -> None:
        state[f"{table} set {name}"] = header
        state.update({f"{table} set {name} {element}": "element" for element in elements})

    def prefixes(name: str, found: list[Prefix]) -> None:
        named(name, "type ipv4_addr; flags interval", [_element(prefix) for prefix in found])

    named("peers", "type ipv4_addr", _peers(gateway))
    ike = f"udp dport {{ {_IKE_PORTS.replace(',', ', ')} }}"
    rules = [
        f"{ike} ip saddr != @peers drop",
        f"meta nfproto 10 {ike} drop",
        "meta l4proto 50 ip saddr != @peers drop",
        "meta nfproto 10 meta l4proto 50 drop",
    ]
    if gateway.bgp:
        port = f"tcp dport {_BGP_PORT}"
        if gateway.provider == RACOON:
            named("bgp", "type ipv4_addr", [str(plan.tunnel.peer_inside_address) for plan in gateway.bgp])
            rules += [f"{port} ip saddr != @bgp drop", f"{port} meta ipsec 0 drop"]
        else:
            pairs = [f'"{plan.name}" . {plan.tunnel.peer_inside_address}' for plan in gateway.bgp]
            named("bgp", "type ifname . ipv4_addr", pairs)
            rules.append(f"{port} iifname . ip saddr != @bgp drop")
        rules.append(f"{port} meta nfproto 10 drop")
    state[f"{table} chain input"] = _chain("filter hook input priority 0", rules)

    sides = list(_sides(gateway))
    internet = _internet(gateway)
    if internet or any(side.wide for side in sides):
        prefixes("local", _local(gateway))
    rules = ["ct state 0x2,0x4 accept"]
    for side in sides:
        tunnels, ours = f"tunnels_{side.name}", f"ours_{side.name}"
        named(tunnels, "type ifname", [f'"{name}"' for name in side.interfaces])
        prefixes(ours, side.ours)
        local = " {} @local" if side.wide else ""
        rules += [
            f"iifname @{tunnels} meta nfproto 10 drop",
            f"oifname @{tunnels} meta nfproto 10 drop",
            f"iifname @{tunnels} ip daddr != @{ours}{local.format('ip daddr')} drop",
            f"oifname @{tunnels} ip saddr != @{ours}{local.format('ip saddr')} drop",
        ]
    if sides:
        state[f"{table} chain forward"] = _chain("filter hook forward priority 0", rules)

    rules = []
    for size, interfaces in _sizes(gateway).items():
        clamp = f"tcp flags 0x2 tcp option maxseg size set {size}"
        if not interfaces:
            rules += [f"meta ipsec 1 {clamp}", f"rt ipsec 1 {clamp}"]
            continue
        named(f"mss{size}", "type ifname", [f'"{name}"' for name in interfaces])
        rules += [f"iifname @mss{size} {clamp}", f"oifname @mss{size} {clamp}"]
    state[f"{table} chain mss"] = _chain("filter hook forward priority -150", rules)

    if internet:
        prefixes("internet", internet)
        rules = ["ip saddr @internet ip daddr != @local masquerade"]
        state[f"{table} chain postrouting"] = _chain("nat hook postrouting priority 100", rules)
    return state


def _chain(hook: str, rules: list[str]) -> str:
    return "\n".join([f"type {hook}; policy accept;", *rules])


def _element(prefix: Prefix) -> str:
    """As nft prints it."""
    return prefix.text[:-3] if prefix.length == 32 else prefix.text


def _iptables(gateway: Gateway) -> State:
    start = VPN_GATEWAY.prefix
    sets: dict[str, str] = {}
    chains: dict[str, str] = {}

    def named(name: str, elements: list[str]) -> str:
        full = f"{start}{name}"
        sets[full] = "hash:net family inet"
        sets.update({f"{full} {element}": "member" for element in elements})
        return full

    def prefixes(name: str, found: list[Prefix]) -> str:
        return named(name, [_element(prefix) for prefix in found])

    def chain(family: int, table: str, parent: str, rules: list[str], where: str = "first") -> None:
        name = f"{start}{parent.lower()}"
        chains[f"{family} {table} {name}"] = "\n".join(rules)
        chains[f"{family} {table} {parent} -> {name}"] = where

    ports = f"-p udp -m multiport --dports {_IKE_PORTS}"
    bgp = f"-p tcp -m tcp --dport {_BGP_PORT}"
    foreign = f"-m set ! --match-set {named('peers', _peers(gateway))} src"
    rules = [f"{ports} {foreign} -j DROP", f"-p esp {foreign} -j DROP"]
    for plan in gateway.bgp:
        through = "-m policy --dir in --pol ipsec " if gateway.provider == RACOON else ""
        device = "" if gateway.provider == RACOON else f"-i {plan.name} "
        rules.append(f"-s {plan.tunnel.peer_inside_address}/32 {device}{bgp} {through}-j RETURN")
    if gateway.bgp:
        rules.append(f"{bgp} -j DROP")
    chain(4, "filter", "INPUT", rules)
    chain(6, "filter", "INPUT", [f"{text} -j DROP" for text in (ports, "-p esp", *([bgp] if gateway.bgp else []))])

    internet = _internet(gateway)
    sides = list(_sides(gateway))
    local = prefixes("local", _local(gateway)) if internet or any(side.wide for side in sides) else ""
    rules, rules6 = [], []
    for side in sides:
        ours = prefixes(f"us-{identity.short(side.name)}", side.ours)
        more = f" -m set --match-set {local} {{}}" if side.wide else ""
        for name in side.interfaces:
            for option, end in (("-i", "dst"), ("-o", "src")):
                rules.append(f"{option} {name} -m set ! --match-set {ours} {end}{more.format(end)} -j DROP")
                rules6.append(f"{option} {name} -j DROP")
    if sides:
        established = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
        chain(4, "filter", "FORWARD", [established, *rules])
        chain(6, "filter", "FORWARD", rules6)

    rules = []
    for size, interfaces in _sizes(gateway).items():
        clamp = f"-j TCPMSS --set-mss {size}"
        syn = "-p tcp -m tcp --tcp-flags SYN SYN"
        rules += [f"{option} {name} {syn} {clamp}" for name in interfaces for option in ("-i", "-o")]
        if not interfaces:
            rules += [f"{syn} -m policy --dir {way} --pol ipsec {clamp}" for way in ("in", "out")]
    name = f"{start}mss"
    chains[f"4 mangle {name}"] = "\n".join(rules)
    chains[f"4 mangle FORWARD -> {name}"] = "last"

    if internet:
        source = prefixes("internet", internet)
        rule = f"-m set --match-set {source} src -m set ! --match-set {local} dst -j MASQUERADE"
        chain(4, "nat", "POSTROUTING", [rule], "last")
    return {"ipset": sets, "iptables": chains}
