# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Neighbour discovery, router advertisements, redirects and multicast queriers: attacks."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.plainlinux.vpc.tests.attacks.case import Book, eth
from ansible_collections.plainlinux.vpc.tests.attacks.world import ANY4, Station
from scapy.layers.igmp import IGMP, IGMPv3_MQ
from scapy.layers.inet import ICMP, IP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    HBHOptUnknown,
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLQuery2,
    ICMPv6MLReport,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6NDOptUnknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    RouterAlert,
)
from scapy.packet import Packet, Raw

ALL_NODES = "ff02::1"
ALL_ROUTERS = "ff02::2"
# An option that receivers have to skip when they do not know it. They refuse long padding.
SKIPPED_OPTION = 0x1E
# What false routers advertise.
ADVERTISED = "2001:db8:bad::/64"


def multicast_mac(address: str) -> str:
    """The MAC address of an IPv6 multicast address that is written with its last four octets."""
    raw = bytes(IPv6(dst=address))[36:40]
    return "33:33:" + ":".join(f"{octet:02x}" for octet in raw)


def solicited_node(address: str) -> str:
    """The multicast group in which the owner of an address is asked for it."""
    raw = bytes(IPv6(dst=address))[37:40]
    return f"ff02::1:ff{raw[0]:02x}:{raw[1]:02x}{raw[2]:02x}"


def to_group(source: str | Station, address: str, group: str) -> Packet:
    """Ethernet and IPv6 headers from an address to a multicast group, hop limit 255."""
    return eth(source, multicast_mac(group)) / IPv6(src=address, dst=group, hlim=255)


def to_one(source: Station | str, address: str, target: Station, destination: str) -> Packet:
    """Ethernet and IPv6 headers to one station, hop limit 255."""
    return eth(source, target) / IPv6(src=address, dst=destination, hlim=255)


def na(target: str, mac: str | None, solicited: int = 0, override: int = 1, router: int = 0) -> Packet:
    message: Packet = ICMPv6ND_NA(tgt=target, R=router, S=solicited, O=override)
    return message / ICMPv6NDOptDstLLAddr(lladdr=mac) if mac else message


def ns(target: str, mac: str | None = None) -> Packet:
    message: Packet = ICMPv6ND_NS(tgt=target)
    return message / ICMPv6NDOptSrcLLAddr(lladdr=mac) if mac else message


def ra(mac: str, lifetime: int = 1800) -> Packet:
    message: Packet = ICMPv6ND_RA(routerlifetime=lifetime) / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    return message / ICMPv6NDOptPrefixInfo(prefix=ADVERTISED.partition("/")[0], prefixlen=64, L=1, A=1)


def authentication(number: int) -> bytes:
    """An authentication header of 24 octets before a protocol of this number."""
    return bytes([number, 4, 0, 0]) + b"\0\0\1\0\0\0\0\1" + bytes(12)


def behind(headers: Packet, message: Packet, what: str) -> Packet:
    """The message behind extension headers."""
    if what == AUTHENTICATION:
        headers = headers.copy()
        data = bytes(headers / message)[14 + 40 :]
        headers[IPv6].nh = 51
        return headers / Raw(authentication(58) + data)
    extension: Packet = {
        "hop-by-hop": IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]),
        "destination options": IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]),
        "two headers": IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
        / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=SKIPPED_OPTION, optdata=b"\0" * 12)]),
        "routing header": IPv6ExtHdrRouting(type=0, addresses=[], segleft=0),
        "atomic fragment": IPv6ExtHdrFragment(offset=0, m=0, id=7),
    }[what]
    return headers / extension / message


def disguised(source: Station, headers: Packet, message: Packet) -> Packet:
    """The message behind options that have the sender's own address where a plain NA has its target and option."""
    fake = bytes(4) + bytes(IPv6(dst=source.ip6))[24:40] + b"\2\1" + bytes(eth(source.mac))[6:12]
    return headers / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=SKIPPED_OPTION, optdata=fake)]) / message


