# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic that goes on while rules change: pings, flows that are let through, and packets that are not."""

from __future__ import annotations

import re
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import place as lab

_PAUSE = 0.02
_PING = ("ip", "netns", "exec", "ping", "-n", "-q", "-i", str(_PAUSE))
_DENIED = {socket.SOCK_DGRAM: 9999, socket.SOCK_STREAM: 9998}
_ANEW = 25
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Talk:
    """A flow: the client asks and the server answers, or the server talks all the time (streams)."""

    def __init__(
        self, place: lab.Place, client: str, server: str, kind: str, port: int, family: int, streams: bool = False
    ) -> None:
        self.name = f"{kind}/{port} from {client} to {server}, IPv{family}{', server talks' if streams else ''}"
        self.client_name = client
        self.sent = self.heard = 0
        self.over = ""
        self._streams = streams
        what = (_FAMILIES[family], socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        there = (place.addresses[f"vm-{server}", family], port)
        self.client = place.socket(f"vm-{client}", *what)
        self._listener = place.socket(f"vm-{server}", *what)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(there)
        self.client.settimeout(10)
        if kind == "tcp":
            self._listener.listen()
            self._listener.settimeout(10)
        try:
            self.client.connect(there)
            self.server = self._listener.accept()[0] if kind == "tcp" else self._listener
        except OSError as error:
            lab.fail(f"{self.name}: {error}")
        self._peer = self.client.getsockname() if kind == "udp" else None
        for one in (self.client, self.server):
            one.setblocking(False)

    def speak(self) -> None:
        """Send the next one."""
        try:
            if self._streams and self._peer:
                self.server.sendto(b"x", self._peer)
            else:
                (self.server if self._streams else self.client).send(b"x")
            self.sent += 1
        except BlockingIOError:
            pass
        except OSError as error:
            self.over = str(error)

    def answer(self) -> None:
        """The server has been asked."""
        with suppress(OSError):
            if self._peer:
                data, peer = self.server.recvfrom(64)
                self.server.sendto(data, peer)
            else:
                data = self.server.recv(1 << 16)
                if not self._streams and data:
                    self.server.send(data)

    def hear(self) -> None:
        """The client has been answered."""
        try:
            data = self.client.recv(1 << 16)
            self.heard += len(data)
            self.over = self.over if data else "closed"
        except BlockingIOError:
            pass
        except OSError as error:
            self.over = str(error)

    def close(self) -> None:
        for one in (self.client, self.server, self._listener):
            one.close()


class Denied:
    """Packets, and attempts to connect, to a port that nobody may reach; and a listener there who counts."""

    def __init__(self, place: lab.Place, source: str, target: str, kind: int, family: int) -> None:
        self._place, self._source = place, f"vm-{source}"
        self._kind = (_FAMILIES[family], kind)
        self._there = (place.addresses[f"vm-{target}", family], _DENIED[kind])
        self.listener = place.socket(f"vm-{target}", *self._kind)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self._there)
        if kind == socket.SOCK_STREAM:
            self.listener.listen(100)
        self.listener.setblocking(False)
        self._sender = place.socket(self._source, *self._kind)
        self.sent = self.slipped = 0

    def speak(self) -> None:
        """Try again; now and then as another connection."""
        self.sent += 1
        with suppress(OSError):
            if self.sent % _ANEW == 1:
                self._sender.close()
                self._sender = self._place.socket(self._source, *self._kind)
                self._sender.setblocking(False)
                self._sender.connect(self._there)
            self._sender.send(b"x")

    def slip(self) -> None:
        """Something has arrived."""
        with suppress(OSError):
            if self._kind[1] == socket.SOCK_STREAM:
                self.listener.accept()[0].close()
            else:
                self.listener.recv(64)
            self.slipped += 1


