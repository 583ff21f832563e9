# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets as no socket sends them, and who gets them: for attacks on security groups.

Each packet carries a word of its own. What came to a place is known once a packet came that is always let through and
was sent last: nothing is waited for that may not come.
"""

from __future__ import annotations

import itertools
import select
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_world import World

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32

# Name -> a word and the packets that carry it.
Attacks = dict[str, tuple[bytes, list[bytes]]]

# Of no meaning to anybody.
_PORT = 22
_ALL = 3  # ETH_P_ALL
_PATIENCE = 10.0
_WORDS = itertools.count(1)


def word() -> bytes:
    return b"<%08d>" % next(_WORDS)


def packed(address: str) -> bytes:
    return ip_address(address).packed


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _summed(source: str, target: str, protocol: int, text: bytes, at: int) -> bytes:
    """A transport header and what follows, with its checksum at this octet."""
    pseudo = packed(source) + packed(target) + struct.pack(">II", len(text), protocol)
    value = checksum(pseudo + text) or 0xFFFF
    return text[:at] + struct.pack(">H", value) + text[at + 2 :]


def tcp(source: str, target: str, sport: int, dport: int, flags: int = SYN, data: bytes = b"") -> bytes:
    return _summed(
        source, target, TCP, struct.pack(">HHIIBBHHH", sport, dport, 1000, 2000, 0x50, flags, 64240, 0, 0) + data, 16
    )


def udp(source: str, target: str, sport: int, dport: int, data: bytes = b"") -> bytes:
    return _summed(source, target, UDP, struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data, 6)


def icmp(source: str, target: str, kind: int, code: int = 0, rest: int = 0, data: bytes = b"") -> bytes:
    text = struct.pack(">BBHI", kind, code, 0, rest) + data
    if ":" in source:
        return _summed(source, target, ICMP6, text, 2)
    return text[:2] + struct.pack(">H", checksum(text)) + text[4:]


def ip(
    source: str,
    target: str,
    protocol: int,
    payload: bytes,
    *,
    hops: int = 64,
    offset: int = 0,
    more: bool = False,
    number: int = 0,
    options: bytes = b"",
) -> bytes:
    """An IPv4 packet, or fragment; or an IPv6 packet, whose protocol may be an extension header."""
    if ":" in source:
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, hops) + packed(source) + packed(target) + payload
    size = 20 + len(options)
    head = struct.pack(
        ">BBHHHBBH",
        0x40 | size // 4,
        0,
        size + len(payload),
        number,
        offset // 8 | (0x2000 if more else 0),
        hops,
        protocol,
        0,
    )
    head += packed(source) + packed(target) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def fragment(following: int, offset: int, more: bool, number: int, payload: bytes) -> bytes:
    """An IPv6 fragment header and what it carries."""
    return struct.pack(">BBHI", following, 0, offset | more, number) + payload


def option(following: int, payload: bytes) -> bytes:
    """A hop-by-hop or destination options header with padding, and what follows."""
    return struct.pack(">BBBBI", following, 0, 1, 4, 0) + payload


class Wire:
    """Sends packets from one place and sees what comes to another."""

    def __init__(self, world: World, source: str, target: str) -> None:
        self.world = world
        self.source = source
        self.target = target
        self.sniffer = world.socket(target, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        self.sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

    def close(self) -> None:
        self.sniffer.close()

    def address(self, family: int) -> tuple[str, str]:
        places = self.world.places
        return places[self.source].addresses[family], places[self.target].addresses[family]

    def send(self, packets: Iterable[bytes]) -> None:
        """IP packets as they are; to groups out of eth0."""
        for packet in packets:
            kind, target = (socket.AF_INET, packet[16:20]) if packet[0] >> 4 == 4 else (socket.AF_INET6, packet[24:40])
            with self.world.socket(self.source, kind, socket.SOCK_RAW, socket.IPPROTO_RAW) as made:
                if target[0] >= 224 and (kind == socket.AF_INET or target[0] == 255):
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                made.sendto(packet, (socket.inet_ntop(kind, target), 0))

    def frames(self, frames: Iterable[bytes]) -> None:
        """Frames as they are, out of eth0."""
        with self.world.socket(self.source, socket.AF_PACKET, socket.SOCK_RAW) as made:
            made.bind(("eth0", 0))
            for frame in frames:
                made.send(frame)

    def came(self, words: Iterable[bytes], last: bytes) -> set[bytes]:
        """Which of these words came before the last one, which must come."""
        wanted = {*words, last}
        found: set[bytes] = set()
        end = time.monotonic() + _PATIENCE
        while last not in found:
            ready, _writable, _failed = select.select([self.sniffer], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"the last packet from {self.source} to {self.target} did not come")
            frame, sender = self.sniffer.recvfrom(65535)
            if sender[2] != socket.PACKET_OUTGOING:  # type: ignore[attr-defined]
                found |= {item for item in wanted if item in frame}
        return found - {last}

    def udp(self, family: int, port: int, sport: int = 40000) -> bytes:
        """Send a packet that may always pass; gives its word."""
        source, target = self.address(family)
        text = word()
        self.send([ip(source, target, UDP, udp(source, target, sport, port, text))])
        return text

    def arrived(self, attacks: Mapping[str, tuple[bytes, list[bytes]]], fence: tuple[int, int, int]) -> set[str]:
        """Names of those attacks (word, packets) whose word came. fence: family, port and source port that pass."""
        family, port, sport = fence
        self.came([], self.udp(family, port, sport))
        for _text, packets in attacks.values():
            self.send(packets)
        texts = {text: name for name, (text, _packets) in attacks.items()}
        return {texts[item] for item in self.came(texts, self.udp(family, port, sport))}


def flags(source: str, target: str, port: int) -> Attacks:
    """Segments that are no beginning of a connection."""
    kinds = {
        "syn": SYN,
        "ack": ACK,
        "syn-ack": SYN | ACK,
        "fin": FIN,
        "fin-ack": FIN | ACK,
        "rst": RST,
        "data": PSH | ACK,
        "null": 0,
        "xmas": FIN | PSH | URG,
    }
    found = {}
    for number, (name, value) in enumerate(kinds.items()):
        text = word()
        found[name] = (text, [ip(source, target, TCP, tcp(source, target, 41000 + number, port, value, text))])
    return found


def protocols(source: str, target: str) -> Attacks:
    found = {}
    for number in (4, 41, 47, 50, 51, 89, 103, 112, 132, 136, 255):
        text = word()
        found[f"protocol {number}"] = (text, [ip(source, target, number, b"\0" * 16 + text)])
    return found


def dhcp(source: str, target: str, family: int) -> Attacks:
    """DHCP beyond the link."""
    found: Attacks = {}
    client, server = (68, 67) if family == 4 else (546, 547)
    for sport, dport in ((client, server), (server, client)):
        text = word()
        found[f"dhcp {sport} to {dport}"] = (text, [ip(source, target, UDP, udp(source, target, sport, dport, text))])
    return found


def tricks(source: str, target: str, family: int) -> Attacks:
    """What looks like something that always passes, and is not."""
    found: Attacks = {}

    def put(name: str, protocol: int, payload: bytes, text: bytes, **keys: Any) -> None:
        found[name] = (text, [ip(source, target, protocol, payload, **keys)])

    pairs = ((67, _PORT), (68, _PORT), (67, 67), (68, 68), (53, _PORT), (546, 546), (547, _PORT))
    # DHCP of the other family.
    other = ((546, 547), (547, 546)) if family == 4 else ((67, 68), (68, 67))
    for sport, dport in (*pairs, *other):
        text = word()
        put(f"udp {sport} to {dport}", UDP, udp(source, target, sport, dport, text), text)
    for sport, dport in ((67, 68), (68, 67), (546, 547), (547, 546)):
        text = word()
        put(f"tcp {sport} to {dport}", TCP, tcp(source, target, sport, dport, SYN, text), text)
    text = word()
    put("vrrp to one", 112, b"\x21\x01\x64\x01" + b"\0" * 4 + text, text, hops=255)
    if family == 4:
        text = word()
        put("igmp to one", 2, b"\x16\0\0\0" + text, text)
        for kind in (0, 3, 5, 9, 11, 13, 17):
            text = word()
            put(f"icmp {kind}", ICMP, icmp(source, target, kind, data=text), text)
        text = word()
        put("options", UDP, udp(source, target, 40001, _PORT, text), text, options=b"\x01" * 20)
    else:
        for kind in (1, 2, 3, 4, 129, 137, 138, 139, 144):
            text = word()
            put(f"icmp {kind}", ICMP6, icmp(source, target, kind, data=text), text)
        # Neighbour discovery from elsewhere, and MLD that is none.
        for kind in (133, 134, 135, 136, 130, 131, 143):
            text = word()
            put(f"icmp {kind} from afar", ICMP6, icmp(source, target, kind, data=b"\0" * 20 + text), text)
    return found


def segment(source: str, target: str, protocol: int, sport: int, dport: int, data: bytes) -> bytes:
    """The beginning of a connection, or a datagram."""
    if protocol == TCP:
        return tcp(source, target, sport, dport, SYN, data)
    return udp(source, target, sport, dport, data)


def fragments(source: str, target: str, family: int, port: int) -> Attacks:
    """Packets in pieces: of a size that has no ports in the first one, and with the order turned round."""
    found: Attacks = {}
    for number, (name, protocol, size) in enumerate((("tiny", TCP, 8), ("two", TCP, 24), ("udp", UDP, 8))):
        for turned in (False, True):
            text = word()
            mark = 100 + 2 * number + turned
            whole = segment(source, target, protocol, 42000 + mark, port, b"." * 40 + text)
            pieces = []
            for data, offset, more in ((whole[:size], 0, True), (whole[size:], size, False)):
                if family == 4:
                    pieces.append(ip(source, target, protocol, data, offset=offset, more=more, number=mark))
                else:
                    pieces.append(ip(source, target, 44, fragment(protocol, offset, more, mark, data)))
            found[f"{name}{' turned' if turned else ''}"] = (text, pieces[::-1] if turned else pieces)
    if family == 6:
        text = word()
        atomic = fragment(TCP, 0, False, 200, tcp(source, target, 44000, port, SYN, text))
        found["atomic"] = (text, [ip(source, target, 44, atomic)])
    return found


def headers(source: str, target: str, port: int) -> Attacks:
    """IPv6 extension headers before what is not allowed."""
    found: Attacks = {}
    for name, chain in {"options": (60,), "hop-by-hop": (0,), "both": (0, 60), "many": (60, 60, 60)}.items():
        for protocol in (TCP, UDP):
            text = word()
            inner = segment(source, target, protocol, 45000, port, text)
            following = protocol
            for number in reversed(chain):
                inner = option(following, inner)
                following = number
            found[f"{name} {protocol}"] = (text, [ip(source, target, following, inner)])
    return found
