# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions in the words of an inventory, and all the packets that answer one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    parse_address,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.expectation import INTERNET as ANYWHERE
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.expectation import PING
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, DROP, REJECT, TCP, UDP
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.journey import UNKNOWN
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.walk import Way, walk
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import (
    GUEST,
    HOST,
    INTERNET,
    NOBODY,
    OUTSIDE,
    End,
    Nic,
    World,
)

# Some of a prefix's addresses, or one of two families, get through; others do not, or others decide it.
MIXED = "mixed"
# So many addresses stand for a prefix at most.
SAMPLES = 200
PROTOCOLS = {"tcp": TCP, "udp": UDP}
WORDS = f"a guest, `guest.N` for its interface N, a host, {ANYWHERE}, an address or a prefix"
PORTS = "tcp/N or udp/N with N from 1 to 65535, or ping"
_PORT = re.compile(r"(tcp|udp)/([1-9][0-9]{0,4})")
_NUMBER = re.compile(r"(.+)\.(0|[1-9][0-9]{0,2})")


class Question(NamedTuple):
    """Whether source reaches target. protocol: None for a ping. family: 0 for each that both have."""

    source: str
    target: str
    protocol: int | None
    port: int
    family: int

    @property
    def text(self) -> str:
        """What is asked for, as an inventory has it."""
        return port_text(self.protocol, self.port)


class Packet(NamedTuple):
    """One of the packets that answer a question, and what became of it."""

    family: int
    source: End
    target: End
    way: Way


class Answer(NamedTuple):
    """verdict: accept, drop, reject, UNKNOWN or MIXED. packets: those that were followed; decisive: the one to show."""

    verdict: str
    packets: tuple[Packet, ...]
    decisive: Packet | None
    reason: str

    @property
    def path(self) -> str:
        return self.decisive.way.path if self.decisive is not None else ""

    @property
    def decided(self) -> str:
        """The object that decides, and why, for people."""
        return f"{self.path}: {self.reason}" if self.path else self.reason


def port_text(protocol: int | None, port: int) -> str:
    names = {number: name for name, number in PROTOCOLS.items()}
    return PING if protocol is None else f"{names.get(protocol, protocol)}/{port}"


def parse_port(text: str) -> tuple[int | None, int]:
    """(protocol, port) of `tcp/443` or `ping`. Raises ValueError."""
    found = _PORT.fullmatch(text)
    if text == PING:
        return None, 0
    if found is None or int(found[2]) > 65535:
        raise ValueError(f"{show(text)} is not allowed: {PORTS}")
    return PROTOCOLS[found[1]], int(found[2])


def check_pair(world: World, source: str, target: str) -> None:
    """Raises ValueError where no packet of ours goes from one to the other."""
    if source == target:
        raise ValueError(f"{show(source)} is both ends: nothing is sent")
    if not any(word in world.instances or word in world.hosts or _nic(world, word) for word in (source, target)):
        raise ValueError(f"neither {show(source)} nor {show(target)} is a guest or a host of ours")


def check(world: World, word: str) -> None:
    """Raises ValueError where a word is the name of nobody."""
    if word == ANYWHERE or word in world.instances or word in world.hosts or _nic(world, word) is not None:
        return
    if _prefix(word) is None:
        hint = Report().hint(word, [*world.instances, *world.hosts, ANYWHERE])
        raise ValueError(f"{show(word)} is not allowed: {WORDS}{hint}")


def ask(world: World, question: Question, expected: bool | None = None) -> Answer:
    """Answer a question whose words exist. expected: whether it should get through, to show what contradicts that."""
    packets = tuple(_packets(world, question, expected))
    if not packets:
        return Answer(DROP, (), None, _why_none(world, question))
    verdicts = {packet.way.verdict for packet in packets}
    wrong = (ACCEPT,) if expected is False else (DROP, REJECT)
    decisive = next((packet for packet in packets if packet.way.verdict in wrong), None)
    decisive = decisive or next((packet for packet in packets if packet.way.verdict == UNKNOWN), packets[0])
    if len(verdicts) == 1:
        verdict = decisive.way.verdict
    elif ACCEPT in verdicts:
        verdict = MIXED
    elif UNKNOWN in verdicts:
        verdict = UNKNOWN
    else:
        verdict = DROP
    reason = decisive.way.reason
    if len(packets) > 1 and len(verdicts) > 1:
        reason = f"{reason}, for {_ends(decisive)}"
    return Answer(verdict, packets, decisive, reason)


def _why_none(world: World, question: Question) -> str:
    """Why no packet can be sent."""
    ends = (question.source, question.target)
    hosts = [word for word in ends if word in world.hosts and world.underlay(word, 6) is None]
    if hosts and all(word in hosts or 6 in _families(world, word) for word in ends):
        return f"{hosts[0]} has only a link-local IPv6 address, which others cannot ask: see vpc_underlay_address6"
    return "they have no address family in common"


def fulfils(answer: Answer, expected: bool) -> bool | None:
    """Whether an answer is as expected; None where others than we decide."""
    verdicts = {packet.way.verdict for packet in answer.packets} or {answer.verdict}
    if verdicts & ({DROP, REJECT} if expected else {ACCEPT}):
        return False
    return None if UNKNOWN in verdicts else True


def _ends(packet: Packet) -> str:
    names = [end.nic.text if end.nic is not None else end.name or ANYWHERE for end in (packet.source, packet.target)]
    return f"{names[0]} to {names[1]} in IPv{packet.family}"


