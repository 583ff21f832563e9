# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags, encapsulations, foreign EtherTypes and the link-local protocols of switches: attacks."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.tests.attacks.arp import REPLY, REQUEST, arp
from ansible_collections.plainlinux.vpc.tests.attacks.case import MARK, Book, eth, tagged, udp
from ansible_collections.plainlinux.vpc.tests.attacks.dhcp import bootp, server
from ansible_collections.plainlinux.vpc.tests.attacks.nd import ALL_NODES, na, ra, to_group
from ansible_collections.plainlinux.vpc.tests.attacks.world import ANY4
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

_ZERO = "00:00:00:00:00:00"
BRIDGE_GROUP = "01:80:c2:00:00:00"
LACP_GROUP = "01:80:c2:00:00:02"
EAPOL_GROUP = "01:80:c2:00:00:03"
# Configuration message: root priority 0, so whoever sends it wants to be the root.
_LLC = b"\x42\x42\x03"


def bpdu(mac: str) -> bytes:
    """The payload of an 802.1D configuration message that claims the root for this MAC address."""
    bridge = b"\0\0" + bytes(eth(mac))[6:12]
    times = b"\x00\x00\x14\x00\x02\x00\x0f\x00"
    return _LLC + b"\0\0\0\0\0" + bridge + bytes(4) + bridge + b"\x80\x01" + times


def frame(source: str, target: str, ethertype: int, payload: bytes) -> bytes:
    """A frame, filled up to 60 octets."""
    return (bytes(eth(source, target))[:12] + ethertype.to_bytes(2, "big") + payload).ljust(60, b"\0")


def length(source: str, target: str, payload: bytes) -> bytes:
    """A frame with a length where others have an EtherType, as 802.3 has it."""
    return frame(source, target, len(payload), payload)


def attacks(book: Book) -> None:
    _tags(book)
    _encapsulations(book)
    _ethertypes(book)
    _switch_protocols(book)


def _tags(book: Book) -> None:
    world = book.world
    a, b, gw, host = world.guest("a"), world.guest("b"), world.gw, world.host
    inner: dict[str, Packet] = {
        "IPv4 source": eth(a, b) / IP(src=gw.ip4, dst=b.ip4) / udp(),
        "IPv4 source to hypervisor": eth(a, host) / IP(src=b.ip4, dst=host.ip4) / udp(),
        "ARP reply": arp(REPLY, (a.mac, gw.ip4), (b.mac, b.ip4), b.mac),
        "ARP request": arp(REQUEST, (a.mac, gw.ip4), (_ZERO, b.ip4)),
        "IPv6 source": eth(a, gw) / IPv6(src=b.ip6, dst=gw.ip6 or gw.ll) / udp(),
        "NA": to_group(a, a.ll, ALL_NODES) / na(gw.ll, a.mac),
        "RA": to_group(a, a.ll, ALL_NODES) / ra(a.mac),
        "DHCP offer": server(a, a.ip4, bootp("offer", b.mac, 2)),
    }
    for name, packet in inner.items():
        book.attack("VLAN tag", f"priority tag, {name}", tagged(packet, b"\x81\0\0\0"))
    for name in ("IPv4 source", "ARP reply", "RA"):
        book.attack("VLAN tag", f"VLAN 100, {name}", tagged(inner[name], b"\x81\0\0\x64"))
        book.attack("VLAN tag", f"802.1ad, {name}", tagged(inner[name], b"\x88\xa8\0\0"))
        book.attack("VLAN tag", f"two tags, {name}", tagged(inner[name], b"\x88\xa8\0\x64\x81\0\0\0"))
        book.attack("VLAN tag", f"two priority tags, {name}", tagged(inner[name], b"\x81\0\0\0\x81\0\0\0"))
        book.attack("VLAN tag", f"0x9100, {name}", tagged(inner[name], b"\x91\0\0\0"))
    own = eth(a, gw) / IP(src=a.ip4, dst=gw.ip4) / udp()
    book.attack("VLAN tag", "VLAN 100, own address", tagged(own, b"\x81\0\0\x64"))