AUTHENTICATION = "authentication header"
EXTENSIONS = (AUTHENTICATION, "hop-by-hop", "destination options", "two headers", "routing header", "atomic fragment")


def fragments(headers: Packet, payload: Packet, cut: int, leading: int = 0) -> Iterator[Packet]:
    """The payload in two IPv6 fragments. cut: length of the first, a multiple of 8 octets.

    leading: as many octets of destination options go before the payload, so that the first fragment may end in them.
    """
    data = bytes(headers / payload)[14 + 40 :]
    number = 58 if not isinstance(payload, UDP) else 17
    if leading:
        data = bytes([number, leading // 8 - 1, SKIPPED_OPTION, leading - 4]) + bytes(leading - 4) + data
        number = 60
    yield headers / IPv6ExtHdrFragment(nh=number, offset=0, m=1, id=99) / Raw(data[:cut])
    yield headers / IPv6ExtHdrFragment(nh=number, offset=cut // 8, m=0, id=99) / Raw(data[cut:])


def attacks(book: Book) -> None:
    _advertisements(book)
    _solicitations(book)
    _routers(book)
    _redirects(book)
    _queriers(book)


def _advertisements(book: Book) -> None:
    world = book.world
    a, b, gw, host = world.guest("a"), world.guest("b"), world.gw, world.host
    klass = "NA"
    victim = to_one(a, a.ll, b, b.ll)
    router = to_one(a, a.ll, gw, gw.ll)
    everybody = to_group(a, a.ll, ALL_NODES)
    spoof = na(gw.ll, a.mac, router=1)
    book.attack(klass, "gateway's to b", victim / spoof)
    book.attack(klass, "gateway's to all", everybody / spoof)
    book.attack(klass, "gateway's to all, solicited", everybody / na(gw.ll, a.mac, 1))
    book.attack(klass, "b's to gateway", router / na(b.ip6, a.mac))
    book.attack(klass, "b's second to hypervisor", to_one(a, a.ll, host, host.ll) / na(world.second.ip6, a.mac))
    book.attack(klass, "b's without option", router / na(b.ip6, None))
    book.attack(klass, "virtual address to all", everybody / na(world.virtual(6).address, a.mac))
    # Filters that know addresses, but do not look inside, pass these.
    book.attack(klass, "b's from own global address", to_one(a, a.ip6, gw, gw.ll) / na(b.ip6, a.mac))
    book.attack(klass, "gateway's to b's global address", to_one(a, a.ip6, b, b.ip6) / spoof)
    book.attack(klass, "own, option with b's MAC", router / na(a.ip6, b.mac))
    book.attack(
        klass, "own, second option with b's MAC", router / na(a.ip6, a.mac) / ICMPv6NDOptDstLLAddr(lladdr=b.mac)
    )
    book.attack(klass, "gateway's as gateway", to_group(a, gw.ll, ALL_NODES) / spoof)
    book.attack(klass, "own as b", to_one(a, b.ll, gw, gw.ll) / na(a.ip6, a.mac))

    klass = "NA behind headers or fragments"
    for what in EXTENSIONS:
        book.attack(klass, what, behind(everybody, spoof, what))
    book.attack(klass, "own bytes at the fixed offsets", disguised(a, everybody, spoof))
    book.attack(klass, "two fragments", *fragments(everybody, spoof, 24))
    to_b = to_one(a, a.ip6, b, b.ip6)
    book.attack(klass, "own bytes, to b's global address", disguised(a, to_b, spoof))
    book.attack(klass, "header chain over two fragments", *fragments(everybody, spoof, 8, 16))
    book.attack(klass, "no next header", everybody / IPv6ExtHdrHopByHop(nh=59) / Raw(bytes(everybody / spoof)[54:]))


def _solicitations(book: Book) -> None:
    world = book.world
    a, b, gw, host = world.guest("a"), world.guest("b"), world.gw, world.host
    klass = "NS, RS"
    target = solicited_node(b.ip6)
    book.attack(klass, "gateway's link-local to b", to_one(a, gw.ll, b, b.ip6) / ns(b.ip6, a.mac))
    book.attack(klass, "gateway's link-local to group", to_group(a, gw.ll, target) / ns(b.ip6, a.mac))
    book.attack(klass, "b's address to gateway", to_group(a, b.ip6, solicited_node(gw.ll)) / ns(gw.ll, a.mac))
    book.attack(klass, "b's to hypervisor", to_one(a, b.ip6, host, host.ll) / ns(host.ll, a.mac))
    book.attack(klass, "own, option with b's MAC", to_one(a, a.ll, gw, gw.ll) / ns(gw.ll, b.mac))
    book.attack(
        klass,
        "own, second option with b's MAC",
        to_one(a, a.ll, gw, gw.ll) / ns(gw.ll, a.mac) / ICMPv6NDOptSrcLLAddr(lladdr=b.mac),
    )
    for what in ("destination options", "atomic fragment"):
        headers = to_group(a, gw.ll, target)
        book.attack(klass, f"gateway's behind {what}", behind(headers, ns(b.ip6, a.mac), what))
    routers = to_group(a, b.ll, ALL_ROUTERS)
    book.attack(klass, "RS as b", routers / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=a.mac))
    book.attack(
        klass,
        "RS, option with b's MAC",
        to_group(a, a.ll, ALL_ROUTERS) / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=b.mac),
    )

    klass = "DAD collision"
    for name, address in (("b's", b.ip6), ("b's second", world.second.ip6), ("b's link-local", b.ll)):
        book.attack(klass, f"NS for {name}", to_group(a, "::", solicited_node(address)) / ns(address))
    book.attack(klass, "NS for gateway's", to_group(a, "::", solicited_node(gw.ll)) / ns(gw.ll))
    book.attack(klass, "NA for b's", to_group(a, a.ll, ALL_NODES) / na(b.ip6, a.mac, 0, 1))
    nonce = ICMPv6NDOptUnknown(type=14, len=1, data=b"nonce1")
    book.attack(klass, "NS with nonce", to_group(a, "::", solicited_node(b.ip6)) / ns(b.ip6) / nonce)
    # RFC 4861 forbids this option there; a receiver that takes it is poisoned.
    book.attack(klass, "own NS with option", to_group(a, "::", solicited_node(a.ip6)) / ns(a.ip6, a.mac))


def _routers(book: Book) -> None:
    world = book.world
    a, b, gw = world.guest("a"), world.guest("b"), world.gw
    everybody = to_group(a, a.ll, ALL_NODES)
    klass = "RA"
    book.attack(klass, "own to all", everybody / ra(a.mac))
    book.attack(klass, "own to b", to_one(a, a.ll, b, b.ll) / ra(a.mac))
    book.attack(klass, "as gateway, lifetime 0", to_group(a, gw.ll, ALL_NODES) / ra(gw.mac, 0))
    book.attack(klass, "own to hypervisor", to_one(a, a.ll, world.host, world.host.ll) / ra(a.mac))
    klass = "RA behind headers or fragments"
    for what in EXTENSIONS:
        book.attack(klass, what, behind(everybody, ra(a.mac), what))
    book.attack(klass, "two fragments", *fragments(everybody, ra(a.mac), 24))
    book.attack(klass, "first fragment of 8 octets", *fragments(everybody, ra(a.mac), 8))
    book.attack(klass, "header chain over two fragments", *fragments(everybody, ra(a.mac), 16, 24))


def _redirects(book: Book) -> None:
    world = book.world
    a, b, gw = world.guest("a"), world.guest("b"), world.gw
    klass = "redirect"
    original = IP(src=b.ip4, dst=world.ext.ip4) / UDP(sport=1, dport=2)
    message = ICMP(type=5, code=1, gw=a.ip4) / original
    for name, target in (("b", b), ("gateway", gw)):
        source = gw.ip4 if name == "b" else a.ip4
        book.attack(klass, f"IPv4 to {name}", eth(a, target) / IP(src=source, dst=target.ip4) / message)
    book.attack(klass, "IPv4 own to b", eth(a, b) / IP(src=a.ip4, dst=b.ip4) / message)
    message6 = ICMPv6ND_Redirect(tgt=a.ll, dst=world.ext.ip6) / ICMPv6NDOptDstLLAddr(lladdr=a.mac)
    book.attack(klass, "IPv6 to b", to_one(a, gw.ll, b, b.ip6) / message6)
    book.attack(klass, "IPv6 own to gateway", to_one(a, a.ll, gw, gw.ll) / message6)
    book.attack(klass, "IPv6 own behind header", behind(to_one(a, a.ll, gw, gw.ll), message6, "destination options"))


def igmp(source: Station, address: str, group: str, message: Packet) -> Packet:
    """An IGMP message with router alert. group: an IPv4 multicast address."""
    raw = [int(octet) for octet in group.split(".")]
    mac = f"01:00:5e:{raw[1] & 127:02x}:{raw[2]:02x}:{raw[3]:02x}"
    return eth(source, mac) / IP(src=address, dst=group, ttl=1, proto=2, options=[IPOption_Router_Alert()]) / message


def mld(source: Station, address: str, group: str, message: Packet) -> Packet:
    """An MLD message behind the hop-by-hop header that it always has."""
    headers = eth(source, multicast_mac(group)) / IPv6(src=address, dst=group, hlim=1)
    return headers / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / message


def _queriers(book: Book) -> None:
    world = book.world
    a, b = world.guest("a"), world.guest("b")
    klass = "IGMP, MLD"
    book.attack(klass, "IGMPv2 query", igmp(a, a.ip4, "224.0.0.1", IGMP(type=0x11, gaddr=ANY4)))
    book.attack(klass, "IGMPv3 query", igmp(a, a.ip4, "224.0.0.1", IGMPv3_MQ()))
    book.attack(klass, "IGMPv2 query from 0.0.0.0", igmp(a, ANY4, "224.0.0.1", IGMP(type=0x11, gaddr=ANY4)))
    book.attack(klass, "IGMP router advertisement", igmp(a, a.ip4, "224.0.0.106", Raw(b"\x30\x14\xcf\xeb" + bytes(4))))
    book.attack(klass, "IGMP report as b", igmp(a, b.ip4, "239.1.2.3", IGMP(type=0x16, gaddr="239.1.2.3")))
    book.attack(klass, "IGMP leave as b", igmp(a, b.ip4, "224.0.0.2", IGMP(type=0x17, gaddr="239.1.2.3")))
    book.attack(klass, "MLDv1 query", mld(a, a.ll, ALL_NODES, ICMPv6MLQuery()))
    book.attack(klass, "MLDv2 query", mld(a, a.ll, ALL_NODES, ICMPv6MLQuery2()))
    plain = eth(a, multicast_mac(ALL_NODES)) / IPv6(src=a.ll, dst=ALL_NODES, hlim=1)
    for what in ("two headers", "destination options", AUTHENTICATION):
        book.attack(klass, f"MLD query behind {what}", behind(plain, ICMPv6MLQuery(), what))
    # Linux' bridge sends all multicast traffic to a port where it sees this.
    pim = eth(a, "01:00:5e:00:00:0d") / IP(src=a.ip4, dst="224.0.0.13", ttl=1, proto=103)
    book.attack(klass, "PIM hello", pim / Raw(b"\x20\0\xde\xff" + bytes(4)))
    book.attack(klass, "MLD query without hop-by-hop", plain / ICMPv6MLQuery())
    book.attack(klass, "MLD report as b", mld(a, b.ll, "ff02::1:3", ICMPv6MLReport(mladdr="ff02::1:3")))
    book.attack(klass, "MLD done as b", mld(a, b.ll, ALL_ROUTERS, ICMPv6MLDone(mladdr="ff02::1:3")))
    discovery = plain / Raw(b"\x97\x14\0\0" + bytes(4))
    discovery[IPv6].nh = 58
    book.attack(klass, "multicast router advertisement", discovery)
