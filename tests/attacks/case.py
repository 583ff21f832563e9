# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A case of the catalogue: frames built by scapy, made unique, with who would see them; and the book of all cases."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.tests.attacks.world import ABSENT, BROADCAST, Station, World
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Padding, Raw

# Stands in a payload where the case's own mark is to be; of the same length.
MARK = b"plvpc-a-mark"
_MAGIC = MARK[:5]
_VLAN_TYPES = (b"\x81\x00", b"\x88\xa8")
_SHORTEST = 60
_HEADER = 14
# What a frame has somewhere if it speaks of what the world lacks.
_ABSENT = (
    bytes.fromhex(ABSENT.mac.replace(":", "")),
    ipaddress.ip_address(ABSENT.ip4).packed,
    ipaddress.ip_address(ABSENT.ip6).packed,
    ipaddress.ip_address(ABSENT.ll).packed,
)


@dataclass(frozen=True)
class Needle:
    """What a frame is recognised by: these bytes at this offset, counted in the frame without its outer VLAN tag.

    whole: the frame has to end with them.
    """

    data: bytes
    offset: int
    whole: bool


@dataclass(frozen=True)
class Case:
    """Frames that one sender sends, and the receivers that see them all if nothing filters them.

    sender, seen: a guest's name, "host", "ext" (behind the uplink), or "port" (in seen only: the hypervisor's own
    protocol handlers on the attacker's port, where the bridge hands over what it does not forward).
    """

    id: str
    klass: str
    legit: bool
    sender: str
    frames: tuple[bytes, ...]
    seen: frozenset[str]

    @property
    def needles(self) -> tuple[Needle, ...]:
        return tuple(_needle(frame) for frame in self.frames)


def untagged(frame: bytes) -> bytes:
    """The frame as a packet socket shows it: Linux takes the outer VLAN tag out of the bytes."""
    return frame[:12] + frame[16:] if frame[12:14] in _VLAN_TYPES else frame


def _needle(frame: bytes) -> Needle:
    frame = untagged(frame)
    at = frame.find(_MAGIC)
    # Without room for a mark: all behind the Ethernet header. IP identification or flow label make it unique.
    return Needle(frame[at : at + len(MARK)], at, False) if at >= 0 else Needle(frame[12:], 12, True)


def eth(source: str | Station, target: str | Station = BROADCAST) -> Packet:
    """An Ethernet header between two stations or MAC addresses."""
    return Ether(
        src=source if isinstance(source, str) else source.mac, dst=target if isinstance(target, str) else target.mac
    )


def udp(sport: int = 5353, dport: int = 9, size: int = 0) -> Packet:
    """A UDP datagram with the case's mark; size: of a longer payload, which also ends in the mark."""
    return UDP(sport=sport, dport=dport) / Raw(MARK.ljust(size - len(MARK), b".") + MARK if size else MARK)


def tagged(packet: Packet | bytes, tag: bytes) -> bytes:
    """The packet with tags between MAC addresses and EtherType, and a mark if it has none."""
    data = bytes(packet)
    if MARK not in data:
        data = data.ljust(64, b"\0") + MARK
    return data[:12] + tag + data[12:]


class Book:
    """The catalogue of one world while it is written.

    left_out: (class, whether legitimate) of each case that needs what this world lacks, by its id.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.cases: dict[str, Case] = {}
        self.left_out: dict[str, tuple[str, bool]] = {}

    def attack(
        self, klass: str, name: str, *frames: Packet | bytes, sender: str = "a", seen: Iterable[str] | None = None
    ) -> None:
        """Add frames that must not get through. seen: default everybody whom the bridge would bring them to."""
        self._add(klass, name, frames, False, sender, seen)

    def legit(
        self, klass: str, name: str, *frames: Packet | bytes, sender: str = "b", seen: Iterable[str] | None = None
    ) -> None:
        """Add frames that must arrive. seen: default as for an attack, without guests that lack the family."""
        self._add(klass, name, frames, True, sender, seen)

    def _add(
        self,
        klass: str,
        name: str,
        frames: tuple[Packet | bytes, ...],
        legit: bool,
        sender: str,
        seen: Iterable[str] | None,
    ) -> None:
        ident = f"{'ok' if legit else 'bad'}:{klass}/{name}"
        assert ident not in self.cases, ident
        digest = hashlib.sha256(ident.encode()).digest()
        built = tuple(self._build(frame, digest[:6] + bytes([number])) for number, frame in enumerate(frames))
        world = self.world
        if seen is None:
            target = ":".join(f"{octet:02x}" for octet in built[0][:6])
            receivers = world.reached(sender, target)
            if legit and untagged(built[0])[12:14] == b"\x86\xdd":
                receivers -= {"c"}
        else:
            receivers = frozenset(seen)
        there = receivers & {*world.vifs, "host", "ext", "port"}
        if receivers and (not there or any(self._impossible(frame) for frame in built)):
            self.left_out[ident] = (klass, legit)
        elif there:
            self.cases[ident] = Case(ident, klass, legit, sender, built, there)

    def _impossible(self, frame: bytes) -> bool:
        return len(frame) > self.world.scene.mtu + _HEADER or any(token in frame for token in _ABSENT)

    @staticmethod
    def _build(frame: Packet | bytes, unique: bytes) -> bytes:
        mark = _MAGIC + unique
        if isinstance(frame, bytes):
            return frame.replace(MARK, mark)
        frame = frame.copy()
        layer = frame
        while layer.payload:
            layer = layer.payload
            if isinstance(layer, IP):
                layer.id = int.from_bytes(unique[:2], "big") | 1
            elif isinstance(layer, IPv6):
                layer.fl = int.from_bytes(unique[:3], "big") & 0xFFFFF
            elif isinstance(layer, Raw):
                layer.load = layer.load.replace(MARK, mark)
        if ARP in frame:
            # What follows an ARP packet is padding, which nobody reads.
            frame = frame / Padding(mark)
        data = bytes(frame)
        assert MARK not in data, frame
        return data.ljust(_SHORTEST, b"\0") if ARP in frame else data