class Steady:
    """All of it, in a thread of its own. pings, denied: (from, to, family)."""

    def __init__(self, place: lab.Place, pings: list[tuple[str, str, int]], denied: list[tuple[str, str, int]]) -> None:
        self._talks: list[Talk] = []
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._denied = [Denied(place, *ends, kind, family) for *ends, family in denied for kind in _DENIED]
        for one in self._denied:
            self._selector.register(one.listener, selectors.EVENT_READ, one.slip)
        self._pings = {
            f"ping from {source} to {target}, IPv{family}": subprocess.Popen(
                (*_PING[:3], f"{place.lab}-vm-{source}", *_PING[3:], place.addresses[f"vm-{target}", family]),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for source, target, family in pings
        }
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, *talks: Talk) -> None:
        """Let these go on from now on; returns when all have been answered."""
        with self._lock:
            for talk in talks:
                self._selector.register(talk.client, selectors.EVENT_READ, talk.hear)
                self._selector.register(talk.server, selectors.EVENT_READ, talk.answer)
                self._talks.append(talk)
        self.alive(*talks)

    def drop(self, talk: Talk) -> None:
        """End one."""
        with self._lock:
            self._talks.remove(talk)
            for one in (talk.client, talk.server):
                self._selector.unregister(one)
            talk.close()

    def alive(self, *talks: Talk) -> None:
        """Demand that these are answered now."""
        before = {talk.name: talk.heard for talk in talks}
        for talk in talks:
            lab.wait(f"answer of {talk.name} {talk.over}", 20, lambda talk=talk: talk.heard > before[talk.name] + 2)  # type: ignore[misc]

    def dead(self, *talks: Talk) -> None:
        """Demand that nothing of these arrives any more."""
        # What was on its way when the flow was ended.
        time.sleep(0.3)
        before = {talk.name: talk.heard for talk in talks}
        sent = {talk.name: talk.sent for talk in talks}
        time.sleep(1.0)
        still = [talk.name for talk in talks if talk.heard > before[talk.name]]
        if still:
            lab.fail(f"these go on, but must not: {still}")
        idle = [talk.name for talk in talks if talk.sent == sent[talk.name] and not talk.over]
        if idle:
            lab.fail(f"nothing was sent, which proves nothing: {idle}")

    def end(self) -> list[str]:
        """Stop; demand that no ping was lost and nothing slipped through. Gives lines for people."""
        said = []
        lost = []
        for name, process in self._pings.items():
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=20)[0]
            counts = re.search(r"(\d+) packets transmitted, (\d+) received(.*)", output)
            if counts is None:
                lab.fail(f"{name}: {output}")
            said.append(f"{name}: {counts[1]} sent, {counts[2]} answered")
            # The last one may be on its way.
            if int(counts[1]) - int(counts[2]) > 1 or "error" in counts[3] or int(counts[1]) < 100:
                lost.append(f"{name}: {output}")
        if lost:
            lab.fail("\n".join(lost))
        self._over.set()
        self._thread.join()
        sent = sum(one.sent for one in self._denied)
        said.append(f"{sent} packets and connections were denied, {self.slipped} slipped through")
        if self.slipped or not sent:
            lab.fail(said[-1])
        return said

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """While what is denied is let through for once: demand that it is noticed."""
        if self.slipped:
            lab.fail(f"{self.slipped} packets slipped through")
        yield
        lab.wait("all that is usually denied arrives", 20, lambda: all(one.slipped for one in self._denied))

    def forget(self) -> None:
        """What is denied is so again: count from now on."""
        with self._lock:
            for one in self._denied:
                with suppress(OSError):
                    while True:
                        one.listener.recv(64) if one.listener.type == socket.SOCK_DGRAM else one.listener.accept()
                one.slipped = 0

    @property
    def slipped(self) -> int:
        return sum(one.slipped for one in self._denied)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            now = time.monotonic()
            if now >= due:
                due = now + _PAUSE
                with self._lock:
                    self._speak()
            for key, _events in self._selector.select(max(0.0, due - now)):
                with self._lock:
                    if key.fileobj in self._selector.get_map():
                        key.data()

    def _speak(self) -> None:
        for one in (*self._talks, *self._denied):
            one.speak()
