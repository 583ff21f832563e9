# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections between places in network namespaces: what came of them, many at once."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

# How long a packet that is let through may take on a busy machine, and for how long one that is dropped is waited for.
PATIENCE = 5.0
SHORT = 0.4
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_ICMP = {4: (socket.IPPROTO_ICMP, 8, 0), 6: (socket.IPPROTO_ICMPV6, 128, 129)}
_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 3
_LIBC = ctypes.CDLL(None, use_errno=True)
_NUMBERS = itertools.count()

PASSED, REFUSED, LOST = "passed", "refused", "lost"


class Place(NamedTuple):
    """Where packets start and end: a namespace, and its addresses there by family."""

    namespace: str
    addresses: Mapping[int, str]


class Probe(NamedTuple):
    """protocol: tcp, udp, or ping, which has no port. size: octets that udp carries."""

    protocol: str
    source: str
    target: str
    port: int = 0
    family: int = 4
    size: int = 8


class Frame(NamedTuple):
    """Octets that a place sends from one of its devices, and where they are looked for: (place, device).

    The frame is found by its last octets, which no other one has: see marked().
    """

    data: bytes
    sender: tuple[str, str]
    receiver: tuple[str, str]


def marked() -> bytes:
    return b"vpcg%08d" % next(_NUMBERS)


class Probes:
    """places: by name."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}

    def socket(self, name: str, *kind: int) -> socket.socket:
        """A socket in the namespace of a place."""
        with entered(self.places[name].namespace):
            return socket.socket(*kind)

    def results(self, probes: Iterable[Probe], patience: float = PATIENCE) -> list[str]:
        """PASSED, REFUSED or LOST of each probe, all at once. Probes to one port of one target share a socket."""
        wanted = list(probes)
        with ThreadPoolExecutor(128) as pool, contextlib.ExitStack() as stack:
            servers: dict[tuple[str, str, int, int], socket.socket] = {}
            for probe in wanted:
                key = (probe.protocol, probe.target, probe.port, probe.family)
                if probe.protocol != "ping" and key not in servers:
                    servers[key] = stack.enter_context(self._server(probe))
            stop = socket.socketpair()
            echo = pool.submit(_echo, [item for key, item in servers.items() if key[0] == "udp"], stop[1])
            try:
                return list(pool.map(lambda probe: self._result(probe, patience), wanted))
            finally:
                stop[0].close()
                echo.result()
                stop[1].close()

    def seen(self, frames: Iterable[Frame], patience: float) -> list[bool]:
        """Whether each frame came where it is looked for, after at most so many seconds."""
        wanted = list(frames)
        with contextlib.ExitStack() as stack:
            ends = {end: stack.enter_context(self.packets(end)) for frame in wanted for end in frame[1:]}
            for frame in wanted:
                ends[frame.sender].send(frame.data)
            missing = {(frame.receiver, frame.data[-12:]) for frame in wanted}
            until = time.monotonic() + patience
            receivers = {ends[frame.receiver]: frame.receiver for frame in wanted}
            while missing and time.monotonic() < until:
                for ready in select.select(list(receivers), [], [], 0.05)[0]:
                    data, address = ready.recvfrom(65535)
                    # What the device itself sends is seen as well.
                    if address[2] != socket.PACKET_OUTGOING:
                        missing -= {(receivers[ready], data[-12:])}
            return [(frame.receiver, frame.data[-12:]) not in missing for frame in wanted]

    def packets(self, end: tuple[str, str]) -> socket.socket:
        """A packet socket at (place, device)."""
        made = self.socket(end[0], socket.AF_PACKET, socket.SOCK_RAW, 0)
        made.bind((end[1], _ETH_P_ALL))
        return made

    def _server(self, probe: Probe) -> socket.socket:
        made = self.socket(
            probe.target, _FAMILIES[probe.family], socket.SOCK_STREAM if probe.protocol == "tcp" else socket.SOCK_DGRAM
        )
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((self.places[probe.target].addresses[probe.family], probe.port))
        if probe.protocol == "tcp":
            made.listen(64)
        return made

    def _result(self, probe: Probe, patience: float) -> str:
        probing: dict[str, Callable[[Probe, float], bool]] = {"tcp": self._tcp, "udp": self._udp, "ping": self._ping}
        try:
            return PASSED if probing[probe.protocol](probe, patience) else LOST
        except (socket.timeout, PermissionError):  # what the host itself sends is refused without a packet
            return LOST
        except OSError:
            return REFUSED

    @contextlib.contextmanager
    def client(self, probe: Probe, patience: float, *kind: int) -> Iterator[tuple[socket.socket, str]]:
        """A socket at the source, and the address of the target."""
        source = self.places[probe.source].addresses.get(probe.family, "")
        with self.socket(probe.source, _FAMILIES[probe.family], *kind) as made:
            made.settimeout(patience)
            if source:
                made.bind((source, 0))
            yield made, self.places[probe.target].addresses[probe.family]

    def _tcp(self, probe: Probe, patience: float) -> bool:
        with self.client(probe, patience, socket.SOCK_STREAM) as (made, target):
            made.connect((target, probe.port))
        return True

    def _udp(self, probe: Probe, patience: float) -> bool:
        with self.client(probe, patience, socket.SOCK_DGRAM) as (made, target):
            made.connect((target, probe.port))
            made.send(b"x" * probe.size)
            return len(made.recv(65535)) == probe.size

    def _ping(self, probe: Probe, patience: float) -> bool:
        protocol, request, reply = _ICMP[probe.family]
        number = next(_NUMBERS) & 0xFFFF
        with self.client(probe, patience, socket.SOCK_RAW, protocol) as (made, target):
            made.connect((target, 0))
            body = struct.pack(">BBHHH", request, 0, 0, number, 1)
            made.send(body[:2] + struct.pack(">H", _checksum(body)) + body[4:] if probe.family == 4 else body)
            while True:
                answer = made.recv(65535)
                answer = answer[(answer[0] & 15) * 4 :] if probe.family == 4 else answer
                if answer[0] == reply and answer[4:6] == body[4:6]:
                    return True
                # Destination unreachable, about whichever packet: raw sockets get them as they come.
                if answer[0] == (3 if probe.family == 4 else 1):
                    raise ConnectionRefusedError


@contextlib.contextmanager
def entered(namespace: str) -> Iterator[None]:
    """This thread is in the namespace: a socket that is made now stays there."""
    with Path("/proc/thread-self/ns/net").open("rb") as home, Path("/run/netns", namespace).open("rb") as target:
        if _LIBC.setns(target.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        try:
            yield
        finally:
            if _LIBC.setns(home.fileno(), _CLONE_NEWNET) != 0:
                os._exit(70)  # never go on in the wrong namespace


def _echo(servers: list[socket.socket], stop: socket.socket) -> None:
    """Send back what comes, until the other end of stop closes."""
    while True:
        ready, _writable, _failed = select.select([*servers, stop], [], [])
        if stop in ready:
            return
        for item in ready:
            data, sender = item.recvfrom(65535)
            with contextlib.suppress(OSError):
                item.sendto(data, sender)


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
