# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups and network ACLs of a hypervisor in nft.

A map leads from a guest's address to the chain of its groups: `to_web.ssh` judges what it gets, `from_web.ssh` what
it sends; they jump to one chain a group, `in_web`, whose rules name members of other groups by sets. So a packet costs
the same with ten guests and ten thousand, a guest elsewhere is an element of a set, and a guest's groups are two
elements of maps. What a guest sends and what another one gets are questions of separate base chains, since accepting
ends only the chain at hand; both are asked whenever a packet is seen, so that one that leaves by the router and comes
back is judged for both ends before conntrack remembers it.

Whoever is dropped ends in drop_in or drop_out, which log for those guests that ask for it: the rule leaves its number
in the mark of the packet, which nobody needs any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_bridge import (
    SEEN_CLEAR,
    SEEN_SET,
    bridge,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_log import Log
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_rules import (
    addresses,
    list_set,
    matches,
    members_set,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_table import (
    DHCP,
    IGMP,
    IP,
    MLD,
    ND,
    TYPES,
    VRRP,
    Table,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import (
    Groups,
    HostPolicy,
    acl_of,
    rules_of,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import State, bridge_of, destination
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SECURITY_GROUPS

# Direction -> where the guest's own address stands, word of the chains that begin with one, its interface.
WAYS = {"in": ("daddr", "to", "oifname"), "out": ("saddr", "from", "iifname")}
# What is asked where. Ingress after egress, so that no packet is logged twice.
_HOOKS = {"forward": ("out", "in"), "input": ("out",), "output": ("in",)}
_PRIORITIES = {"out": 0, "in": 1}
_ACL_PRIORITY = 2
_RAW = -300
_KNOWN = "ct state 0x2,0x4 accept"
# Names of chains are longer in no version of nft.
_NAME = 100
_USUAL = "meta l4proto vmap {{ 2 : jump usual_igmp, {}58 : jump usual_icmp6, 112 : jump usual_vrrp }}"
# What never leaves a link.
_ON_LINK = {
    4: [parse_prefix(4, "224.0.0.0/4"), parse_prefix(4, "255.255.255.255/32")],
    6: [parse_prefix(6, "fe80::/10"), parse_prefix(6, "ff00::/8")],
}


def state(policy: HostPolicy) -> State:
    """The desired state of subsystem nft; empty where there is nothing to filter."""
    if policy.idle:
        return {}
    return {"nft": {**_inet(policy), **bridge(policy)}}


def _inet(policy: HostPolicy) -> dict[str, str]:
    table = Table(f"inet {SECURITY_GROUPS.table}")
    _usual(table)
    _named(table, policy)
    raw: dict[str, list[str]] = {"prerouting": [], "output": []}
    bridges = policy.netfiltered()
    if bridges:
        table.set("netfiltered", "ifname", [f'"{name}"' for name in bridges])
        raw["prerouting"].append(f"iifname @netfiltered {SEEN_SET}")
        table.base("postrouting", "postrouting", _RAW, SEEN_CLEAR)
    if policy.groups:
        _groups(table, policy)
        if not policy.translates and any(_stateless(policy, groups) for groups in policy.combinations):
            rules = _untracked(table, policy)
            for found in raw.values():
                found += rules
    for hook, found in raw.items():
        if found:
            table.base(hook, hook, _RAW, *found)
    if policy.acls:
        _acls(table, policy)
    return table.state


def _stateless(policy: HostPolicy, groups: Groups) -> bool:
    """Whether packets of an address that is judged by these groups are not tracked."""
    return bool(groups) and not any(policy.groups[group].stateful for group in groups)


def _usually(policy: HostPolicy, hook: str) -> list[str]:
    """The rules for what always passes. DHCP is for the link: a guest's broadcasts, and the hypervisor as a server."""
    if hook != "forward":
        return [_USUAL.format("17 : jump usual_dhcp, ")]
    bridged = ["iifname @netfiltered oifname @netfiltered meta l4proto 17 jump usual_dhcp"]
    return [_USUAL.format(""), *(bridged if policy.netfiltered() else [])]


def _usual(table: Table) -> None:
    """What always passes, whoever sends it: that is a question of the anti-spoofing guard."""
    table.chain("usual_igmp", f"{IGMP} accept")
    table.chain(
        "usual_dhcp",
        *(f"meta nfproto {2 if family == 4 else 10} {pair} accept" for family, pairs in DHCP.items() for pair in pairs),
    )
    table.chain("usual_icmp6", f"{ND} accept", f"{MLD} accept")
    table.chain("usual_vrrp", *(f"{ip} daddr {VRRP[family]} accept" for family, ip in IP.items()))


def _named(table: Table, policy: HostPolicy) -> None:
    """The sets that rules name."""
    for group, words in policy.words.items():
        for family, key in TYPES.items():
            table.set(members_set(family, group), key, words[family])
    for name, prefixes in policy.lists.items():
        for family, key in TYPES.items():
            table.set(list_set(family, name), key, [destination(prefix) for prefix in prefixes[family]], interval=True)


def _groups(table: Table, policy: HostPolicy) -> None:
    log = Log(policy)
    # Where every guest is stateful, most packets pass here.
    quick = [] if any(_stateless(policy, groups) for groups in policy.combinations) else [_KNOWN]
    table.set("closed", "ifname", [f'"{name}"' for name in policy.closed()])
    for way, (own, word, interface) in WAYS.items():
        judge = partial(_judge, word)
        names = table.verdicts(word, policy.guests, policy.nets(), judge)
        outer = table.outer(word, policy.outer(), own, judge)
        # Whoever is neither known nor on a closed bridge is none of our business.
        rules = [*_lookups(names, own), *outer, f"{interface} @closed drop"]
        for hook, ways in _HOOKS.items():
            if way in ways:
                table.base(f"{hook}_{word}", hook, _PRIORITIES[way], *quick, *_usually(policy, hook), *rules)
        for groups in policy.combinations:
            known = [] if quick or _stateless(policy, groups) else [_KNOWN]
            jumps = [f"jump {way}_{group}" for group in groups]
            table.chain(_chain(word, groups), *known, *jumps, f"{log.mark()}goto drop_{way}")
        for name, group in policy.groups.items():
            table.chain(f"{way}_{name}", *_rules(name, rules_of(group, way), way, log))
        logged = log.lookups(table, way, own)
        table.chain(f"drop_{way}", *logged, "drop")
        # The mark must not choose the way of the answer, where net.ipv4.fwmark_reflect is on.
        forget = ["meta mark set 0x00000000"] if logged else []
        table.chain(f"reject_{way}", *logged, *forget, "meta l4proto 6 reject with tcp reset", "reject")


def _judge(word: str, groups: Groups) -> str:
    return f"goto {_chain(word, groups)}" if groups else "accept"


def _chain(word: str, groups: Groups) -> str:
    """The chain of a combination."""
    name = ".".join(groups)
    return f"{word}_{name if len(name) <= _NAME else sha256(name.encode()).hexdigest()[:32]}"


def _lookups(names: dict[int, list[str]], side: str) -> list[str]:
    return [f"{IP[family]} {side} vmap {name}" for family in IP for name in names[family]]


def _rules(name: str, rules: tuple[Rule, ...] | None, way: str, log: Log) -> Iterator[str]:
    """The chain of a group: what no rule decides returns to the chain of the combination."""
    if rules is None:
        yield "accept"
        return
    for index, rule in enumerate(rules):
        verdict = "accept" if rule.action == ACCEPT else f"{log.mark(name, index)}goto {rule.action}_{way}"
        for match in matches(rule, way):
            yield f"{match} {verdict}".lstrip()


def _untracked(table: Table, policy: HostPolicy) -> list[str]:
    """Rules that let conntrack alone where every guest here that a packet is of has stateless groups only.

    What routers among the guests pass on is tracked: at this hook nobody knows yet where packets to them will leave.
    """
    verdicts: dict[str, Callable[[Groups], str]] = {
        "sender": lambda groups: "goto untracked_sender" if _stateless(policy, groups) else "accept",
        "target": lambda groups: "goto untracked" if _stateless(policy, groups) else "accept",
    }
    found: dict[str, list[str]] = {}
    for word, side in (("sender", "saddr"), ("target", "daddr")):
        found[word] = _lookups(table.verdicts(word, policy.guests, policy.nets(), verdicts[word]), side)
    table.chain("untracked_sender", *found["target"], "goto untracked")
    table.chain("untracked", "notrack", "accept")
    return [*found["sender"], *found["target"]]


def _acls(table: Table, policy: HostPolicy) -> None:
    """Stateless and in base chains of their own: what groups accept is judged all the same, and the reverse."""
    lookups: dict[str, str] = {}
    for way, (_own, word, interface) in WAYS.items():
        elements = {}
        for network in policy.acls.values():
            rules = acl_of(network, way)
            if rules is not None:
                chain = f"acl_{way}_{network.name}"
                elements[f'"{bridge_of(network)}"'] = f"jump {chain}"
                table.chain(chain, *_acl(network, rules, way))
        table.map(f"acl_{word}", "ifname", elements)
        lookups[way] = f"{interface} vmap @acl_{word}"
    for hook, ways in _HOOKS.items():
        table.base(f"{hook}_acl", hook, _ACL_PRIORITY, *_usually(policy, hook), *(lookups[way] for way in ways))


def _acl(network: Network, rules: tuple[Rule, ...], way: str) -> Iterator[str]:
    """Accepting is returning here: the other end's network may have an ACL as well."""
    peer = "saddr" if way == "in" else "daddr"
    for family, cidr in ((4, network.cidr), (6, network.cidr6)):
        inside = [cidr] if cidr is not None else []
        yield f"{IP[family]} {peer} {addresses([*inside, *_ON_LINK[family]])} return"
    for rule in rules:
        for match in matches(rule, way):
            yield f"{match} {'return' if rule.action == ACCEPT else 'drop'}".lstrip()
    yield "drop"