def _packets(world: World, question: Question, expected: bool | None) -> Iterator[Packet]:
    families = [question.family] if question.family else [4, 6]
    if question.source == ANYWHERE and not question.family and expected is not False:
        # All public addresses are IPv4: IPv6 is no way that anyone would mean, but one that must be closed.
        families = [4] if 4 in _families(world, question.target) else families
    for family in families:
        if family not in _families(world, question.source) or family not in _families(world, question.target):
            continue
        if question.target in world.hosts and world.underlay(question.target, family) is None:
            # It has no address in this family that anybody could ask.
            continue
        for target in _targets(world, question.target, family):
            for source in _sources(world, question.source, family, target):
                if not _same(source, target):
                    way = walk(world, family, source, target, question.protocol, question.port)
                    yield Packet(family, source, target, way)


def _same(source: End, target: End) -> bool:
    if source.nic is not None and target.nic is not None:
        return source.nic.guest == target.nic.guest
    return source.kind == target.kind == HOST and source.name == target.name


def _families(world: World, word: str) -> list[int]:
    """Families in which somebody has an address."""
    if word in world.instances:
        return sorted({family for nic in world.nics(word) for family in nic.addresses})
    nic = _nic(world, word)
    if nic is not None:
        return sorted(nic.addresses)
    prefix = _prefix(word)
    if prefix is not None and word not in world.hosts:
        return [prefix.family]
    return [4, 6]


def _targets(world: World, word: str, family: int) -> Iterable[End]:
    if word in world.instances:
        nic = next(nic for nic in world.nics(word) if family in nic.addresses)
        return [End(GUEST, nic.guest, nic.addresses[family], nic)]
    return _others(world, word, family)


def _sources(world: World, word: str, family: int, target: End) -> Iterable[End]:
    if word in world.instances:
        nic = outgoing(world, word, family, target.address)
        return [End(GUEST, nic.guest, nic.addresses.get(family), nic)]
    if word in world.hosts and family == 6 and world.underlay(word, 6) is None:
        # From its link-local address a host asks its own guests only.
        return [End(HOST, word, None)] if target.nic is not None and target.nic.hypervisor == word else []
    return _others(world, word, family)


def _others(world: World, word: str, family: int) -> Iterable[End]:
    """Ends that do not depend on the other one."""
    nic = _nic(world, word)
    if nic is not None:
        return [End(GUEST, nic.guest, nic.addresses[family], nic)]
    if word in world.hosts:
        return [End(HOST, word, None)]
    if word == ANYWHERE:
        return [End(OUTSIDE, "", parse_address(family, INTERNET[family]))]
    prefix = _prefix(word)
    if prefix is None:
        return []
    if prefix.size == 1:
        return [world.of_address(family, prefix.base)]
    found = [world.of_address(family, address) for address in samples(world, prefix)]
    return [end for end in found if end.kind != NOBODY] or found


def outgoing(world: World, guest: str, family: int, target: int | None) -> Nic:
    """The interface from which a guest asks: the one next to the target, or else its first."""
    nics = world.nics(guest)
    for nic in nics:
        # Everybody's IPv6 way is the gateway, but in a flat network.
        near = family == 4 or world.networks[nic.network]["flat"]
        if target is not None and near and family in nic.addresses and world.inside(nic.network, family, target):
            return nic
    return nics[0]


def _nic(world: World, word: str) -> Nic | None:
    """The interface that `guest.N` stands for."""
    found = _NUMBER.fullmatch(word)
    if found is None or found[1] not in world.instances or word in world.instances:
        return None
    number = int(found[2])
    return world.nic(found[1], number) if number < len(world.instances[found[1]]["interfaces"]) else None


def _prefix(word: str) -> Prefix | None:
    family = 6 if ":" in word else 4
    try:
        return parse_prefix(family, word if "/" in word else f"{word}/{32 if family == 4 else 128}")
    except ValueError:
        return None


def samples(world: World, prefix: Prefix) -> list[int]:
    """Addresses that stand for all of a prefix: one of each range that no filter or network divides, and of each kind
    of guest one; at most SAMPLES."""
    edges = {prefix.base}
    named = [peer for rule in world.rules for peer in rule.get("peers", ())]
    texts = {peer["prefix"] for peer in named if "prefix" in peer}
    texts.update(text for item in world.lists.values() for text in item["prefixes"])
    divisions = [_prefix(text) for text in texts]
    divisions += [item for item, _name in (*world.prefixes, *world.remotes)]
    for other in divisions:
        if other is not None and other.family == prefix.family:
            edges.update((other.base, other.last + 1))
    if prefix.family == 4:
        edges.update(parse_address(4, text) for text in world.public)
    for name in world.hosts:
        underlay = world.underlay(name, prefix.family)
        edges.update(() if underlay is None else (underlay,))
    found = sorted(edge for edge in edges if prefix.contains(edge))[: SAMPLES // 2]
    kinds: dict[tuple[str, str, tuple[str, ...]], int] = {}
    for guest in world.instances:
        for nic in world.nics(guest):
            address = nic.addresses.get(prefix.family)
            if address is not None and prefix.contains(address):
                kinds.setdefault((nic.network, nic.hypervisor, nic.groups), address)
    return sorted({*found, *list(kinds.values())[: SAMPLES // 2]})