def _encapsulations(book: Book) -> None:
    world = book.world
    a, b, gw = world.guest("a"), world.guest("b"), world.gw
    snap = b"\xaa\xaa\x03\0\0\0"
    klass = "SNAP, PPPoE"
    inner = {
        "IPv4": (b"\x08\0", bytes(IP(src=gw.ip4, dst=b.ip4) / udp())),
        "ARP": (b"\x08\x06", bytes(arp(REPLY, (a.mac, gw.ip4), (b.mac, b.ip4)))[14:] + MARK),
        "RA": (b"\x86\xdd", bytes(to_group(a, a.ll, ALL_NODES) / ra(a.mac))[14:] + MARK),
    }
    for name, (ethertype, packet) in inner.items():
        book.attack(klass, f"SNAP, {name}", length(a.mac, b.mac, snap + ethertype + packet))
    tagged = length(a.mac, b.mac, snap + b"\x81\0\0\0\x08\0" + inner["IPv4"][1])
    book.attack(klass, "SNAP, tag, IPv4", tagged)
    book.attack(
        klass, "tag, SNAP, IPv4", tagged[:12] + b"\x81\0\0\0" + length(a.mac, b.mac, snap + b"\x08\0" + MARK)[12:]
    )
    book.attack(klass, "NetBIOS", length(a.mac, b.mac, b"\xf0\xf0\x03" + MARK))
    cisco = length(a.mac, "01:00:0c:cc:cc:cc", b"\xaa\xaa\x03\0\0\x0c\x20\0" + MARK)
    book.attack(klass, "CDP", cisco)
    book.attack(klass, "PPPoE discovery", frame(a.mac, "ff:ff:ff:ff:ff:ff", 0x8863, b"\x11\x09\0\0\0\x0c" + MARK))
    for name, protocol, number in (("IPv4", b"\0\x21", "IPv4"), ("IPv6", b"\0\x57", "RA")):
        packet = protocol + inner[number][1]
        session = b"\x11\0\0\1" + len(packet).to_bytes(2, "big") + packet
        book.attack(klass, f"PPPoE session, {name}", frame(a.mac, b.mac, 0x8864, session))


def _ethertypes(book: Book) -> None:
    world = book.world
    a, b = world.guest("a"), world.guest("b")
    everybody = "ff:ff:ff:ff:ff:ff"
    klass = "other EtherTypes"
    reverse = bytes(arp(3, (b.mac, ANY4), (b.mac, ANY4)))[14:]
    book.attack(klass, "RARP with b's MAC", frame(a.mac, everybody, 0x8035, reverse + MARK))
    for name, number in (
        ("IPX", 0x8137),
        ("MPLS", 0x8847),
        ("experimental", 0x88B5),
        ("loopback", 0x9000),
        ("MACsec", 0x88E5),
        ("PTP", 0x88F7),
        ("LLDP to all", 0x88CC),
        ("wake on LAN", 0x0842),
        ("pause", 0x8808),
        ("slow protocols to all", 0x8809),
        ("TRILL", 0x22F3),
        ("0xffff", 0xFFFF),
        ("length 1501", 1501),
    ):
        book.attack(klass, name, frame(a.mac, everybody, number, MARK))
    book.attack(klass, "EAPOL to b", frame(a.mac, b.mac, 0x888E, b"\1\1\0\0" + MARK))


def _switch_protocols(book: Book) -> None:
    a = book.world.guest("a")
    klass = "switch protocols"
    book.attack(klass, "BPDU, bridge without STP", length(a.mac, BRIDGE_GROUP, bpdu(a.mac) + MARK))
    book.attack(klass, "PVST", length(a.mac, "01:00:0c:cc:cc:cd", b"\xaa\xaa\x03\0\0\x0c\x01\x0b" + MARK))
    book.attack(klass, "MVRP", frame(a.mac, "01:80:c2:00:00:21", 0x88F5, MARK))
    # The bridge forwards none of these, but hands them to the hypervisor's own protocol handlers.
    port = {"port"}
    book.attack(klass, "EAPOL to the port", frame(a.mac, EAPOL_GROUP, 0x888E, b"\1\1\0\0" + MARK), seen=port)
    book.attack(klass, "LACP to the port", frame(a.mac, LACP_GROUP, 0x8809, b"\1" + MARK), seen=port)
    book.attack(klass, "LLDP to the port, 802.1X group", frame(a.mac, EAPOL_GROUP, 0x88CC, MARK), seen=port)
    last = "01:80:c2:00:00:0d"
    book.attack(klass, "MSRP-like to the port", frame(a.mac, last, 0x22EA, MARK), seen=port)
