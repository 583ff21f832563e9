# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP, neighbour discovery, multicast and roles: what has to get through."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.tests.attacks.case import MARK, Book, eth, udp
from ansible_collections.plainlinux.vpc.tests.attacks.ip import vrrp, vrrp6
from ansible_collections.plainlinux.vpc.tests.attacks.nd import (
    ALL_NODES,
    ALL_ROUTERS,
    fragments,
    igmp,
    mld,
    multicast_mac,
    na,
    ns,
    ra,
    solicited_node,
    to_group,
    to_one,
)
from ansible_collections.plainlinux.vpc.tests.attacks.world import ANY4, Station
from scapy.layers.igmp import IGMP, IGMPv3_MQ, IGMPv3_MR, IGMPv3_MR_Group
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Timestamp
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLQuery2,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6ND_RS,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6NDOptUnknown,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    PadN,
)
from scapy.packet import Packet, Raw


def legitimate(book: Book) -> None:
    _ipv4(book)
    _ipv6(book)
    _discovery(book)
    _groups(book)
    _roles(book)
    _inwards(book)


def _ipv4(book: Book) -> None:
    world = book.world
    a, b, c, gw, host, ext = (*map(world.guest, "abc"), world.gw, world.host, world.ext)
    second = world.second.ip4
    out = {"ext"}
    klass = "IPv4"
    for name, address in (("first", b.ip4), ("second", second)):
        headers = eth(b, gw) / IP(src=address, dst=ext.ip4)
        book.legit(klass, f"UDP to outside from {name}", headers / udp(), seen=out)
        book.legit(klass, f"TCP to outside from {name}", headers / TCP(dport=9) / Raw(MARK), seen=out)
        book.legit(klass, f"UDP to hypervisor from {name}", eth(b, host) / IP(src=address, dst=host.ip4) / udp())
        between = eth(b, world.hop("b", "c")) / IP(src=address, dst=c.ip4) / udp()
        book.legit(klass, f"UDP to c from {name}", between, seen={"c"})
    between = eth(c, world.hop("c", "b")) / IP(src=c.ip4, dst=second) / udp()
    book.legit(klass, "UDP of c to b's second", between, sender="c", seen={"b"})
    between = eth(a, world.hop("a", "b")) / IP(src=a.ip4, dst=b.ip4) / udp()
    book.legit(klass, "UDP of a to b", between, sender="a", seen={"b"})
    book.legit(klass, "echo request", eth(b, gw) / IP(src=b.ip4, dst=ext.ip4) / ICMP() / Raw(MARK), seen=out)
    book.legit(klass, "echo reply", eth(b, gw) / IP(src=b.ip4, dst=ext.ip4) / ICMP(type=0) / Raw(MARK), seen=out)
    for name, number in (("GRE", 47), ("IPv6 in IPv4", 41)):
        packet = IP(src=b.ip4, dst=ext.ip4, proto=number) / Raw(bytes(24) + MARK)
        book.legit(klass, name, eth(b, gw) / packet, seen=out)
    # What is HSRP in a group is anybody's in a frame for one station.
    book.legit(klass, "UDP to port 1985", eth(b, gw) / IP(src=b.ip4, dst=ext.ip4) / udp(1985, 1985), seen=out)
    redirect = Raw(b"\5\1\0\0" + MARK)
    part = IP(src=b.ip4, dst=ext.ip4, proto=1, frag=64) / redirect
    book.legit(klass, "later fragment that looks like a redirect", eth(b, gw) / part, seen=out)
    book.legit(klass, "SCTP", eth(b, gw) / IP(src=b.ip4, dst=ext.ip4, proto=132) / Raw(bytes(12) + MARK), seen=out)
    book.legit(klass, "ESP", eth(b, gw) / IP(src=b.ip4, dst=ext.ip4, proto=50) / Raw(bytes(8) + MARK), seen=out)
    error = ICMP(type=3, code=3) / Raw(bytes(IP(src=ext.ip4, dst=b.ip4) / UDP()) + MARK)
    book.legit(klass, "ICMP error", eth(b, gw) / IP(src=b.ip4, dst=ext.ip4) / error, seen=out)
    for name, fields in (("first", {"flags": "MF"}), ("later", {"frag": 64, "flags": "MF"}), ("last", {"frag": 128})):
        part = IP(src=b.ip4, dst=ext.ip4, proto=17, id=9, **fields) / Raw(MARK.ljust(512, b"x"))
        book.legit(klass, f"{name} fragment", eth(b, gw) / part, seen=out)
    # A later fragment has no ports: these bytes only look like those of a DHCP server.
    ports = Raw(bytes(UDP(sport=67, dport=68)) + MARK)
    part = IP(src=b.ip4, dst=ext.ip4, proto=17, frag=64) / ports
    book.legit(klass, "later fragment that looks like DHCP", eth(b, gw) / part, seen=out)
    book.legit(klass, "to all", eth(b) / IP(src=b.ip4, dst="255.255.255.255") / udp())
    book.legit(klass, "to all of the subnet", eth(b) / IP(src=second, dst=world.broadcast4) / udp())
    book.legit(klass, "mDNS", eth(b, "01:00:5e:00:00:fb") / IP(src=b.ip4, dst="224.0.0.251") / udp(5353, 5353))
    book.legit(klass, "SSDP", eth(b, "01:00:5e:7f:ff:fa") / IP(src=b.ip4, dst="239.255.255.250") / udp(1900, 1900))
    optional = IP(src=b.ip4, dst=gw.ip4, options=[IPOption_Timestamp()])
    book.legit(klass, "IP options", eth(b, gw) / optional / udp())
    book.legit(klass, "8,900 octets", eth(b, gw) / IP(src=b.ip4, dst=ext.ip4) / udp(size=8800), seen=out)
    book.legit(klass, "1,500 octets", eth(b, gw) / IP(src=b.ip4, dst=ext.ip4) / udp(size=1472), seen=out)


