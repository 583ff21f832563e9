# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv4, IPv6, MAC addresses, tags, encapsulations and link-layer protocols: attacks."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.tests.attacks.arp import REPLY, REQUEST, arp
from ansible_collections.plainlinux.vpc.tests.attacks.case import MARK, Book, eth, tagged, udp
from ansible_collections.plainlinux.vpc.tests.attacks.dhcp import bootp
from ansible_collections.plainlinux.vpc.tests.attacks.nd import (
    ALL_NODES,
    ALL_ROUTERS,
    authentication,
    fragments,
    na,
    ns,
    ra,
    solicited_node,
    to_group,
    to_one,
)
from ansible_collections.plainlinux.vpc.tests.attacks.world import (
    ANY4,
    BROADCAST,
    FLOODED_MAC,
    UNKNOWN_MAC,
    Station,
)
from scapy.layers.hsrp import HSRP
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR
from scapy.layers.inet6 import (
    ICMPv6ND_RS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP
from scapy.layers.vrrp import VRRP, VRRPv3
from scapy.packet import Packet, Raw

_ZERO = "00:00:00:00:00:00"


def ip(source: Station, address: str, target: Station, destination: str | None = None) -> Packet:
    """A UDP datagram with the given source address in a frame that is otherwise the sender's own."""
    return eth(source, target) / IP(src=address, dst=destination or target.ip4) / udp()


def ip6(source: Station, address: str, target: Station, destination: str | None = None) -> Packet:
    return eth(source, target) / IPv6(src=address, dst=destination or target.ip6 or target.ll) / udp()


def attacks(book: Book) -> None:
    _ipv4(book)
    _ipv6(book)
    _mac(book)
    _virtual_routers(book)
    _sniffing(book)
    _stranger(book)
    if not book.world.routed:
        _uplink(book)


def _ipv4(book: Book) -> None:
    world = book.world
    a, b, c, gw, host, ext = (*map(world.guest, "abc"), world.gw, world.host, world.ext)
    klass = "IPv4 source"
    book.attack(klass, "b's to gateway", ip(a, b.ip4, gw))
    book.attack(klass, "nobody's to outside", ip(a, world.nobody[0].ip4, ext))
    book.attack(klass, "foreign to outside", ip(a, "203.0.113.5", ext))
    book.attack(klass, "outside's to b", ip(a, ext.ip4, b))
    book.attack(klass, "gateway's to b", ip(a, gw.ip4, b))
    book.attack(klass, "b's to c", ip(a, b.ip4, c))
    book.attack(klass, "b's to hypervisor", ip(a, b.ip4, host))
    book.attack(klass, "hypervisor's to b", ip(a, host.ip4, b))
    book.attack(klass, "c's to b over the hypervisor", ip(a, c.ip4, host, b.ip4))
    special = {text: text for text in ("127.0.0.1", ANY4, "255.255.255.255", "224.0.0.1", "169.254.1.1")}
    for name, address in {**special, "broadcast address": world.broadcast4}.items():
        book.attack(klass, f"{name} to b", ip(a, address, b))
        book.attack(klass, f"{name} to hypervisor", ip(a, address, host))
    book.attack(klass, "0.0.0.0 to all", ip(a, ANY4, Station(BROADCAST, "255.255.255.255", "", "")))
    book.attack(klass, "virtual address to gateway", ip(a, world.virtual(4).address, gw))
    book.attack(klass, "TCP as b", eth(a, gw) / IP(src=b.ip4, dst=gw.ip4) / TCP(sport=7, dport=7) / Raw(MARK))
    echo = eth(a) / IP(src=b.ip4, dst=world.broadcast4) / ICMP() / Raw(MARK)
    book.attack(klass, "broadcast echo request as b", echo)
    route = IPOption_LSRR(routers=[gw.ip4])
    book.attack(klass, "as b with a source route", eth(a, gw) / IP(src=b.ip4, dst=gw.ip4, options=[route]) / udp())
    for name, fields in (("first fragment", {"flags": "MF"}), ("later fragment", {"frag": 100})):
        part = IP(src=b.ip4, dst=gw.ip4, proto=17, **fields) / Raw(MARK.ljust(64, b"x"))
        book.attack(klass, f"as b, {name}", eth(a, gw) / part)
    # A later fragment whose bytes look like those of a DHCP client.
    ports = bytes(UDP(sport=68, dport=67)) + MARK
    book.attack(klass, "later fragment like DHCP", eth(a, gw) / IP(src=ANY4, dst=gw.ip4, proto=17, frag=50) / ports)
    jumbo = eth(a, b) / IP(src=gw.ip4, dst=b.ip4) / udp(size=8000)
    book.attack(klass, "gateway's, 8,000 octets", jumbo)

    klass = "broken frames"
    if not world.bridge_nf:
        head = bytes(eth(a, b))[:12]
        packet = bytes(IP(src=a.ip4, dst=b.ip4, id=77) / udp())
        book.attack(klass, "IPv4 of version 6", head + b"\x08\0" + b"\x65" + packet[1:])
        book.attack(klass, "IPv4 header of 16 octets", head + b"\x08\0" + b"\x44" + packet[1:])
        book.attack(klass, "IPv4 cut in its header", head + b"\x08\0" + packet[:1] + b"\0" + MARK)
        book.attack(klass, "IPv6 cut in its header", head + b"\x86\xdd" + b"\x60\0\0\0" + MARK)
        book.attack(klass, "IPv6 of version 4", head + b"\x86\xdd" + packet)


def _ipv6(book: Book) -> None:
    world = book.world
    a, b, c, gw, host, ext = (*map(world.guest, "abc"), world.gw, world.host, world.ext)
    klass = "IPv6 source"
    book.attack(klass, "b's to gateway", ip6(a, b.ip6, gw))
    book.attack(klass, "nobody's to outside", ip6(a, world.nobody[0].ip6, ext))
    book.attack(klass, "foreign to outside", ip6(a, "2001:db8:9::1", ext))
    book.attack(klass, "outside's to b", ip6(a, ext.ip6, b))
    book.attack(klass, "gateway's link-local to b", ip6(a, gw.ll, b, b.ll))
    book.attack(klass, "b's to hypervisor", ip6(a, b.ip6, host, host.ll))
    special = {text: text for text in ("::", "::1", "ff02::1", "fe80::1234")}
    for name, address in {**special, "mapped IPv4": f"::ffff:{b.ip4}"}.items():
        book.attack(klass, f"{name} to gateway", ip6(a, address, gw, gw.ll))
        book.attack(klass, f"{name} to b", ip6(a, address, b))
    headers = eth(a, gw) / IPv6(src=b.ip6, dst=ext.ip6)
    pad = [PadN(optdata=b"\0" * 4)]
    for name, extension in (
        ("hop-by-hop", IPv6ExtHdrHopByHop(options=pad)),
        ("destination options", IPv6ExtHdrDestOpt(options=pad)),
        ("routing header", IPv6ExtHdrRouting(type=0, addresses=[gw.ll], segleft=1)),
    ):
        book.attack(klass, f"b's behind {name}", headers / extension / udp())
    book.attack(klass, "b's in fragments", *fragments(headers, udp(size=64), 24))
    book.attack(klass, "echo to all as b", to_group(a, b.ip6, ALL_NODES) / Raw(b"\x80\0\0\0" + MARK))

    klass = "no address in the family"
    book.attack(klass, "link-local to gateway", ip6(c, c.ll, gw, gw.ll), sender="c")
    book.attack(klass, "made-up to outside", ip6(c, world.nobody[0].ip6, ext), sender="c")
    book.attack(klass, "NS", to_group(c, c.ll, solicited_node(gw.ll)) / ns(gw.ll, c.mac), sender="c")
    book.attack(klass, "NA", to_group(c, c.ll, ALL_NODES) / na(c.ll, c.mac), sender="c")
    book.attack(klass, "DAD", to_group(c, "::", solicited_node(c.ll)) / ns(c.ll), sender="c")
    for sender, source in (("host", host), *(() if world.routed else (("ext", gw),))):
        inwards = ip6(source, source.ll, c, c.ll)
        book.attack(klass, f"IPv6 of {sender} to c", inwards, sender=sender)
    book.attack(klass, "RS", to_group(c, c.ll, ALL_ROUTERS) / ICMPv6ND_RS(), sender="c")


def _mac(book: Book) -> None:
    """A bridge drops frames from group addresses and from zeros by itself: those are no cases."""
    world = book.world
    a, b, gw, host = world.guest("a"), world.guest("b"), world.gw, world.host
    klass = "MAC"
    for name, mac in (("b's", b.mac), ("unknown", UNKNOWN_MAC), ("gateway's", gw.mac), ("bridge's", host.mac)):
        if name == "gateway's" and world.routed:
            continue
        to_b = b.mac if name != "b's" else gw.mac
        book.attack(klass, f"{name}, unicast", eth(mac, to_b) / IP(src=a.ip4, dst=b.ip4) / udp())
        book.attack(klass, f"{name}, ARP to all", arp(REQUEST, (mac, a.ip4), (_ZERO, gw.ip4)))
        book.attack(klass, f"{name}, IPv6", to_group(mac, a.ll, ALL_NODES) / na(a.ll, a.mac))
    book.attack(klass, "b's with b's address", eth(b.mac, gw) / IP(src=b.ip4, dst=gw.ip4) / udp())
    book.attack(
        klass,
        "b's, discover with own chaddr",
        eth(b.mac) / IP(src=ANY4, dst="255.255.255.255") / UDP(sport=68, dport=67) / bootp("discover", a.mac),
    )
    virtual = world.virtual(4)
    book.attack(klass, "virtual router's", arp(REQUEST, (virtual.mac, virtual.address), (_ZERO, virtual.address)))
    own = world.guest("r").ip4
    book.attack(klass, "unknown, of a role", eth(UNKNOWN_MAC, gw) / IP(src=own, dst=gw.ip4) / udp(), sender="r")


def vrrp(source: str, address: str, virtual: str) -> Packet:
    """An advertisement of a virtual router; source: MAC, address: of the sender."""
    headers = eth(source, "01:00:5e:00:00:12") / IP(src=address, dst="224.0.0.18", ttl=255, proto=112)
    return headers / VRRP(vrid=7, priority=250, ipcount=1, addrlist=[virtual])


def vrrp6(source: str, address: str, virtual: str) -> Packet:
    headers = to_group(source, address, "ff02::12")
    headers[IPv6].nh = 112
    return headers / VRRPv3(vrid=7, priority=250, ipcount=1, addrlist=[]) / Raw(bytes(IPv6(dst=virtual))[24:40])


def _virtual_routers(book: Book) -> None:
    world = book.world
    a, r, gw = world.guest("a"), world.guest("r"), world.gw
    klass = "VRRP, HSRP"
    book.attack(klass, "VRRP of own", vrrp(a.mac, a.ip4, gw.ip4))
    virtual = world.virtual(4)
    book.attack(klass, "VRRP as r", vrrp(virtual.mac, r.ip4, virtual.address))
    book.attack(klass, "VRRP as gateway", vrrp(a.mac, gw.ip4, gw.ip4))
    book.attack(klass, "VRRPv3 over IPv6", vrrp6(a.mac, a.ll, gw.ll))
    # As VRRP version 2 did where it was authenticated.
    plain = vrrp(a.mac, a.ip4, gw.ip4)
    sealed = plain[IP].copy()
    sealed.proto = 51
    sealed.payload = Raw(authentication(112) + bytes(plain)[34:])
    book.attack(klass, "VRRP behind authentication header", eth(a, "01:00:5e:00:00:12") / sealed)
    hello6 = to_group(a, a.ll, "ff02::66") / UDP(sport=2029, dport=2029) / Raw(MARK)
    book.attack(klass, "HSRP over IPv6", hello6)
    hello = UDP(sport=1985, dport=1985) / HSRP(priority=255, virtualIP=gw.ip4) / Raw(MARK)
    for name, mac in (("own", a.mac), ("virtual", "00:00:0c:07:ac:01")):
        headers = eth(mac, "01:00:5e:00:00:02") / IP(src=a.ip4, dst="224.0.0.2", ttl=1)
        book.attack(klass, f"HSRP from {name} MAC", headers / hello)


def _sniffing(book: Book) -> None:
    world = book.world
    a, b, c, gw, host = (*map(world.guest, "abc"), world.gw, world.host)
    klass = "sniffing"
    sources = [("host", host)]
    if world.kind != "isolated":
        sources.append(("c", c))
    if not world.routed:
        sources.append(("ext", gw))
    for sender, source in sources:
        # The port of r, who has several MAC addresses, gets what is flooded, whatever its settings are.
        everybody = {"a", "r"}
        lost = eth(source, FLOODED_MAC) / IP(src=source.ip4, dst=b.ip4) / udp()
        book.attack(klass, f"flooded unicast of {sender}", lost, sender=sender, seen=everybody)
        answer = arp(REPLY, (source.mac, source.ip4), (FLOODED_MAC, b.ip4), FLOODED_MAC)
        book.attack(klass, f"flooded ARP of {sender}", answer, sender=sender, seen=everybody)
        # A sender whose neighbour table is old, or was poisoned.
        wrong = eth(source, a) / IP(src=source.ip4, dst=b.ip4) / udp()
        book.attack(klass, f"b's packet of {sender} in a frame for a", wrong, sender=sender)
        if sender != "c":
            wrong6 = eth(source, a) / IPv6(src=source.ip6, dst=b.ip6) / udp()
            book.attack(klass, f"b's IPv6 packet of {sender} in a frame for a", wrong6, sender=sender)
            lost6 = eth(source, FLOODED_MAC) / IPv6(src=source.ip6, dst=b.ip6) / udp()
            book.attack(klass, f"flooded IPv6 unicast of {sender}", lost6, sender=sender, seen=everybody)


def _stranger(book: Book) -> None:
    """A VIF that is plugged in and declared nowhere: nothing goes in, nothing comes out."""
    world = book.world
    b, d, gw, host, ext = world.guest("b"), world.guest("d"), world.gw, world.host, world.ext
    klass = "undeclared VIF"
    book.attack(klass, "ARP request", arp(REQUEST, (d.mac, d.ip4), (_ZERO, gw.ip4)), sender="d")
    book.attack(klass, "ARP reply to b", arp(REPLY, (d.mac, gw.ip4), (b.mac, b.ip4), b.mac), sender="d")
    book.attack(klass, "IPv4 to b", ip(d, d.ip4, b), sender="d")
    book.attack(klass, "IPv4 to hypervisor", ip(d, d.ip4, host), sender="d")
    book.attack(klass, "IPv4 to gateway", ip(d, d.ip4, gw), sender="d")
    book.attack(klass, "IPv6 to outside", ip6(d, d.ip6, ext), sender="d")
    book.attack(klass, "as b", eth(b.mac, gw) / IP(src=b.ip4, dst=gw.ip4) / udp(), sender="d")
    discover = IP(src=ANY4, dst="255.255.255.255") / UDP(sport=68, dport=67) / bootp("discover", d.mac)
    book.attack(klass, "DHCP discover", eth(d) / discover, sender="d")
    book.attack(klass, "DAD", to_group(d, "::", solicited_node(d.ip6)) / ns(d.ip6), sender="d")
    book.attack(klass, "RA", to_group(d, d.ll, ALL_NODES) / ra(d.mac), sender="d")
    book.attack(klass, "own EtherType", bytes(eth(d, b))[:12] + b"\x88\xb5" + MARK, sender="d")
    eapol = bytes(eth(d, "01:80:c2:00:00:03"))[:12] + b"\x88\x8e" + MARK
    book.attack(klass, "EAPOL to its port", eapol, sender="d", seen={"port"})
    into = {"d"}
    book.attack(klass, "unicast of hypervisor to it", ip(host, host.ip4, d), sender="host", seen=into)
    if world.kind != "isolated":
        overheard = eth(b) / ARP(op=REQUEST, hwsrc=b.mac, psrc=b.ip4, hwdst=_ZERO, pdst=gw.ip4)
        book.attack(klass, "b's broadcast to it", overheard, sender="b", seen=into)
        book.attack(klass, "unicast of b to it", ip(b, b.ip4, d), sender="b", seen=into)
    if not world.routed:
        book.attack(klass, "unicast of outside to it", ip(gw, ext.ip4, d), sender="ext", seen=into)


def _uplink(book: Book) -> None:
    """Somebody behind the uplink takes a local guest's address."""
    world = book.world
    a, b, c, gw, host = (*map(world.guest, "abc"), world.gw, world.host)
    klass = "spoofing behind the uplink"
    book.attack(klass, "b's MAC to c", eth(b.mac, c) / IP(src=gw.ip4, dst=c.ip4) / udp(), sender="ext", seen={"c"})
    everyone = {"c", "host"}
    own = (b.mac, world.nobody[0].ip4)
    book.attack(klass, "b's MAC, ARP to all", arp(REQUEST, own, (_ZERO, c.ip4)), sender="ext", seen=everyone)
    book.attack(klass, "b's address to c", ip(gw, b.ip4, c), sender="ext")
    book.attack(klass, "b's address to hypervisor", ip(gw, b.ip4, host), sender="ext")
    book.attack(klass, "ARP reply for b to c", arp(REPLY, (gw.mac, b.ip4), (c.mac, c.ip4), c.mac), sender="ext")
    book.attack(klass, "gratuitous ARP for b", arp(REQUEST, (gw.mac, b.ip4), (_ZERO, b.ip4)), sender="ext")
    forged = arp(REPLY, (b.mac, b.ip4), (c.mac, c.ip4), c.mac, header=gw.mac)
    book.attack(klass, "ARP body of b in a frame of its own", forged, sender="ext")
    book.attack(klass, "IPv6 as b to hypervisor", ip6(gw, b.ip6, host), sender="ext")
    book.attack(klass, "IPv6 as a to b", ip6(gw, a.ip6, b), sender="ext")
    book.attack(klass, "NA for b's address", to_group(gw, gw.ll, ALL_NODES) / na(b.ip6, gw.mac), sender="ext")
    spoof = to_one(gw, a.ip6, b, b.ip6) / ns(b.ip6, gw.mac)
    book.attack(klass, "NS as a to b", spoof, sender="ext")
    taken = to_group(gw, "::", solicited_node(b.ip6)) / ns(b.ip6)
    book.attack(klass, "DAD for b's address", taken, sender="ext", seen={"b"})
    plain = bytes(arp(REPLY, (gw.mac, b.ip4), (c.mac, c.ip4), c.mac))
    book.attack(klass, "ARP reply for b, priority tag", tagged(plain, b"\x81\0\0\0"), sender="ext")
    plain = bytes(ip(gw, b.ip4, host))
    book.attack(klass, "b's address to hypervisor, priority tag", tagged(plain, b"\x81\0\0\0"), sender="ext")
    book.attack(klass, "b's link-local to a", ip6(gw, b.ll, a), sender="ext")
    book.attack(klass, "NA for b's link-local", to_group(gw, gw.ll, ALL_NODES) / na(b.ll, gw.mac), sender="ext")
    virtual = world.virtual(4)
    book.attack(klass, "virtual MAC of r", eth(virtual.mac, b) / IP(src=gw.ip4, dst=b.ip4) / udp(), sender="ext")
