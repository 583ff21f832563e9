# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rule of a security group or a network ACL in the words of iptables and ip6tables, as iptables-save prints them.

A protocol that only /etc/protocols names is a number here; subsystem iptables reads it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ICMP, ICMPV6, Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SECURITY_GROUPS

P = SECURITY_GROUPS.prefix
# Names that iptables itself has for protocols, in every version.
_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 50: "esp", 51: "ah", 58: "ipv6-icmp", 132: "sctp", 136: "udplite"}
_ICMP_FAMILY = {ICMP: 4, ICMPV6: 6}
# Where the other side of a packet stands, by direction: as an option, and to the match of sets.
_PEER = {"in": ("-s", "src"), "out": ("-d", "dst")}
# Extension headers of IPv6, which are skipped where a packet's protocol is sought: nothing ends in them.
_SKIPPED6 = frozenset((43, 44, 60))
_AH = 51
# A match of several ports takes 15, where a range counts twice.
_MOST_PORTS = 15
_ANY_TYPE = 255
# linux/filter.h
_ETHERNET = 0x100000000 - 0x200000


def members_set(family: int, group: str) -> str:
    return f"{P}m{family}-{group}"


def list_set(family: int, name: str) -> str:
    return f"{P}l{family}-{name}"


def in_set(name: str, side: str, negated: bool = False) -> str:
    """side: "src" or "dst"."""
    return f"-m set {'! ' if negated else ''}--match-set {name} {side}"


def protocol(number: int) -> str:
    return f"-p {_NAMES.get(number, number)}"


def u32(text: str) -> str:
    return f'-m u32 --u32 "{text}"'


def ethernet(mac: str, way: str) -> str:
    """A MAC as the target ("in") or the sender ("out") of a frame on a bridge, for which there is no other match.

    Instructions of BPF: load the four octets at SKF_LL_OFF, the Ethernet header, compare, load two more, compare.
    """
    number = int(mac.replace(":", ""), 16)
    at = _ETHERNET + (0 if way == "in" else 6)
    code = f"6,32 0 0 {at},21 0 3 {number >> 16},40 0 0 {at + 4},21 0 1 {number & 0xFFFF},6 0 0 65535,6 0 0 0"
    return f'-m bpf --bytecode "{code}"'


def matches(rule: Rule, family: int, way: str) -> list[str]:
    """What a rule matches, as conditions of rules of one family; "" for everything. way: "in" or "out"."""
    return [
        " ".join(word for word in (peer, what, named) if word)
        for peer, named in _peers(rule, family, way)
        for what in _what(rule, family)
    ]


def families(rule: Rule) -> tuple[int, ...]:
    return (_ICMP_FAMILY[rule.protocol],) if rule.protocol in _ICMP_FAMILY else (4, 6)


def _peers(rule: Rule, family: int, way: str) -> Iterator[tuple[str, str]]:
    """(condition on an address, condition on a set) of each peer."""
    if family not in families(rule):
        return
    option, side = _PEER[way]
    if not rule.peers:
        yield "", ""
    for peer in rule.peers:
        if peer.prefix is not None and peer.prefix.family == family:
            # Everything is no condition.
            yield (f"{option} {peer.prefix.text}" if peer.prefix.length else ""), ""
        elif peer.list is not None:
            yield "", in_set(list_set(family, peer.list), side)
        elif peer.group is not None:
            yield "", in_set(members_set(family, peer.group), side)


def _what(rule: Rule, family: int) -> list[str]:
    """Conditions on protocol, ports and types; none where no packet of the family can be meant."""
    number = rule.protocol
    if number is None:
        return [""]
    if rule.ports:
        return [f"{protocol(number)} -m multiport --dports {words}" for words in _ports(rule.ports)]
    if rule.icmp is not None:
        return [_icmp(number, *rule.icmp)]
    if family == 6 and number in _SKIPPED6:
        return []
    if family == 6 and number == _AH:
        # ip6tables-legacy looks behind it for a protocol, but not for this match.
        return ["-m ah"]
    return [protocol(number)]


def _icmp(number: int, kind: int, code: int | None) -> str:
    if number == ICMP and kind == _ANY_TYPE:
        # Which -m icmp takes for every type.
        tests = ["0x0>>0x16&0x3c@0x0>>0x18=0xff"]
        if code is not None:
            tests.append(f"0x0>>0x16&0x3c@0x0>>0x10&0xff={code:#x}")
        return f"{protocol(ICMP)} {u32('&&'.join(tests))}"
    match = "-m icmp --icmp-type" if number == ICMP else "-m icmp6 --icmpv6-type"
    return f"{protocol(number)} {match} {kind}" + (f"/{code}" if code is not None else "")


def _ports(ports: Iterable[tuple[int, int]]) -> Iterator[str]:
    """Lists of ports for as many rules as are needed."""
    words: list[str] = []
    room = _MOST_PORTS
    for first, last in ports:
        size = 1 if first == last else 2
        if size > room:
            yield ",".join(words)
            words, room = [], _MOST_PORTS
        words.append(str(first) if first == last else f"{first}:{last}")
        room -= size
    yield ",".join(words)
