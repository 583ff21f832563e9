# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets from one network namespace to another: a TCP stream, new TCP connections, and small UDP packets.

The senders and receivers are this file, started in those namespaces.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

_PORT = 5001
# As iperf3 has it.
_BUFFER = 128 << 10
# Until the congestion window has grown.
_WARM_UP = 0.1
# Octets of a small packet's payload, and packets given to the kernel in one call.
_SMALL = 18
_BATCH = 64
# Seconds after which nobody waits for packets any more, as struct timeval.
_PATIENCE = struct.pack("ll", 10, 0)


@contextlib.contextmanager
def _start(namespace: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    # Isolated and without site: starts in a tenth of the time.
    argv = ("ip", "netns", "exec", namespace, sys.executable, "-I", "-S", __file__, *arguments)
    # What waits for its input to end ends with us, however we do.
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def _line(child: subprocess.Popen[str]) -> str:
    line = child.stdout.readline() if child.stdout else ""
    if not line:
        raise SystemExit(f"{child.args}: no answer")
    return line


class Stream(NamedTuple):
    """gigabits: in a second. busy: seconds of processor time that both ends and the bridge take for a gigabyte."""

    gigabits: float
    busy: float


def tcp(source: str, target: str, address: str, seconds: float) -> Stream:
    """One connection from a namespace to another, which has the address."""
    with _start(target, "receive", address, str(seconds)) as receiver:
        _line(receiver)
        with _start(source, "send", address) as sender:
            rate, octets, busy = map(float, _line(receiver).split())
            return Stream(rate * 8 / 1e9, (busy + float(_line(sender))) / octets * 1e9)


def udp(source: str, target: str, address: str, seconds: float) -> float:
    """Thousands of small packets that arrive, for each second of processor time that sender and bridge take.

    Up to the target's socket all is done by the sender's system call, so that is what one core forwards, also where
    others use the cores as well.
    """
    with _start(target, "sink", address) as sink:
        _line(sink)
        before = _received(target)
        with _start(source, "blast", address, str(seconds)) as sender:
            busy = float(_line(sender))
        return (_received(target) - before) / busy / 1000


class Connections(NamedTuple):
    """second: new connections in a second. busy: seconds of processor time that both ends and the way take for one."""

    second: float
    busy: float


def connections(source: str, target: str, address: str, seconds: float) -> Connections:
    """New TCP connections, one after the other, from a namespace to another, which has the address."""
    with _start(target, "accept", address) as server:
        _line(server)
        with _start(source, "connect", address, str(seconds)) as client:
            count, rate, busy = map(float, _line(client).split())
            return Connections(rate, (busy + float(_line(server))) / count)


def _received(namespace: str) -> int:
    text = subprocess.run(
        ("ip", "netns", "exec", namespace, "cat", "/proc/net/dev"), capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"eth0: *\d+ +(\d+)", text)
    return int(found[1]) if found else 0


# Inside the namespaces


def receive(address: str, seconds: float) -> str:
    """Octets received in a second once it runs, octets received in all, and seconds of processor time for these."""
    server = socket.create_server((address, _PORT))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
    print("ready", flush=True)
    connection, _peer = server.accept()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
    buffer = bytearray(_BUFFER)
    total, busy, now = 0, time.process_time(), time.perf_counter()
    start = now + _WARM_UP
    while now < start:
        total += connection.recv_into(buffer)
        now = time.perf_counter()
    start, before = now, total
    while now < start + seconds:
        total += connection.recv_into(buffer)
        now = time.perf_counter()
    return f"{(total - before) / (now - start)} {total} {time.process_time() - busy}"


def send(address: str) -> float:
    """Until the other end has enough; seconds of processor time that it took."""
    connection = socket.create_connection((address, _PORT), timeout=10)
    # The call is not to poll for each buffer.
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _PATIENCE)
    buffer = bytes(_BUFFER)
    busy = time.process_time()
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(buffer)
    return time.process_time() - busy


def sink(address: str) -> None:
    """A socket that nobody reads: what arrives is dropped there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unread:
        unread.bind((address, _PORT))
        print("ready", flush=True)
        sys.stdin.read()


def _one_core() -> None:
    """Both ends of short exchanges share a core: else it is chance who wakes whom how late."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def accept(address: str) -> float:
    """Take connections until one has something to say; seconds of processor time that it took."""
    _one_core()
    server = socket.create_server((address, _PORT), backlog=128)
    print("ready", flush=True)
    busy = 0.0
    while True:
        server.settimeout(10)
        connection, _peer = server.accept()
        busy = busy or time.process_time()
        with connection, contextlib.suppress(ConnectionResetError):
            if connection.recv(1):
                return time.process_time() - busy


def connect(address: str, seconds: float) -> str:
    """How many connections in that time, and in a second, and seconds of processor time."""
    _one_core()
    # The end of each is a reset: else the ports of the last ones are not free for the next.
    linger = struct.pack("ii", 1, 0)

    def one() -> None:
        with socket.create_connection((address, _PORT), timeout=10) as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    one()
    count, busy, start = 0, time.process_time(), time.perf_counter()
    while (now := time.perf_counter()) < start + seconds:
        one()
        count += 1
    busy = time.process_time() - busy
    with socket.create_connection((address, _PORT), timeout=10) as last:
        last.sendall(b".")
    return f"{count} {count / (now - start)} {busy}"


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr"""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr"""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


def blast(address: str, seconds: float) -> float:
    """Seconds of processor time that sending for so long took."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((address, _PORT))
    vector = _Vector(bytes(_SMALL), _SMALL)
    messages = (_Message * _BATCH)(
        *(_Message(_Header(vectors=ctypes.pointer(vector), count=1)) for _index in range(_BATCH))
    )
    call = ctypes.CDLL(None, use_errno=True).sendmmsg
    start = time.process_time()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if call(sender.fileno(), messages, _BATCH, 0) != _BATCH:
            raise OSError(ctypes.get_errno(), "sendmmsg")
    return time.process_time() - start


def main() -> None:
    what, address, *rest = sys.argv[1:]
    if what == "receive":
        print(receive(address, float(rest[0])), flush=True)
    elif what == "send":
        print(send(address), flush=True)
    elif what == "sink":
        sink(address)
    elif what == "accept":
        print(accept(address), flush=True)
    elif what == "connect":
        print(connect(address, float(rest[0])), flush=True)
    elif what == "blast":
        print(blast(address, float(rest[0])), flush=True)


if __name__ == "__main__":
    main()
