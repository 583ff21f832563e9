# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many packets at once between network namespaces of this machine, and what became of each.

One process for all of them: a socket belongs to the namespace in which it was made, whoever uses it later.
"""

from __future__ import annotations

import errno
import os
import resource
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.netns import inside

ANSWERED, REFUSED, UNREACHABLE, SILENT = "answered", "refused", "unreachable", "silent"
# The sender itself knows no way: nothing was sent.
NO_ROUTE = "no route"
TCP, UDP, PING, HTTP = "tcp", "udp", "ping", "http"
# Trials in one batch: each has a socket open, and a listener may be another one.
AT_ONCE = 300
# Seconds that an answer may take, and after which silence is believed.
ANSWER_WITHIN, SILENCE_AFTER = 4.0, 2.0
# Seconds until a packet is sent again: a first one may wait for a neighbour entry or a learnt port.
_AGAIN = 0.5
_IP_RECVERR, _IPV6_RECVERR, _ICMP6_FILTER = 11, 25, 1
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
# What the kernel says where somebody on the way sends an error.
_ERRORS = {
    errno.ECONNREFUSED: REFUSED,
    errno.EHOSTUNREACH: UNREACHABLE,
    errno.ENETUNREACH: UNREACHABLE,
    errno.EACCES: UNREACHABLE,
    errno.ECONNRESET: REFUSED,
    errno.ETIMEDOUT: SILENT,
    # Our own output was dropped.
    errno.EPERM: SILENT,
}


class Trial(NamedTuple):
    """One packet to send. netns: where from. source: the address it is sent from, "" for the kernel's choice.

    kind: TCP, UDP, PING or HTTP (whose answer is told). address: may have a zone. answer: whether one is expected:
    silence is believed sooner where not. listen: (netns, address, port) of whom it should get to, None where nobody of
    ours listens there. others: whether a program of others will do that already listens there.
    """

    netns: str
    source: str
    kind: str
    address: str
    port: int
    answer: bool
    listen: tuple[str, str, int] | None = None
    others: bool = False


class Outcome(NamedTuple):
    """word: ANSWERED, REFUSED, UNREACHABLE, SILENT, NO_ROUTE, or "" where nothing could be sent.

    text: the answer: of HTTP its body, of a listener of ours the source address that it saw; without an outcome the
    reason.
    """

    word: str
    text: str = ""


def run(trials: Sequence[Trial]) -> list[Outcome]:
    """What became of each. An answer that is missing is asked for once more: addresses and ways may just be learnt."""
    found: list[Outcome] = []
    with _many_files():
        found += _batches(trials)
        missing = [index for index, trial in enumerate(trials) if trial.answer and found[index].word != ANSWERED]
        for index, outcome in zip(missing, _batches([trials[index] for index in missing])):
            found[index] = outcome
    return found


def _batches(trials: Sequence[Trial]) -> Iterator[Outcome]:
    for start in range(0, len(trials), AT_ONCE):
        yield from _Batch(trials[start : start + AT_ONCE]).run()


def listen_error(error: OSError, kind: str, port: int, netns: str) -> str:
    """Why nobody of ours can listen, for people."""
    if error.errno == errno.EADDRINUSE:
        return f"{kind}/{port} is in use by another program in {netns}"
    return f"cannot listen on {kind}/{port} in {netns}: {error.strerror}"


@contextmanager
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * AT_ONCE + 200
    raised = soft != resource.RLIM_INFINITY and soft < wanted
    if raised:
        top = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (top, hard))
    try:
        yield
    finally:
        if raised:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class _Batch:
    """Sockets of some trials, and what came to them."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = trials
        self._outcomes: list[Outcome | None] = [None] * len(trials)
        self._selector = selectors.DefaultSelector()
        self._token = os.urandom(6).hex()
        self._askers: dict[int, _Asker] = {}
        self._sockets: list[socket.socket] = []
        # Those whose connection is the answer, whatever is said on it.
        self._served = {index for index, trial in enumerate(trials) if trial.kind == TCP and trial.listen is None}

    def run(self) -> list[Outcome]:
        try:
            self._listen()
            self._ask()
            self._wait()
        finally:
            for item in self._sockets:
                item.close()
            self._selector.close()
        return [outcome or Outcome(SILENT) for outcome in self._outcomes]

    def _listen(self) -> None:
        """Open each listener once; trials whose listener cannot be have an outcome already."""
        wanted: dict[tuple[str, str, str, int], list[int]] = {}
        for index, trial in enumerate(self._trials):
            if trial.listen is not None and trial.kind in (TCP, UDP):
                netns, address, port = trial.listen
                wanted.setdefault((netns, trial.kind, address, port), []).append(index)
        for (netns, kind, address, port), users in wanted.items():
            try:
                with inside(netns):
                    self._listener(kind, address, port)
            except OSError as error:
                served = error.errno == errno.EADDRINUSE and kind == TCP
                for index in users:
                    if served and self._trials[index].others:
                        self._served.add(index)
                    else:
                        self._outcomes[index] = Outcome("", listen_error(error, kind, port, netns))

    def _listener(self, kind: str, address: str, port: int) -> None:
        made = self._socket(_family(address), socket.SOCK_STREAM if kind == TCP else socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == TCP else 0)
        made.bind((address, port))
        if kind == TCP:
            made.listen(AT_ONCE)
        self._selector.register(made, selectors.EVENT_READ, self._accept if kind == TCP else self._echo)

    def _ask(self) -> None:
        by_netns: dict[str, list[int]] = {}
        for index, trial in enumerate(self._trials):
            if self._outcomes[index] is None:
                by_netns.setdefault(trial.netns, []).append(index)
        for netns, indexes in by_netns.items():
            try:
                with inside(netns):
                    for index in indexes:
                        self._prepare(index)
            except OSError as error:
                for index in indexes:
                    self._outcomes[index] = Outcome("", f"{netns}: {error.strerror}")
        # All before the first packet leaves: until it is connected, a raw socket takes everybody's errors for its own.
        for index in list(self._askers):
            self._attempt(index, self._askers[index].aim)
        for index in list(self._askers):
            self._attempt(index, self._askers[index].start)

    def _prepare(self, index: int) -> None:
        trial = self._trials[index]
        family = _family(trial.address)
        address, _percent, zone = trial.address.partition("%")
        try:
            made = self._socket(family, *_type(trial.kind, family))
            made.setsockopt(*((0, _IP_RECVERR, 1) if family == socket.AF_INET else (41, _IPV6_RECVERR, 1)))
            if family == socket.AF_INET6 and trial.kind == PING:
                made.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _only(_ECHO[family][1]))
            if trial.source:
                made.bind((trial.source, 0))
            port = 0 if trial.kind == PING else trial.port
            scope = socket.if_nametoindex(zone) if zone else 0
        except OSError as error:
            self._outcomes[index] = Outcome("", f"{trial.netns}: {trial.source or zone}: {error.strerror}")
            return
        there: tuple[Any, ...] = (address, port) if family == socket.AF_INET else (address, port, 0, scope)
        self._askers[index] = _Asker(trial, made, there, self._token, index)
        self._askers[index].served = index in self._served

    def _attempt(self, index: int, action: Callable[[], str | None]) -> None:
        """Do what may fail with an error that is an outcome. action: gives the answer once it is there."""
        asker = self._askers[index]
        try:
            answer = action()
        except (BlockingIOError, InterruptedError):
            answer = None
        except OSError as error:
            word = _ERRORS.get(error.errno or 0, "")
            if error.errno == errno.ENETUNREACH and action != asker.proceed:
                word = NO_ROUTE
            self._done(index, Outcome(word, error.strerror or ""))
            return
        if answer is not None:
            self._done(index, Outcome(ANSWERED, answer))
        elif index in self._askers:
            if not asker.watched:
                asker.watched = True
                self._selector.register(asker.socket, asker.events, index)
            elif asker.events != asker.seen_events:
                self._selector.modify(asker.socket, asker.events, index)
            asker.seen_events = asker.events

    def _done(self, index: int, outcome: Outcome) -> None:
        asker = self._askers.pop(index)
        if asker.watched:
            self._selector.unregister(asker.socket)
        asker.socket.close()
        self._outcomes[index] = outcome

    def _wait(self) -> None:
        start = again = time.monotonic()
        while self._askers:
            for key, _events in self._selector.select(0.1):
                if callable(key.data):
                    key.data(key.fileobj)
                elif key.data in self._askers:
                    self._attempt(key.data, self._askers[key.data].proceed)
            now = time.monotonic()
            for index, asker in list(self._askers.items()):
                if now - start > (ANSWER_WITHIN if self._trials[index].answer else SILENCE_AFTER):
                    self._done(index, asker.silence())
                elif now - again > _AGAIN and asker.datagram:
                    self._attempt(index, asker.start)
            again = now if now - again > _AGAIN else again

    def _socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        self._sockets.append(made)
        return made

    def _accept(self, listener: socket.socket) -> None:
        try:
            made, peer = listener.accept()
        except OSError:
            return
        self._sockets.append(made)
        self._say(lambda: made.send(f"{self._token} {peer[0]}\n".encode()))
        self._say(lambda: made.shutdown(socket.SHUT_WR))

    def _echo(self, listener: socket.socket) -> None:
        try:
            _data, peer = listener.recvfrom(2048)
        except OSError:
            return
        self._say(lambda: listener.sendto(f"{self._token} {peer[0]}\n".encode(), peer))

    @staticmethod
    def _say(action: Callable[[], object]) -> None:
        """Answer; where that fails, whoever asks tells it as silence."""
        try:
            action()
        except OSError:
            return


