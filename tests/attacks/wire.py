# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the frames of cases, and say who saw them."""

from __future__ import annotations

import itertools
import os
import select
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.tests.attacks.arp import REPLY, arp
from ansible_collections.plainlinux.vpc.tests.attacks.case import Case, Needle
from ansible_collections.plainlinux.vpc.tests.attacks.namespaces import Namespaces
from ansible_collections.plainlinux.vpc.tests.attacks.world import ABSENT, World

# What the hypervisor's own handlers on the attacker's port would take: EAPOL, LACP, LLDP, MSRP.
_PORT_PROTOCOLS = (0x888E, 0x8809, 0x88CC, 0x22EA)
_OUTGOING = 4
_MAX_FRAME = 10000
# Seconds without a frame after which none comes later by some timer.
_SILENCE = 0.3
# How often, at most, a frame is queued anew on its way: port, bridge, routing and neighbours that have to be asked.
_STAGES = 12
# Seconds that the kernel may take for one stage, and those after which a chatty neighbourhood is listened to no more.
_PATIENCE = 60.0
_ENOUGH = 5.0
# Frames that are sent at once: far fewer than a queue of the kernel takes.
_LOT = 16


@dataclass(frozen=True)
class Result:
    """got: those of case.seen who saw all of its frames."""

    case: Case
    got: frozenset[str]

    @property
    def passed(self) -> bool:
        """A legitimate case has to arrive everywhere; an attack that arrives anywhere has got through."""
        return self.got == self.case.seen if self.case.legit else bool(self.got)


class Wire:
    """Packet sockets of all senders and receivers of one topology. Close it, or use it in a `with`."""

    def __init__(self, topology: Namespaces) -> None:
        self.topology = topology
        self._stack = ExitStack()
        self._sockets: dict[str, socket.socket] = {}
        self._listeners: list[tuple[str, socket.socket]] = []
        # One processor: then the kernel handles frames in the order in which they are sent, each in its turn.
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {sorted(before)[os.getpid() % len(before)]})
        self._stack.callback(os.sched_setaffinity, 0, before)
        world = topology.world
        for name in (*world.vifs, "host", "ext"):
            self._sockets[name] = self._stack.enter_context(topology.packet_socket(name))
            self._listeners.append((name, self._sockets[name]))
        ports = (world.vifs["a"].name, world.scene.stranger.name)
        for device, protocol in itertools.product(ports, _PORT_PROTOCOLS):
            port = topology.packet_socket("host", device, protocol)
            self._listeners.append(("port", self._stack.enter_context(port)))
        self._fence = self._stack.enter_context(topology.udp_socket("host", "127.0.0.1", 0))
        self._fence.connect(self._fence.getsockname())
        self._fence.setblocking(True)
        self._fence.settimeout(_PATIENCE)
        self._refresh = _refresh(world)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self, sender: str, *frames: bytes) -> None:
        for number, frame in enumerate(frames):
            if number % _LOT == _LOT - 1:
                self.settle()
            self._sockets[sender].send(frame)

    def settle(self) -> None:
        """Return when the kernel has handled all that was sent, and what followed from it.

        Every packet that changes network namespaces, as one to the loopback interface, goes to the end of its
        processor's queue. However busy the machine is: when it is back, those before it have gone a stage further.
        """
        for _stage in range(_STAGES):
            self._fence.send(b"")
            self._fence.recv(1)

    def refresh(self) -> None:
        """Everybody says something to the gateway, so that the bridge knows again who is where."""
        for sender, frame in self._refresh:
            self.send(sender, frame)

    def collect(self, silence: float = 0.0) -> list[tuple[str, bytes]]:
        """(receiver, frame) of all that came in. silence: wait until nothing more comes for so many seconds."""
        self.settle()
        found: list[tuple[str, bytes]] = []
        names = {one.fileno(): (name, one) for name, one in self._listeners}
        poll = select.poll()
        for number in names:
            poll.register(number, select.POLLIN)
        end = time.monotonic() + _ENOUGH
        while (ready := poll.poll(int(silence * 1000))) and time.monotonic() < end:
            for number, _event in ready:
                name, one = names[number]
                try:
                    while True:
                        frame, address = one.recvfrom(_MAX_FRAME)
                        if address[2] != _OUTGOING:
                            found.append((name, frame))
                except BlockingIOError:
                    pass
        return found

    def run(self, cases: Iterable[Case]) -> list[Result]:
        """Send all cases, each followed by a refresh where it pretends to be another station."""
        todo = list(cases)
        self.refresh()
        self.collect()
        sightings = self._try(todo)
        first = [_result(case, sightings) for case in todo]
        # A neighbour that has to be asked may be slow; what a guard refuses is refused again. Where no attack got
        # through, there is no need to repeat them.
        leaky = any(result.got for result in first if not result.case.legit)
        lost = [one.case for one in first if (one.case.legit or leaky) and one.got != one.case.seen]
        if not lost:
            return first
        sightings |= self._try(lost)
        return [_result(case, sightings) for case in todo]

    def _try(self, cases: list[Case]) -> set[tuple[str, Needle]]:
        """Send in small lots, so that no queue of the kernel runs over; gives who saw what."""
        world = self.topology.world
        found: list[tuple[str, bytes]] = []
        for number, case in enumerate(cases):
            self.send(case.sender, *case.frames)
            if any(world.owner(_source(frame)) != case.sender for frame in case.frames):
                self.refresh()
            if number % _LOT == _LOT - 1:
                found += self.collect()
        return _sightings(cases, found + self.collect(_SILENCE))


def _result(case: Case, sightings: set[tuple[str, Needle]]) -> Result:
    whole = (name for name in case.seen if all((name, needle) in sightings for needle in case.needles))
    return Result(case, frozenset(whole))


def _source(frame: bytes) -> str:
    return ":".join(f"{octet:02x}" for octet in frame[6:12])


def _sightings(cases: Iterable[Case], frames: Iterable[tuple[str, bytes]]) -> set[tuple[str, Needle]]:
    """Which receiver saw which frame of the cases."""
    needles = {needle for case in cases for needle in case.needles}
    shapes = {(needle.offset, len(needle.data)) for needle in needles if not needle.whole}
    found = set()
    for name, data in frames:
        candidates = [Needle(data[offset : offset + size], offset, False) for offset, size in shapes]
        for needle in (*candidates, Needle(data[12:], 12, True)):
            if needle in needles:
                found.add((name, needle))
    return found


def _refresh(world: World) -> list[tuple[str, bytes]]:
    gw = world.gw
    stations = [(vif.guest, vif.mac, world.guest(vif.guest).ip4) for vif in world.scene.guests]
    virtual = world.virtual(4)
    if virtual.mac != ABSENT.mac:
        stations.append(("r", virtual.mac, virtual.address))
    frames = [
        (name, bytes(arp(REPLY, (mac, address), (gw.mac, gw.ip4), gw.mac)).ljust(60, b"\0"))
        for name, mac, address in stations
    ]
    if not world.routed:
        b = world.guest("b")
        frames.append(("ext", bytes(arp(REPLY, (gw.mac, gw.ip4), (b.mac, b.ip4), b.mac)).ljust(60, b"\0")))
    return frames
