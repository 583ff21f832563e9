# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups and network ACLs of a hypervisor in iptables, ip6tables and ipset.

Nothing is ever accepted here: what may pass returns to the chains of others, whose rules and policies count as before.
So the answer of a group has to be carried: its chain leaves a bit of the packet mark, YES, where a rule accepts, and
the chain of a combination of groups, `co-web` for what a member of web sends and `ci-web` for what it gets, returns
with it or drops. Chains:

    FORWARD, INPUT, OUTPUT -> forward ... -> forward-groups -> from -> co-... -> go-web, go-ssh -> yes
                                          \\                 -> to   -> ci-... -> gi-web, gi-ssh -> yes
                                           -> forward-acl  -> ao-net1, ai-net2

iptables has no map from addresses to chains, so there is one set for each combination, asked one after the other; from
a number of them on, by way of sets that hold those of several: that costs 0.15 us a set and the first packet of a flow
only, unless guests here are stateless. Measured on 6.18 with iptables-nft, microseconds a packet: 10 combinations
1.7 at most, 100 combinations 15, and 3.2 by way of larger sets. The target SET --map-set finds a number for an address
in 0.5 whatever their count, but only in table mangle, where nothing can be rejected, and needs ten bits of the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, REJECT, Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.iptables_rules import (
    P,
    ethernet,
    in_set,
    matches,
    protocol,
    u32,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.iptables_sets import (
    FAMILIES,
    LOGGED,
    OPEN,
    OWN,
    TRACKED,
    UNTRACKED,
    address_set,
    bucket_set,
    buckets,
    combination_set,
    label,
    logged,
    sets,
    stateless,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_bridge import SEEN, bridge
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_table import VRRP
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import (
    Groups,
    HostPolicy,
    acl_of,
    rules_of,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import State, bridge_of

# A group accepts. As for SEEN, Kubernetes, Calico, Cilium and Tailscale use other bits by default. Nobody else sees it:
# it is taken back before the packet leaves our chains.
YES = 0x1000

# Direction -> where the guest's own address stands, what leads to its chains, the option for its interface.
_WAYS = {"in": ("dst", "to", "-o"), "out": ("src", "from", "-i")}
_HOOKS = {"forward": ("out", "in"), "input": ("out",), "output": ("in",)}
_KNOWN = "-m conntrack --ctstate RELATED,ESTABLISHED"
_LIMIT = "-m limit --limit 5/sec --limit-burst 10"
# Of xt_LOG, without the zero at the end.
_PREFIX = 29
_REJECTED = {4: "icmp-port-unreachable", 6: "icmp6-port-unreachable"}
# What never leaves a link.
_ON_LINK = {4: ("224.0.0.0/4", "255.255.255.255/32"), 6: ("fe80::/10", "ff00::/8")}
_LENGTH = {4: 32, 6: 128}

# What always passes, whoever sends it: that is a question of the anti-spoofing guard. Neighbour discovery and MLD from
# senders on the link only, by their hop limits, and in their only forms: without extension headers, behind one.
_ND = "0x4&0xffff=0x3aff&&0x28>>0x18=0x85:0x88"
_MLD = "0x4&0xffff=0x1&&0x28>>0x10=0x3a00&&0x30>>0x18=0x82:0x84,0x8f"
_USUAL = {4: (f"-d 224.0.0.0/4 {protocol(2)}",), 6: (u32(_ND), u32(_MLD))}
# Ports of clients and servers.
_DHCP = {4: (68, 67), 6: (546, 547)}

Chains = dict[str, list[str]]


def state(policy: HostPolicy) -> State:
    """The desired state of subsystems ipset, iptables and nft; empty where there is nothing to filter.

    nft: what drops IP frames of bridges that do not hand them to br_netfilter; iptables cannot see those.
    """
    if policy.idle:
        return {}
    found: dict[str, str] = {}
    for family in FAMILIES:
        for table, chains in _Family(policy, family).tables().items():
            found.update({f"{family} {table} {P}{name}": "\n".join(rules) for name, rules in chains.items()})
        found.update({f"{family} {jump}": "first" for jump in _jumps(policy)})
    return {"ipset": sets(policy), "iptables": found, "nft": bridge(policy)}


def _jumps(policy: HostPolicy) -> Iterator[str]:
    for hook in _HOOKS:
        yield f"filter {hook.upper()} -> {P}{hook}"
    if _untracks(policy):
        for parent in ("PREROUTING", "OUTPUT"):
            yield f"raw {parent} -> {P}untracked"
    if policy.netfiltered():
        yield f"mangle POSTROUTING -> {P}postrouting"


def _has_stateless(policy: HostPolicy) -> bool:
    return any(stateless(policy, groups) for groups in policy.combinations)


def _untracks(policy: HostPolicy) -> bool:
    return _has_stateless(policy) and not policy.translates


def _mark(bit: int) -> str:
    return f"-j MARK --set-xmark {bit:#x}/{bit:#x}"


def _unmark(bit: int) -> str:
    return f"-j MARK --set-xmark 0x0/{bit:#x}"


_SAID_YES = f"-m mark --mark {YES:#x}/{YES:#x} -j RETURN"


class _Family:
    """The chains of a policy in one family."""

    def __init__(self, policy: HostPolicy, family: int) -> None:
        self.policy = policy
        self.family = family
        self.stateless = _has_stateless(policy)

    def tables(self) -> dict[str, Chains]:
        policy = self.policy
        chains: Chains = {}
        for hook, ways in _HOOKS.items():
            chains.update(self._hook(hook, ways))
        if policy.groups:
            chains["yes"] = [_mark(YES)]
            for way in _WAYS:
                chains.update(self._way(way))
            chains["reject"] = [
                "-p tcp -j REJECT --reject-with tcp-reset",
                f"-j REJECT --reject-with {_REJECTED[self.family]}",
            ]
        for network in policy.acls.values():
            for way in _WAYS:
                rules = acl_of(network, way)
                if rules is not None:
                    chains[f"a{way[0]}-{network.name}"] = list(self._acl(network, rules, way))
        tables = {"filter": chains}
        if _untracks(policy):
            tables["raw"] = {"untracked": self._untracked()}
        if policy.netfiltered():
            tables["mangle"] = {"postrouting": [f"-m mark --mark {SEEN:#x}/{SEEN:#x} {_unmark(SEEN)}"]}
        return tables

    def _hook(self, hook: str, ways: tuple[str, ...]) -> Chains:
        """What comes first: what was accepted earlier, then what always passes; both return to the chains of others."""
        policy = self.policy
        known: list[str] = []
        if policy.groups:
            known = self._known()
        # Seen by this chain, which is more than by br_netfilter.
        seen = f"-m physdev --physdev-is-bridged {_mark(SEEN)}"
        first = [seen] if hook == "forward" and policy.netfiltered() else []
        then = f"-g {P}{hook}-{'acl' if policy.acls else 'groups'}"
        usual = [
            *self._dhcp(hook),
            *_USUAL[self.family],
            f"-d {VRRP[self.family]}/{_LENGTH[self.family]} {protocol(112)}",
        ]
        chains = {
            hook: [
                *first,
                *(known if not policy.acls else ()),
                f"-p tcp {then}",
                *(f"{match} -j RETURN" for match in usual),
                then,
            ]
        }
        if policy.groups:
            judge = [f"-j {P}{_WAYS[way][1]}" for way in ways]
            # Others may have set the bit, and each direction asks anew.
            asked = [_unmark(YES), *(line for jump in judge for line in (jump, _unmark(YES)))]
            chains[f"{hook}-groups"] = [*(known if policy.acls else ()), *asked]
        if policy.acls:
            jumps = [
                f"{_WAYS[way][2]} {bridge_of(network)} -j {P}a{way[0]}-{network.name}"
                for way in ways
                for network in policy.acls.values()
                if acl_of(network, way) is not None
            ]
            chains[f"{hook}-acl"] = [*([f"-j {P}{hook}-groups"] if policy.groups else ()), *jumps]
        return chains

    def _dhcp(self, hook: str) -> Iterator[str]:
        """DHCP is for the link: a guest's broadcasts, and the hypervisor as a server."""
        if hook == "forward" and not self.policy.netfiltered():
            return
        bridged = "-m physdev --physdev-is-bridged " if hook == "forward" else ""
        client, server = _DHCP[self.family]
        for sport, dport in ((client, server), (server, client)):
            yield f"-p udp {bridged}-m udp --sport {sport} --dport {dport}"

    def _known(self) -> list[str]:
        """What belongs to a flow that was accepted passes first, but for guests whose every packet is judged."""
        if not self.stateless:
            return [f"{_KNOWN} -j RETURN"]
        if any(stateless(self.policy, item.groups) for item in self.policy.outer()):
            return []
        sides = (in_set(self._addresses(UNTRACKED), side, negated=True) for side in ("src", "dst"))
        return [" ".join((_KNOWN, *sides, "-j RETURN"))]

    def _addresses(self, kind: str) -> str:
        return address_set(kind, self.family)

    def _way(self, way: str) -> Chains:
        """From an address to the chain of its groups, and these."""
        policy, family = self.policy, self.family
        side, word, interface = _WAYS[way]
        others = [*self._outer(way), *(f"{interface} {name} -j DROP" for name in policy.closed())]
        lead = [
            f"{in_set(self._addresses(OWN), side, negated=True)} {f'-g {P}{word}-others' if others else '-j RETURN'}"
        ]
        chains: Chains = {word: lead}
        if others:
            # Who is neither known nor on a closed bridge is none of our business.
            chains[f"{word}-others"] = [f"{in_set(self._addresses(OPEN), side)} -j RETURN", *others]

        def leads(combinations: list[Groups]) -> list[str]:
            return [
                f"{in_set(combination_set(family, groups), side)} -g {P}c{way[0]}-{label(groups)}"
                for groups in combinations
            ]

        shared = buckets(policy.combinations)
        for number, combinations in shared.items():
            # Not -g: an address that is not in any of them, or not yet, may be in one of the next.
            lead += [f"{in_set(bucket_set(family, number), side)} -j {P}b{way[0]}-{number}", _SAID_YES]
            chains[f"b{way[0]}-{number}"] = leads(combinations)
        if not shared:
            lead += leads(list(policy.combinations))
        lead.append("-j DROP")
        for groups in policy.combinations:
            chains.update(self._combination(groups, way))
        for name in policy.groups:
            chains.update(self._group(name, way))
        return chains

    def _outer(self, way: str) -> Iterator[str]:
        """What routers among the guests pass on, by their bridges, or MACs where others are on the bridge as well."""
        option = "-d" if way == "in" else "-s"
        for item in self.policy.outer():
            if item.prefix.family == self.family:
                verdict = f"-g {P}c{way[0]}-{label(item.groups)}" if item.groups else "-j RETURN"
                address = f"{option} {item.prefix.text} " if item.prefix.length else ""
                if item.mac:
                    yield f"{address}{ethernet(item.mac, way)} {verdict}"
                else:
                    yield f"{address}{_WAYS[way][2]} {item.bridge} {verdict}"

    def _combination(self, groups: Groups, way: str) -> Chains:
        policy = self.policy
        name = label(groups)
        rules = [f"{_KNOWN} -g {P}yes"] if self.stateless and not stateless(policy, groups) else []
        for group in groups:
            if rules_of(policy.groups[group], way) is None:
                return {f"c{way[0]}-{name}": [*rules, f"-g {P}yes"]}
            rules += [f"-j {P}g{way[0]}-{group}", _SAID_YES]
        if not logged(policy, groups):
            return {f"c{way[0]}-{name}": [*rules, "-j DROP"]}
        return {
            f"c{way[0]}-{name}": [*rules, f"-g {P}n{way[0]}-{name}"],
            f"n{way[0]}-{name}": [f"{_LIMIT} {_log(way, groups, 'no rule')}", "-j DROP"],
        }

    def _group(self, name: str, way: str) -> Chains:
        """The chain of a group: what no rule decides returns to the chain of the combination."""
        policy = self.policy
        rules = rules_of(policy.groups[name], way)
        if rules is None:
            return {}
        verdicts = {ACCEPT: f"-g {P}yes", "drop": "-j DROP", REJECT: f"-g {P}reject"}
        chains: Chains = {}
        if any(name in groups and logged(policy, groups) for groups in policy.combinations):
            members = in_set(self._addresses(LOGGED), _WAYS[way][0])
            for action in sorted({rule.action for rule in rules} - {ACCEPT}):
                chain = f"{action[0]}{way[0]}-{name}"
                chains[chain] = [f"{members} {_LIMIT} {_log(way, (name,), action)}", verdicts[action]]
                verdicts[action] = f"-g {P}{chain}"
        return {f"g{way[0]}-{name}": self._rules(rules, way, verdicts.__getitem__), **chains}

    def _rules(self, rules: tuple[Rule, ...], way: str, verdict: Callable[[str], str]) -> list[str]:
        return [
            f"{match} {verdict(rule.action)}".lstrip() for rule in rules for match in matches(rule, self.family, way)
        ]

    def _acl(self, network: Network, rules: tuple[Rule, ...], way: str) -> Iterator[str]:
        """Accepting is returning here: the other end's network may have an ACL as well."""
        option = "-s" if way == "in" else "-d"
        cidr = network.cidr if self.family == 4 else network.cidr6
        for text in (*([cidr.text] if cidr is not None else ()), *_ON_LINK[self.family]):
            yield f"{option} {text} -j RETURN"
        yield from self._rules(rules, way, lambda action: "-j RETURN" if action == ACCEPT else "-j DROP")
        yield "-j DROP"

    def _untracked(self) -> list[str]:
        """Conntrack is let alone where every guest here that a packet is of has stateless groups only.

        What routers among the guests pass on is tracked: nobody knows yet where packets to them will leave.
        """
        return [
            f"{in_set(self._addresses(UNTRACKED), one)} {in_set(self._addresses(TRACKED), other, negated=True)}"
            " -j CT --notrack"
            for one, other in (("src", "dst"), ("dst", "src"))
        ]


def _log(way: str, groups: Groups, reason: str) -> str:
    """Direction, groups and reason, as far as they fit; the line itself has the guest's address."""
    head, tail = f"sg {way} ", f": {reason}: "
    names = " ".join(groups)[: _PREFIX - len(head) - len(tail)]
    return f'-j LOG --log-prefix "{head}{names}{tail}"'
