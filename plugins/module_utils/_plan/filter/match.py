# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules make of a packet: the first that matches decides, and a packet that none matches is dropped.

Rules are JSON of rules.py. Whoever judges many packets keeps one Known, or one Policy: each reads its rules once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, NamedTuple, Union

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, DROP, ICMP, ICMPV6, UDP

_BITS = {4: 32, 6: 128}
_ICMP_FAMILY = {ICMP: 4, ICMPV6: 6}
_VRRP, _IGMP = 112, 2
# Multicast groups of VRRP (RFC 9568): 224.0.0.18 and ff02::12.
_VRRP_TARGETS = frozenset((0xE0000012, (0xFF02 << 112) + 0x12))
# Neighbour discovery and multicast listener discovery.
_LINK_TYPES = frozenset((130, 131, 132, 133, 134, 135, 136, 143))
# (family, source port, destination port) of DHCP in both directions.
_DHCP = frozenset(((4, 68, 67), (4, 67, 68), (6, 546, 547), (6, 547, 546)))
# Kept answers to "which rules are about this kind of packet"; beyond, all are worked out anew.
_KEPT = 100_000
NO_RULE = "no rule"


class Packet(NamedTuple):
    """A packet. family: 4 or 6. source, target: addresses as integers. Ports and ICMP numbers: 0 where it has none."""

    family: int
    source: int
    target: int
    protocol: int
    sport: int = 0
    dport: int = 0
    icmp_type: int = 0
    icmp_code: int = 0


class Verdict(NamedTuple):
    """What becomes of a packet.

    action: accept, drop or reject. path: of the rule that decided, NO_RULE where the groups have none for it, "" where
    nobody's groups are asked. ingress: whether the target's groups decided, not the source's.
    """

    action: str
    path: str
    ingress: bool


class _Rule:
    """A rule with its peers by family: single addresses, and (firsts, lasts) of ranges in order."""

    __slots__ = ("action", "anybody", "icmp", "path", "ports", "protocol", "ranges", "singles")

    def __init__(self, rule: Mapping[str, Any], known: Known) -> None:
        self.action: str = rule["action"]
        self.path: str = rule["path"]
        self.protocol: int | None = rule.get("protocol")
        self.ports: list[tuple[int, int]] = [(pair[0], pair[1]) for pair in rule.get("ports") or ()]
        self.icmp: list[int | None] | None = rule.get("icmp")
        peers = rule.get("peers") or ()
        self.anybody = not peers
        self.singles: dict[int, list[frozenset[int]]] = {4: [], 6: []}
        self.ranges: dict[int, list[tuple[list[int], list[int]]]] = {4: [], 6: []}
        for peer in peers:
            found = known.peer(peer)
            for family in (4, 6):
                if found.singles[family]:
                    self.singles[family].append(found.singles[family])
                if found.firsts[family]:
                    self.ranges[family].append((found.firsts[family], found.lasts[family]))

    def about(self, packet: Packet) -> bool:
        """Whether it can match packets of this kind, whoever the other side is."""
        if self.protocol is not None:
            if packet.protocol != self.protocol or _ICMP_FAMILY.get(self.protocol, packet.family) != packet.family:
                return False
            if self.ports and not any(first <= packet.dport <= last for first, last in self.ports):
                return False
            if self.icmp is not None:
                number, code = self.icmp
                if packet.icmp_type != number or (code is not None and packet.icmp_code != code):
                    return False
        return self.anybody or bool(self.singles[packet.family]) or bool(self.ranges[packet.family])

    def names(self, family: int, address: int) -> bool:
        """Whether the address is one of the peers."""
        if self.anybody:
            return True
        for singles in self.singles[family]:
            if address in singles:
                return True
        for firsts, lasts in self.ranges[family]:
            at = bisect_right(firsts, address) - 1
            if at >= 0 and address <= lasts[at]:
                return True
        return False


class Addresses:
    """A set of addresses and networks. singles: by family. firsts, lasts: of disjoint ranges in order, by family."""

    __slots__ = ("firsts", "lasts", "singles")

    def __init__(self, texts: Iterable[str]) -> None:
        """texts: addresses and networks, of either family, in any order and overlapping as they like."""
        singles: dict[int, set[int]] = {4: set(), 6: set()}
        ranges: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for text in texts:
            family, first, last = _range(text)
            if first == last:
                singles[family].add(first)
            else:
                ranges[family].append((first, last))
        self.singles = {family: frozenset(found) for family, found in singles.items()}
        self.firsts: dict[int, list[int]] = {4: [], 6: []}
        self.lasts: dict[int, list[int]] = {4: [], 6: []}
        for family, found in ranges.items():
            firsts, lasts = self.firsts[family], self.lasts[family]
            for first, last in sorted(found):
                if lasts and first <= lasts[-1] + 1:
                    lasts[-1] = max(last, lasts[-1])
                else:
                    firsts.append(first)
                    lasts.append(last)

    def __contains__(self, item: tuple[int, int]) -> bool:
        """item: (family, address)."""
        family, address = item
        if address in self.singles[family]:
            return True
        at = bisect_right(self.firsts[family], address) - 1
        return at >= 0 and address <= self.lasts[family][at]