def _ipv6(book: Book) -> None:
    world = book.world
    a, b, gw, host, ext = (*map(world.guest, "ab"), world.gw, world.host, world.ext)
    out = {"ext"}
    klass = "IPv6"
    second = world.second.ip6
    for name, address in (("first", b.ip6), ("second", second)):
        headers = eth(b, gw) / IPv6(src=address, dst=ext.ip6)
        book.legit(klass, f"UDP to outside from {name}", headers / udp(), seen=out)
        book.legit(klass, f"to hypervisor from {name}", eth(b, host) / IPv6(src=address, dst=host.ip6) / udp())
    book.legit(klass, "link-local to gateway", eth(b, gw) / IPv6(src=b.ll, dst=gw.ll) / udp())
    between = eth(a, world.hop("a", "b")) / IPv6(src=a.ip6, dst=b.ip6) / udp()
    book.legit(klass, "UDP of a to b", between, sender="a", seen={"b"})
    between = eth(b, world.hop("b", "a")) / IPv6(src=second, dst=a.ip6) / udp()
    book.legit(klass, "UDP of b to a", between, seen={"a"})
    headers = eth(b, gw) / IPv6(src=b.ip6, dst=ext.ip6)
    book.legit(klass, "echo request", headers / ICMPv6EchoRequest() / Raw(MARK), seen=out)
    book.legit(klass, "TCP", headers / TCP(dport=9) / Raw(MARK), seen=out)
    original = bytes(IPv6(src=ext.ip6, dst=b.ip6) / UDP())
    book.legit(klass, "unreachable", headers / ICMPv6DestUnreach(code=4) / Raw(original + MARK), seen=out)
    book.legit(klass, "packet too big", headers / ICMPv6PacketTooBig(mtu=1280) / Raw(original + MARK), seen=out)
    book.legit(klass, "echo reply", headers / ICMPv6EchoReply() / Raw(MARK), seen=out)
    book.legit(klass, "time exceeded", headers / ICMPv6TimeExceeded() / Raw(original + MARK), seen=out)
    book.legit(klass, "parameter problem", headers / ICMPv6ParamProblem() / Raw(original + MARK), seen=out)
    for name, number in (("ESP", 50), ("SCTP", 132)):
        packet = IPv6(src=b.ip6, dst=ext.ip6, nh=number) / Raw(bytes(12) + MARK)
        book.legit(klass, name, eth(b, gw) / packet, seen=out)
    pad = [PadN(optdata=b"\0" * 4)]
    book.legit(klass, "destination options", headers / IPv6ExtHdrDestOpt(options=pad) / udp(), seen=out)
    book.legit(klass, "hop-by-hop options", headers / IPv6ExtHdrHopByHop(options=pad) / udp(), seen=out)
    book.legit(klass, "atomic fragment", headers / IPv6ExtHdrFragment() / udp(), seen=out)
    for number in (0, 1):
        offset = number * 64
        part = headers / IPv6ExtHdrFragment(nh=17, offset=offset, m=1 - number, id=5) / Raw(MARK.ljust(512, b"y"))
        book.legit(klass, f"fragment {number}", part, seen=out)
    part = headers / IPv6ExtHdrFragment(nh=58, offset=64, m=0, id=6) / Raw(b"\x86\0\0\0" + MARK)
    book.legit(klass, "later fragment that looks like an RA", part, seen=out)
    part = headers / IPv6ExtHdrFragment(nh=17, offset=64, m=0, id=7) / Raw(bytes(UDP(sport=547, dport=546)) + MARK)
    book.legit(klass, "later fragment that looks like DHCPv6", part, seen=out)
    book.legit(klass, "UDP to port 2029", headers / udp(2029, 2029), seen=out)
    book.legit(klass, "mDNS", to_group(b, b.ll, "ff02::fb") / udp(5353, 5353))
    book.legit(klass, "8,900 octets", headers / udp(size=8800), seen=out)


