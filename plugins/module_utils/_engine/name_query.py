# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask one name server for the addresses of a name (RFC 1035): no resolver library, and no cache, is in between."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

PORT = 53
# Seconds for each of as many datagrams.
PATIENCE = (1.0, 3)
_TYPES = {4: 1, 6: 28}
_INET = {4: socket.AF_INET, 6: socket.AF_INET6}
_IN = 1
_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!HHIH")
_POINTER = 0xC0
_RESPONSE = 0x8000
_UNREADABLE = "an answer that cannot be read"
_RCODES = ("", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


class NoAnswerError(Exception):
    """The server is silent, unreachable, or answers with an error; the message says which."""


def addresses(server: str, name: str, family: int) -> list[str]:
    """The addresses of one family that a server has for a name, sorted; none where it knows the name without one."""
    number = int.from_bytes(os.urandom(2), "big")
    query = _HEADER.pack(number, 0x0100, 1, 0, 0, 0) + _spelt(name) + struct.pack("!HH", _TYPES[family], _IN)
    with socket.socket(_INET[6 if ":" in server else 4], socket.SOCK_DGRAM) as made:
        made.settimeout(PATIENCE[0])
        try:
            made.connect((server, PORT))
        except OSError as error:
            raise NoAnswerError(error.strerror or str(error)) from None
        return sorted(_addresses(_exchange(made, query, number), len(query), family))


def _exchange(made: socket.socket, query: bytes, number: int) -> bytes:
    for _attempt in range(PATIENCE[1]):
        try:
            made.send(query)
            reply = made.recv(4096)
        except socket.timeout:
            continue
        except OSError as error:
            raise NoAnswerError(error.strerror or str(error)) from None
        if len(reply) >= len(query) and _HEADER.unpack_from(reply)[0] == number and _header(reply) & _RESPONSE:
            return reply
    raise NoAnswerError("no answer")


def _header(reply: bytes) -> int:
    return int(_HEADER.unpack_from(reply)[1])


def _addresses(reply: bytes, start: int, family: int) -> Iterator[str]:
    """start: where the answers begin."""
    code = _header(reply) & 0xF
    if code:
        raise NoAnswerError(_RCODES[code] if code < len(_RCODES) else f"error {code}")
    for kind, data in _records(reply, start, _HEADER.unpack_from(reply)[3]):
        if kind == _TYPES[family]:
            yield _text(family, data)


def _text(family: int, data: bytes) -> str:
    try:
        return socket.inet_ntop(_INET[family], data)
    except ValueError:
        raise NoAnswerError(_UNREADABLE) from None


def _records(reply: bytes, start: int, count: int) -> Iterator[tuple[int, bytes]]:
    try:
        for _record in range(count):
            while reply[start] and reply[start] < _POINTER:
                start += 1 + reply[start]
            start += 2 if reply[start] >= _POINTER else 1
            kind, _class, _ttl, length = _RECORD.unpack_from(reply, start)
            start += _RECORD.size
            yield kind, reply[start : start + length]
            start += length
    except (IndexError, struct.error):
        raise NoAnswerError(_UNREADABLE) from None


def _spelt(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.split(".")]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
