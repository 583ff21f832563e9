# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets between the namespaces of a lab that prove what was expected, and what the plan says of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, DROP, REJECT, TCP
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.expectations import Result
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.journey import UNKNOWN
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.question import Packet
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import (
    GUEST,
    HOST,
    INTERNET,
    OUTSIDE,
    PUBLIC,
    End,
    World,
    private,
)

# No answer, but whoever asks cannot be sure to be told that it is refused.
CLOSED = "closed"
# So many packets of one expectation are sent: prefixes have many.
MOST = 24


class Attempt(NamedTuple):
    """One packet.

    path: of the expectation. text: the packet for people. source: the namespace that sends, without the lab's name; ""
    where nobody can, and why says so. source_address: "" for its own choice. kind: tcp, udp or ping. verdict: what must
    become of it: accept, drop, reject or CLOSED. seen: the source address that its listener must see, "" for any.
    listen: (namespace, address, port) of the listener, None where there is none. others: whether a program that already
    listens there will do. led: whether the sender must have a route for the address, so that to have none proves
    nothing. lent, routed: addresses that the internet is given for the moment, and addresses of ours for which it is
    given a route by the host `router`.
    """

    path: str
    text: str
    source: str
    source_address: str
    kind: str
    address: str
    port: int
    verdict: str
    seen: str
    listen: tuple[str, str, int] | None
    others: bool
    led: bool
    lent: tuple[str, ...]
    routed: tuple[str, ...]
    router: str
    why: str


def attempts(world: World, results: Iterable[Result]) -> Iterator[Attempt]:
    """The packets that prove expectations; at least one for each."""
    for result in results:
        packets = result.answer.packets
        step = max(1, -(-len(packets) // MOST))
        for packet in packets[::step]:
            yield _attempt(world, result, packet)
        if not packets:
            yield _none(result, result.text, result.answer.reason)


def _attempt(world: World, result: Result, packet: Packet) -> Attempt:
    way, family = packet.way, packet.family
    text = f"{result.text} ({_text(family, way.source)} to {_text(family, way.address)})"
    if packet.source.kind not in (GUEST, HOST, OUTSIDE):
        return _none(result, text, "nobody in a lab sends from there")
    if way.address is None:
        return _none(result, text, way.reason)
    verdict = due(world, packet, result.accept)
    question = result.question
    lent = [
        format_address(family, end.address)
        for end in (packet.source, packet.target)
        if end.kind == OUTSIDE and end.address is not None
    ]
    listen, routed = _listen(world, packet), _routed(world, packet)
    return Attempt(
        result.path,
        text,
        _netns(packet.source),
        format_address(family, way.source) if packet.source.kind != HOST and way.source is not None else "",
        question.text.partition("/")[0],
        format_address(family, way.address),
        way.port,
        verdict,
        _seen(world, packet) if verdict == ACCEPT else "",
        listen if question.protocol is not None else None,
        question.protocol == TCP and packet.target.kind in (HOST, OUTSIDE),
        packet.source.kind != OUTSIDE
        or way.address != packet.target.address
        or packet.target.kind == PUBLIC
        or bool(routed),
        tuple(address for address in lent if address != INTERNET[family]),
        routed,
        world.hosts[world.router]["underlay" if family == 4 else "underlay6"] if world.router is not None else "",
        "",
    )


def due(world: World, packet: Packet, accept: bool) -> str:
    """What must become of a packet: accept, drop, reject or CLOSED. accept: what is expected where others decide."""
    verdict, nic = packet.way.verdict, packet.source.nic
    if verdict == UNKNOWN:
        return ACCEPT if accept else DROP
    if verdict == REJECT and packet.source.kind == HOST:
        # The kernel refuses its own packet at once, and says the same of one that it drops.
        return CLOSED
    if verdict == REJECT and nic is not None and world.networks[nic.network]["flat"]:
        # A hypervisor without an address there has none to send an ICMP error from.
        return CLOSED
    return verdict


def _routed(world: World, packet: Packet) -> tuple[str, ...]:
    """The guest's own address, where others decide whether it has a route: with one, our filters are what counts."""
    way, family = packet.way, packet.family
    arrives = packet.source.kind == OUTSIDE
    guest, other = (packet.target, packet.source) if arrives else (packet.source, packet.target)
    if guest.nic is None or guest.address is None or other.kind != OUTSIDE or private(family, guest.address):
        return ()
    network = world.networks[guest.nic.network]
    # A public address leads there, or the router shows another one.
    translated = guest.address != way.address if arrives else network["nat"]
    if network["flat"] or translated or (network["nat"] and family == 4):
        return ()
    return (format_address(family, guest.address),)


def _seen(world: World, packet: Packet) -> str:
    """The source address that the target sees, where that is one and no choice."""
    way = packet.way
    if way.seen is None or (packet.source.kind == HOST and packet.family == 6):
        return ""
    masked = way.seen != way.source
    if masked and (packet.family == 6 or world.pools):
        return ""
    return format_address(packet.family, way.seen)


def _listen(world: World, packet: Packet) -> tuple[str, str, int] | None:
    """Where the packet is to be answered."""
    target, way = packet.target, packet.way
    if target.kind != GUEST and way.to is not None:
        # A public address leads to somebody else.
        target = world.of_address(packet.family, way.to)
    address = way.to if way.to is not None else target.address
    if target.kind not in (GUEST, HOST, OUTSIDE) or (target.kind == HOST and not target.name) or address is None:
        return None
    return _netns(target), format_address(packet.family, address), way.to_port


def _netns(end: End) -> str:
    if end.kind == GUEST:
        return f"vm-{end.name}"
    return end.name if end.kind == HOST else "internet"


def _text(family: int, address: int | None) -> str:
    return format_address(family, address) if address is not None else "its own address"


def _none(result: Result, text: str, why: str) -> Attempt:
    """A packet that cannot be sent."""
    return Attempt(result.path, text, "", "", "", "", 0, "", "", None, False, False, (), (), "", why)
