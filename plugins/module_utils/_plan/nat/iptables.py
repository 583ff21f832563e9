# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router's address translation in iptables: a rule for each public address, which only flows of its own get to."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.public import HELPERS
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.isolation import Sets
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.nat.translation import WORDS, Forward, Nat

TRANSLATED = "-m conntrack --ctstate DNAT"


def add(chains: dict[str, str], sets: Sets, nat: Nat, everything: dict[int, str]) -> None:
    """Add what translates. everything: by family, the name of the set of what belongs to VPCs."""
    start = sets.start
    for family, internal in everything.items():
        source = sets.prefixes(f"nat{family}", family, nat.nat[family])
        outwards = f"-m set ! --match-set {internal} dst"
        rules = [f"-m set --match-set {source} src {outwards} -j MASQUERADE"]
        if family == 4 and nat.own_rules:
            inside = sets.prefixes("inside", 4, nat.inside)
            rules = [
                f"-m set --match-set {inside} src {TRANSLATED} -g {start}shown",
                f"{outwards} -g {start}shown",
            ]
            _shown(chains, sets, nat, inside, source)
            _targets(chains, sets, nat)
        chains[f"{family} nat {start}postrouting"] = "\n".join(rules)
        chains[f"{family} nat POSTROUTING -> {start}postrouting"] = "last"
    if nat.helpers:
        _helpers(chains, sets, nat, everything[4])


def refusals(sets: Sets, nat: Nat) -> list[str]:
    """The rules for input of IPv4."""
    if not nat.own:
        return []
    return [f"! -p icmp -m set --match-set {sets.prefixes('public', 4, nat.own)} dst -j DROP"]


def _shown(chains: dict[str, str], sets: Sets, nat: Nat, inside: str, source: str) -> None:
    guests = [Prefix(4, parse_ipv4(guest), 32) for guest in nat.one.values()]
    rules = [f"-m set --match-set {sets.prefixes('one', 4, guests)} src -g {sets.start}one"]
    for pool in nat.pools:
        addresses = pool.first if pool.first == pool.last else f"{pool.first}-{pool.last}"
        name = sets.prefixes(f"pool-{pool.short}", 4, pool.networks)
        rules.append(f"-m set --match-set {name} src -j SNAT --to-source {addresses} --persistent")
    rules += [
        # Not masqueraded: that would take the address of the interface that it goes out of, maybe a bridge.
        f"-m set --match-set {inside} src {TRANSLATED} -j SNAT --to-source {nat.router}",
        f"-m set --match-set {source} src -j MASQUERADE",
    ]
    chains[f"4 nat {sets.start}shown"] = "\n".join(rules)
    one = [f"-s {guest}/32 -j SNAT --to-source {own}" for own, guest in nat.one.items()]
    chains[f"4 nat {sets.start}one"] = "\n".join(one)


def _targets(chains: dict[str, str], sets: Sets, nat: Nat) -> None:
    targets = {*nat.one, *(forward.address for forward in nat.forwards)}
    name = sets.prefixes("targets", 4, sorted(Prefix(4, parse_ipv4(address), 32) for address in targets))
    chain = f"{sets.start}targets"
    chains[f"4 nat {sets.start}prerouting"] = f"-m set --match-set {name} dst -j {chain}"
    chains[f"4 nat PREROUTING -> {sets.start}prerouting"] = "last"
    rules = [_forward(forward) for forward in nat.forwards]
    rules += [f"-d {own}/32 -j DNAT --to-destination {guest}" for own, guest in nat.one.items()]
    chains[f"4 nat {chain}"] = "\n".join(rules)


def _forward(forward: Forward) -> str:
    word = WORDS[forward.protocol]
    ports, to = f"{forward.first}", f"{forward.to}"
    if forward.last > forward.first:
        ports = f"{forward.first}:{forward.last}"
        to = f"{forward.to}-{forward.to + forward.last - forward.first}"
        if forward.to != forward.first:
            to += f"/{forward.first}"
    return f"-d {forward.address}/32 -p {word} -m {word} --dport {ports} -j DNAT --to-destination {forward.guest}:{to}"


def _helpers(chains: dict[str, str], sets: Sets, nat: Nat, internal: str) -> None:
    rules = []
    for helper, networks in nat.helpers.items():
        protocol, port = HELPERS[helper]
        word = WORDS[protocol]
        source = sets.prefixes(f"from-{helper}", 4, networks)
        members = [f"{address},{WORDS[number]}:{outside}" for address, number, outside in nat.helped(helper)]
        services = sets.add(f"at-{helper}", "hash:ip,port family inet", members)
        then = f"-j CT --helper {helper}"
        outwards = f"-m set --match-set {source} src -m set ! --match-set {internal} dst"
        rules += [
            f"-p {word} -m {word} --dport {port} {outwards} {then}",
            f"-p {word} -m set --match-set {services} dst,dst {then}",
        ]
    chains[f"4 raw {sets.start}helpers"] = "\n".join(rules)
    chains[f"4 raw PREROUTING -> {sets.start}helpers"] = "last"