class _Asker:
    """Whoever sends a packet and waits for its answer."""

    def __init__(self, trial: Trial, made: socket.socket, there: tuple[Any, ...], token: str, number: int) -> None:
        self.socket = made
        self.events = selectors.EVENT_READ
        self.seen_events = 0
        self.watched = False
        self.datagram = trial.kind in (UDP, PING)
        self.served = False
        self._trial = trial
        self._there = there
        self._token = token
        self._number = number & 0xFFFF
        self._identity = int(token[:4], 16)
        self._connected = False
        self._received = b""

    def aim(self) -> str | None:
        """What comes before the first packet."""
        if self.datagram:
            self.socket.connect(self._there)
            self._connected = True
        return None

    def start(self) -> str | None:
        """Send it, or send it again."""
        if not self._connected:
            self.events = selectors.EVENT_READ | selectors.EVENT_WRITE
            self.socket.connect(self._there)
        if self._trial.kind == UDP:
            self.socket.send(self._token.encode())
        elif self._trial.kind == PING:
            self.socket.send(self._echo_request())
        return None

    def proceed(self) -> str | None:
        """Something happened: gives the answer if that was it. Raises OSError where an error came."""
        if not self._connected:
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            self._connected = True
            self.events = selectors.EVENT_READ
            if self.served:
                return ""
            if self._trial.kind == HTTP:
                host = f"[{self._there[0]}]" if ":" in self._there[0] else self._there[0]
                self.socket.send(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            return None
        data = self.socket.recv(4096)
        if self._trial.kind == PING:
            return "" if self._is_reply(data) else None
        if self._trial.kind == UDP:
            return self._seen(data)
        self._received += data
        if data and (self._trial.kind == HTTP or b"\n" not in self._received):
            return None
        if self._trial.kind == HTTP:
            return self._received.partition(b"\r\n\r\n")[2].decode("utf-8", "replace").strip()
        return self._seen(self._received) or ""

    def silence(self) -> Outcome:
        """What it means that no answer came. A connection is an answer, whoever took it."""
        return Outcome(ANSWERED) if self._connected and not self.datagram else Outcome(SILENT)

    def _seen(self, data: bytes) -> str | None:
        """The source address that a listener of ours saw; None where the answer is none of its."""
        token, _space, address = data.decode("ascii", "replace").strip().partition(" ")
        return address if token == self._token else None

    def _echo_request(self) -> bytes:
        number = _ECHO[self.socket.family][0]
        packet = struct.pack("!BBHHH", number, 0, 0, self._identity, self._number) + self._token.encode()
        if self.socket.family == socket.AF_INET6:
            return packet  # the kernel adds the checksum
        return packet[:2] + struct.pack("!H", _checksum(packet)) + packet[4:]

    def _is_reply(self, data: bytes) -> bool:
        if self.socket.family == socket.AF_INET:
            data = data[(data[0] & 15) * 4 :]
        if len(data) < 8:
            return False
        number, _code, _sum, identity, sequence = struct.unpack("!BBHHH", data[:8])
        return (number, identity, sequence) == (_ECHO[self.socket.family][1], self._identity, self._number)


def _type(kind: str, family: int) -> tuple[int, int]:
    """(socket type, protocol)."""
    if kind == PING:
        return socket.SOCK_RAW, socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    return (socket.SOCK_DGRAM if kind == UDP else socket.SOCK_STREAM), 0


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _only(number: int) -> bytes:
    """An ICMP6_FILTER that lets one type pass: a bit that is set blocks."""
    words = [0xFFFFFFFF] * 8
    words[number >> 5] &= ~(1 << (number & 31)) & 0xFFFFFFFF
    return struct.pack("=8I", *words)


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2]))
    total += data[-1] << 8 if len(data) % 2 else 0
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