def _discovery(book: Book) -> None:
    world = book.world
    a, b, gw, host = world.guest("a"), world.guest("b"), world.gw, world.host
    klass = "NDP"
    for name, address in (("global", b.ip6), ("second", world.second.ip6), ("link-local", b.ll)):
        book.legit(klass, f"NS from {name}", to_group(b, address, solicited_node(gw.ll)) / ns(gw.ll, b.mac))
        book.legit(klass, f"unicast NS from {name}", to_one(b, address, gw, gw.ll) / ns(gw.ll, b.mac))
        book.legit(klass, f"unicast NS from {name}, no option", to_one(b, address, gw, gw.ll) / ns(gw.ll))
        book.legit(klass, f"NA for {name}", to_one(b, address, gw, gw.ll) / na(address, b.mac, 1))
        book.legit(klass, f"NA for {name}, no option", to_one(b, address, gw, gw.ll) / na(address, None, 1, 0))
        book.legit(klass, f"NA for {name} to all", to_group(b, address, ALL_NODES) / na(address, b.mac))
        unspecified = to_group(b, "::", solicited_node(address))
        book.legit(klass, f"DAD for {name}", unspecified / ns(address))
        nonce = ICMPv6NDOptUnknown(type=14, len=1, data=b"nonce2")
        book.legit(klass, f"DAD for {name}, nonce", unspecified / ns(address) / nonce)
    book.legit(klass, "NA for global from link-local", to_one(b, b.ll, gw, gw.ll) / na(b.ip6, b.mac, 1))
    # RFC 9131: routers are told before they have to ask.
    book.legit(klass, "NA to all routers", to_group(b, b.ip6, ALL_ROUTERS) / na(b.ip6, b.mac, 0, 0))
    book.legit(klass, "NA to hypervisor", to_one(b, b.ip6, host, host.ll) / na(b.ip6, b.mac, 1))
    book.legit(klass, "NS of a for b", to_group(a, a.ip6, solicited_node(b.ip6)) / ns(b.ip6, a.mac), sender="a")
    book.legit(klass, "NA of b to a", to_one(b, b.ip6, a, a.ip6) / na(b.ip6, b.mac, 1))
    routers = to_group(b, b.ll, ALL_ROUTERS)
    book.legit(klass, "RS", routers / ICMPv6ND_RS())
    book.legit(klass, "RS with option", routers / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=b.mac))
    book.legit(klass, "RS from ::", to_group(b, "::", ALL_ROUTERS) / ICMPv6ND_RS())