class Known:
    """What the names in rules stand for. lists: name -> networks; members: group -> addresses; all as text."""

    def __init__(self, lists: Mapping[str, Iterable[str]], members: Mapping[str, Iterable[str]]) -> None:
        self._texts = {"list": lists, "group": members}
        self._named: dict[tuple[str, str], Addresses] = {}
        # Rules by identity; the reference keeps it from being given to another object.
        self._read: dict[int, tuple[Sequence[Mapping[str, Any]], list[_Rule]]] = {}

    def peer(self, peer: Mapping[str, str]) -> Addresses:
        """Whom a peer of a rule stands for; nobody where the name is not known."""
        ((kind, word),) = peer.items()
        if kind == "prefix":
            return Addresses((word,))
        if (kind, word) not in self._named:
            self._named[kind, word] = Addresses(self._texts[kind].get(word, ()))
        return self._named[kind, word]

    def read(self, rules: Sequence[Mapping[str, Any]]) -> list[_Rule]:
        """The rules, read once."""
        found = self._read.get(id(rules))
        if found is None:
            found = self._read[id(rules)] = (rules, [_Rule(rule, self) for rule in rules])
        return found[1]


def first(rules: Sequence[Mapping[str, Any]], packet: Packet, ingress: bool, known: Known) -> int | None:
    """Index of the first rule that matches; None where none does. ingress: whether the peer is the source."""
    address = packet.source if ingress else packet.target
    for index, rule in enumerate(known.read(rules)):
        if rule.about(packet) and rule.names(packet.family, address):
            return index
    return None


def always(packet: Packet) -> bool:
    """Whether it passes whatever rules say: neighbours must be found and addresses given. Who may send it is the
    guard's affair."""
    protocol = packet.protocol
    if protocol == UDP:
        return (packet.family, packet.sport, packet.dport) in _DHCP
    if protocol == ICMPV6:
        return packet.family == 6 and packet.icmp_type in _LINK_TYPES
    return (protocol == _IGMP and packet.family == 4) or (protocol == _VRRP and packet.target in _VRRP_TARGETS)


class Policy:
    """The policy of a host's slice, ready to judge many packets.

    guests: address or network -> groups; groups: name -> {ingress: [rule], egress: [rule] or null}; lists, members: as
    Known has them. A group whose egress is null accepts, at its place in the order, all that its members send.
    """

    def __init__(self, policy: Mapping[str, Any]) -> None:
        known = Known(policy.get("lists") or {}, policy.get("members") or {})
        self._single: dict[int, dict[int, _Side]] = {4: {}, 6: {}}
        self._ranges: list[tuple[int, int, int, _Side]] = []
        sides: dict[tuple[str, ...], _Side] = {}
        for text, names in policy["guests"].items():
            groups = tuple(names)
            if groups not in sides:
                sides[groups] = _Side([policy["groups"][name] for name in groups], known)
            family, lowest, highest = _range(text)
            if lowest == highest:
                self._single[family][lowest] = sides[groups]
            else:
                self._ranges.append((family, lowest, highest, sides[groups]))
        # The narrowest network decides.
        self._ranges.sort(key=lambda item: item[2] - item[1])

    def local(self, family: int, address: int) -> bool:
        """Whether the address is a guest's whose groups are asked."""
        return self._side(family, address) is not None

    def judge(self, packet: Packet) -> Verdict:
        """What becomes of a packet that opens a flow, or that nobody tracks."""
        source = self._side(packet.family, packet.source)
        target = self._side(packet.family, packet.target)
        verdict = _PASSED
        if (source is None and target is None) or always(packet):
            return verdict
        if source is not None:
            verdict = source.judge(packet, False)
            if verdict.action != ACCEPT:
                return verdict
        return verdict if target is None else target.judge(packet, True)

    def _side(self, family: int, address: int) -> _Side | None:
        found = self._single[family].get(address)
        if found is None and self._ranges:
            for other, lowest, highest, side in self._ranges:
                if other == family and lowest <= address <= highest:
                    return side
        return found


def judge(policy: Union[Policy, Mapping[str, Any]], packet: Packet) -> Verdict:
    """Judge one packet; whoever has many makes a Policy first."""
    return (policy if isinstance(policy, Policy) else Policy(policy)).judge(packet)


class _Side:
    """The rules of all groups of an interface, in the order that decides."""

    def __init__(self, groups: Iterable[Mapping[str, Any]], known: Known) -> None:
        self._rules: dict[bool, list[_Rule]] = {True: [], False: []}
        for group in groups:
            self._rules[True] += known.read(group["ingress"])
            egress = group.get("egress")
            self._rules[False] += known.read(egress) if egress is not None else [_EVERYTHING]
        self._about: dict[tuple[bool, int, int, int, int, int], list[_Rule]] = {}

    def judge(self, packet: Packet, ingress: bool) -> Verdict:
        family, source, target, protocol, _sport, dport, number, code = packet
        kind = (ingress, family, protocol, dport, number, code)
        rules = self._about.get(kind)
        if rules is None:
            if len(self._about) >= _KEPT:
                self._about.clear()
            rules = self._about[kind] = [rule for rule in self._rules[ingress] if rule.about(packet)]
        address = source if ingress else target
        for rule in rules:
            if rule.names(family, address):
                return Verdict(rule.action, rule.path, ingress)
        return _DROPPED_IN if ingress else _DROPPED_OUT


_EVERYTHING = _Rule({"action": ACCEPT, "path": ""}, Known({}, {}))
_PASSED = Verdict(ACCEPT, "", False)
_DROPPED_IN, _DROPPED_OUT = Verdict(DROP, NO_RULE, True), Verdict(DROP, NO_RULE, False)


def _range(text: str) -> tuple[int, int, int]:
    """(family, first, last) of an address or a network. Raises ValueError."""
    address, slash, length = text.partition("/")
    family = 6 if ":" in address else 4
    try:
        value = int.from_bytes(inet_pton(AF_INET6 if family == 6 else AF_INET, address), "big")
        size = 1 << (_BITS[family] - int(length)) if slash else 1
    except (OSError, ValueError):
        raise ValueError(f"{text!r} is neither an address nor a network") from None
    return family, value, value + size - 1
