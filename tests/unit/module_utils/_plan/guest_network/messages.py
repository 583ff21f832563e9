# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of DHCPv6 and DNS, octet by octet, where a client would not say what the test wants to hear."""

from __future__ import annotations

import socket
import struct
from contextlib import closing
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.world import make_socket

SOLICIT, REQUEST, RENEW, REBIND = 1, 3, 5, 6
NO_BINDING = 3
SERVER = bytes.fromhex("000200007ed9") + b"plainlinux.vpc"
_TYPES = {"A": 1, "PTR": 12, "AAAA": 28}


class Reply(NamedTuple):
    """addresses: those with a lifetime. status: of the IA and of the message, where not 0. server: its DUID."""

    addresses: list[str]
    status: list[int]
    server: bytes


def _option(code: int, data: bytes) -> bytes:
    return struct.pack("!HH", code, len(data)) + data


def ask6(
    netns: Netns,
    kind: int,
    duid: bytes,
    address: str = "",
    iaid: int = 1,
    header: bool = False,
    patience: float = 3,
    source: str = "::",
) -> Reply | None:
    """Send one message of DHCPv6; None where nobody answers.

    address: the one of the IA. header: with an extension header before UDP. patience: seconds; with 0 it only asks.
    """
    parts = _option(5, socket.inet_pton(socket.AF_INET6, address) + bytes(8)) if address else b""
    message = bytes((kind, 1, 2, 3)) + _option(1, duid) + _option(8, b"\0\0")
    message += _option(3, struct.pack("!III", iaid, 0, 0) + parts) + _option(6, struct.pack("!HH", 23, 24))
    if kind in (REQUEST, RENEW):
        message += _option(2, SERVER)
    index = int(netns.sh("cat /sys/class/net/eth0/ifindex"))
    with closing(make_socket(netns, socket.SOCK_DGRAM, 6)) as here:
        here.settimeout(patience)
        here.bind((source, 546, 0, index if source.startswith("fe80") else 0))
        if header:
            # Destination options: padding.
            here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes((0, 0, 1, 4, 0, 0, 0, 0)))
        here.sendto(message, ("ff02::1:2", 547, 0, index))
        try:
            answer = here.recv(2048)
        except (TimeoutError, BlockingIOError):
            return None
    found = Reply([], [], b"")
    server = b""
    for code, data in _options(answer[4:]):
        if code == 2:
            server = data
        elif code == 13:
            found.status.append(int.from_bytes(data[:2], "big"))
        elif code == 3:
            for inner, value in _options(data[12:]):
                if inner == 5 and any(value[16:24]):
                    found.addresses.append(socket.inet_ntop(socket.AF_INET6, value[:16]))
                elif inner == 13:
                    found.status.append(int.from_bytes(value[:2], "big"))
    return found._replace(status=[status for status in found.status if status], server=server)


def _options(text: bytes) -> list[tuple[int, bytes]]:
    found = []
    while len(text) >= 4:
        code, length = struct.unpack_from("!HH", text)
        found.append((code, text[4 : 4 + length]))
        text = text[4 + length :]
    return found


def ask_name(netns: Netns, server: str, name: str, kind: str = "A", tcp: bool = False, patience: float = 3) -> str:
    """A DNS query: the code of the answer and how many records it has, `0 1`; or what went wrong."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    query = struct.pack("!6H", 77, 0x100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, _TYPES[kind], 1)
    family = 6 if ":" in server else 4
    with closing(make_socket(netns, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM, family)) as here:
        here.settimeout(patience)
        try:
            here.connect((server, 53))
            here.send(struct.pack("!H", len(query)) + query if tcp else query)
            answer = here.recv(2048)[2 if tcp else 0 :]
            if tcp and not answer:
                answer = here.recv(2048)
        except OSError as error:
            return type(error).__name__
    if len(answer) < 12:
        return "nothing"
    _number, flags, _questions, answers = struct.unpack_from("!4H", answer)
    return f"{flags & 15} {answers}"