def _groups(book: Book) -> None:
    b = book.world.guest("b")
    klass = "IGMP, MLD"
    group = "239.1.2.4"
    book.legit(klass, "IGMPv1 report", igmp(b, b.ip4, group, IGMP(type=0x12, gaddr=group)))
    book.legit(klass, "IGMPv2 report", igmp(b, b.ip4, group, IGMP(type=0x16, gaddr=group)))
    book.legit(klass, "IGMPv2 leave", igmp(b, b.ip4, "224.0.0.2", IGMP(type=0x17, gaddr=group)))
    report = IGMPv3_MR(records=[IGMPv3_MR_Group(rtype=4, maddr=group)])
    # RFC 3376, 4.2.13: from 0.0.0.0 by who has no address yet.
    book.legit(klass, "IGMPv3 report from 0.0.0.0", igmp(b, ANY4, "224.0.0.22", report))
    book.legit(klass, "IGMPv3 report", igmp(b, b.ip4, "224.0.0.22", report))
    member = "ff02::1:3"
    book.legit(klass, "MLDv1 report", mld(b, b.ll, member, ICMPv6MLReport(mladdr=member)))
    book.legit(klass, "MLDv1 done", mld(b, b.ll, ALL_ROUTERS, ICMPv6MLDone(mladdr=member)))
    report6 = ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=4, dst=solicited_node(b.ip6))])
    book.legit(klass, "MLDv2 report", mld(b, b.ll, "ff02::16", report6))
    # Before duplicate address detection has ended, there is no other source.
    book.legit(klass, "MLDv2 report from ::", mld(b, "::", "ff02::16", report6))
    book.legit(klass, "MLDv1 report from ::", mld(b, "::", solicited_node(b.ip6), ICMPv6MLReport(mladdr=member)))


def _roles(book: Book) -> None:
    world = book.world
    r, gw, ext = world.guest("r"), world.gw, world.ext
    klass = "router role"
    book.legit(klass, "RA to all", to_group(r, r.ll, ALL_NODES) / ra(r.mac), sender="r")
    book.legit(klass, "RA to b", to_one(r, r.ll, world.guest("b"), world.guest("b").ll) / ra(r.mac), sender="r")
    book.legit(klass, "IGMPv3 query", igmp(r, r.ip4, "224.0.0.1", IGMPv3_MQ()), sender="r")
    book.legit(klass, "MLDv2 query", mld(r, r.ll, ALL_NODES, ICMPv6MLQuery2()), sender="r")
    book.legit(klass, "MLDv1 query", mld(r, r.ll, ALL_NODES, ICMPv6MLQuery()), sender="r")
    irdp = ICMP(type=9, code=0) / Raw(b"\x01\x02\x07\x08" + MARK)
    book.legit(klass, "ICMP router advertisement", eth(r) / IP(src=r.ip4, dst="255.255.255.255") / irdp, sender="r")
    klass = "VRRP"
    v4, v6 = world.virtual(4), world.virtual(6)
    book.legit(klass, "advertisement, own MAC", vrrp(r.mac, r.ip4, v4.address), sender="r")
    book.legit(klass, "advertisement, virtual MAC", vrrp(v4.mac, r.ip4, v4.address), sender="r")
    book.legit(klass, "version 3 over IPv6, own MAC", vrrp6(r.mac, r.ll, v6.address), sender="r")
    book.legit(klass, "version 3 over IPv6", vrrp6(v6.mac, r.ll, v6.address), sender="r")
    virtual: Packet = IP(src=v4.address, dst=ext.ip4) / udp()
    book.legit(klass, "traffic from the virtual address", eth(v4.mac, gw) / virtual, sender="r", seen={"ext"})
    virtual6: Packet = IPv6(src=v6.address, dst=ext.ip6) / udp()
    book.legit(klass, "IPv6 from the virtual address", eth(v6.mac, gw) / virtual6, sender="r", seen={"ext"})
    announced = to_group(v6.mac, v6.address, ALL_NODES) / na(v6.address, v6.mac)
    book.legit(klass, "NA for the virtual address", announced, sender="r")
    for sender, source in (("host", world.host), *(() if world.routed else (("ext", gw),))):
        inwards = eth(source, v4.mac) / IP(src=source.ip4, dst=v4.address) / udp()
        book.legit(klass, f"{sender} to the virtual address", inwards, sender=sender)


