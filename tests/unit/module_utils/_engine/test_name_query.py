# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a name server on the loopback interface that answers what a test tells it to."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import name_query
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.name_query import NoAnswerError

NAME = "vm1.net1.internal"
SPELT = b"\x03vm1\x04net1\x08internal\x00"
POINTER = b"\xc0\x0c"
A, CNAME, AAAA = 1, 5, 28


def record(kind: int, data: bytes, name: bytes = POINTER) -> bytes:
    return name + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def reply(query: bytes, records: list[bytes], code: int = 0, number: int | None = None) -> bytes:
    number = struct.unpack("!H", query[:2])[0] if number is None else number
    return struct.pack("!6H", number, 0x8580 | code, 1, len(records), 0, 0) + query[12:] + b"".join(records)


@contextmanager
def server(monkeypatch: pytest.MonkeyPatch, answers: list[list[bytes] | bytes | int | None]) -> Iterator[list[bytes]]:
    """Answers each query by the next item: records, an RCODE, raw bytes, None for silence. Yields the queries."""
    queries: list[bytes] = []
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(10)
    monkeypatch.setattr(name_query, "PORT", made.getsockname()[1])
    monkeypatch.setattr(name_query, "PATIENCE", (0.3, 3))

    def serve() -> None:
        for answer in answers:
            query, peer = made.recvfrom(4096)
            queries.append(query)
            if isinstance(answer, bytes):
                made.sendto(answer, peer)
            elif isinstance(answer, int):
                made.sendto(reply(query, [], answer), peer)
            elif answer is not None:
                made.sendto(reply(query, answer), peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield queries
    finally:
        thread.join(10)
        made.close()


@pytest.mark.parametrize(
    "family, records, expected",
    [
        (4, [record(A, bytes((10, 10, 10, 10)))], ["10.10.10.10"]),
        (4, [record(A, bytes((10, 0, 0, 2)), SPELT), record(A, bytes((10, 0, 0, 1)))], ["10.0.0.1", "10.0.0.2"]),
        (4, [record(CNAME, b"\x01x" + POINTER), record(A, bytes((10, 0, 0, 1)), b"\x01x\xc0\x10")], ["10.0.0.1"]),
        (6, [record(AAAA, socket.inet_pton(socket.AF_INET6, "2001:db8::5"))], ["2001:db8::5"]),
        (6, [record(A, bytes((10, 0, 0, 1)))], []),
        (4, [], []),
    ],
)
def test_addresses_are_read(
    monkeypatch: pytest.MonkeyPatch, family: int, records: list[bytes], expected: list[str]
) -> None:
    with server(monkeypatch, [records]) as queries:
        assert name_query.addresses("127.0.0.1", NAME, family) == expected
    assert queries[0][12:] == SPELT + struct.pack("!HH", AAAA if family == 6 else A, 1)


def test_a_lost_datagram_and_one_of_another_question_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    stray = reply(bytes(12) + SPELT + bytes(4), [record(A, bytes((192, 0, 2, 66)))], number=0)
    with server(monkeypatch, [None, stray, [record(A, bytes((10, 0, 0, 1)))]]) as queries:
        monkeypatch.setattr(name_query.os, "urandom", lambda _count: b"\x12\x34")
        assert name_query.addresses("127.0.0.1", NAME, 4) == ["10.0.0.1"]
    assert len(queries) == 3


@pytest.mark.parametrize(
    "answers, message",
    [
        ([None, None, None], "no answer"),
        ([3], "NXDOMAIN"),
        ([5], "REFUSED"),
        ([11], "error 11"),
        ([[b"\xc0"]], "an answer that cannot be read"),
        ([[record(A, b"\x0a\x01")]], "an answer that cannot be read"),
        ([[record(A, b"")[:-1]]], "an answer that cannot be read"),
    ],
)
def test_why_there_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, answers: list[list[bytes] | bytes | int | None], message: str
) -> None:
    with server(monkeypatch, answers), pytest.raises(NoAnswerError, match=f"^{message}$"):
        name_query.addresses("127.0.0.1", NAME, 4)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setattr(name_query, "PORT", port)
    with pytest.raises(NoAnswerError, match="refused"):
        name_query.addresses("127.0.0.1", NAME, 4)