def _inwards(book: Book) -> None:
    """To the guests, from the hypervisor and from outside."""
    world = book.world
    b, c, gw, host, ext = world.guest("b"), world.guest("c"), world.gw, world.host, world.ext
    klass = "hypervisor to guests"
    addresses4 = (("first", b.ip4), ("second", world.second.ip4))
    addresses6 = (("first", b.ip6), ("second", world.second.ip6))
    for name, address in addresses4:
        book.legit(klass, f"UDP to {name}", eth(host, b) / IP(src=host.ip4, dst=address) / udp(), sender="host")
    for name, address in addresses6:
        packet = eth(host, b) / IPv6(src=host.ip6, dst=address) / udp()
        book.legit(klass, f"IPv6 UDP to {name}", packet, sender="host")
    book.legit(klass, "UDP to c", eth(host, c) / IP(src=host.ip4, dst=c.ip4) / udp(), sender="host")
    book.legit(
        klass,
        "NS for b",
        to_group(host, host.ll, solicited_node(b.ip6)) / ns(b.ip6, host.mac),
        sender="host",
        seen={"b"},
    )
    book.legit(klass, "NA to b", to_one(host, host.ll, b, b.ll) / na(host.ll, host.mac, 1, router=1), sender="host")
    book.legit(klass, "RA to all", to_group(host, host.ll, ALL_NODES) / ra(host.mac), sender="host")
    book.legit(klass, "broadcast", eth(host) / IP(src=host.ip4, dst=world.broadcast4) / udp(), sender="host")

    klass = "outside to guests"
    # Where the hypervisor routes, the outside reaches it by its own link.
    target = Station(world.scene.wan_mac, b.ip4, b.ip6, b.ll) if world.routed else b
    source = world.scene.ext_mac
    for name, address in addresses4:
        headers = eth(source, target) / IP(src=ext.ip4, dst=address)
        book.legit(klass, f"UDP to {name}", headers / udp(), sender="ext", seen={"b"})
        error = ICMP(type=3, code=4) / Raw(bytes(IP(src=address, dst=ext.ip4) / UDP()) + MARK)
        router = eth(source, target) / IP(src="203.0.113.99", dst=address) / error
        book.legit(klass, f"ICMP error of a router to {name}", router, sender="ext", seen={"b"})
    for name, address in addresses6:
        headers = eth(source, target) / IPv6(src=ext.ip6, dst=address)
        book.legit(klass, f"IPv6 UDP to {name}", headers / udp(), sender="ext", seen={"b"})
    headers = eth(source, target) / IP(src=ext.ip4, dst=b.ip4, proto=17, frag=64) / Raw(MARK.ljust(64, b"x"))
    book.legit(klass, "later fragment", headers, sender="ext", seen={"b"})
    first, last = fragments(eth(source, target) / IPv6(src=ext.ip6, dst=b.ip6), udp(size=64), 24)
    book.legit(klass, "IPv6 fragments", first, last, sender="ext", seen={"b"})
    if world.routed:
        return
    book.legit(klass, "jumbo", eth(gw, b) / IP(src=ext.ip4, dst=b.ip4) / udp(size=8800), sender="ext")
    book.legit(klass, "RA to all", to_group(gw, gw.ll, ALL_NODES) / ra(gw.mac), sender="ext")
    asked = world.second.ip6
    question = to_group(gw, gw.ll, solicited_node(asked)) / ns(asked, gw.mac)
    book.legit(klass, "NS for b", question, sender="ext", seen={"b"})
    book.legit(klass, "NA to b", to_one(gw, gw.ll, b, b.ll) / na(gw.ll, gw.mac, 1, router=1), sender="ext")
    book.legit(klass, "gateway's IPv6 to b", eth(gw, b) / IPv6(src=gw.ip6, dst=b.ip6) / udp(), sender="ext")
    book.legit(klass, "to hypervisor", eth(gw, host) / IP(src=ext.ip4, dst=host.ip4) / udp(), sender="ext")
    book.legit(klass, "broadcast", eth(gw) / IP(src=gw.ip4, dst=world.broadcast4) / udp(), sender="ext")
    book.legit(klass, "multicast", eth(gw, "01:00:5e:01:02:04") / IP(src=gw.ip4, dst="239.1.2.4") / udp(), sender="ext")
    book.legit(
        klass,
        "multicast, IPv6",
        eth(gw, multicast_mac("ff05::99")) / IPv6(src=gw.ip6, dst="ff05::99") / udp(),
        sender="ext",
    )
    book.legit(klass, "IGMP query", igmp(gw, gw.ip4, "224.0.0.1", IGMPv3_MQ()), sender="ext")
    book.legit(klass, "MLD query", mld(gw, gw.ll, ALL_NODES, ICMPv6MLQuery2()), sender="ext")
    upstream = vrrp("00:00:5e:00:01:01", gw.ip4, gw.ip4)
    book.legit(klass, "VRRP of upstream routers", upstream, sender="ext")
