# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP and DHCPv6: servers that are none, clients that lie, and the exchanges that have to work."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.tests.attacks.case import MARK, Book, eth
from ansible_collections.plainlinux.vpc.tests.attacks.nd import authentication, fragments, multicast_mac, to_one
from ansible_collections.plainlinux.vpc.tests.attacks.world import ANY4, BROADCAST, Station
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (
    DHCP6_Advertise,
    DHCP6_InfoRequest,
    DHCP6_RelayForward,
    DHCP6_Renew,
    DHCP6_Reply,
    DHCP6_Request,
    DHCP6_Solicit,
)
from scapy.layers.inet import IP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, PadN
from scapy.packet import Packet, Raw

ALL_SERVERS = "ff02::1:2"

_ALL = "255.255.255.255"


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def bootp(kind: str, chaddr: str, op: int = 1, ciaddr: str = ANY4, yiaddr: str = ANY4, **fields: Any) -> Packet:
    """A DHCP message; kind: as scapy spells it, such as discover."""
    message: Packet = BOOTP(op=op, chaddr=_mac(chaddr), ciaddr=ciaddr, yiaddr=yiaddr, xid=0x1234, **fields)
    return message / DHCP(options=[("message-type", kind), "end"]) / Raw(MARK)


def client(source: Station, message: Packet, address: str = ANY4, to: str = BROADCAST, dst: str = _ALL) -> Packet:
    return eth(source, to) / IP(src=address, dst=dst) / UDP(sport=68, dport=67) / message


def server(source: Station, address: str, message: Packet, to: str = BROADCAST, dst: str = _ALL) -> Packet:
    return eth(source, to) / IP(src=address, dst=dst) / UDP(sport=67, dport=68) / message


def client6(source: Station, address: str, message: Packet) -> Packet:
    headers = eth(source, multicast_mac(ALL_SERVERS)) / IPv6(src=address, dst=ALL_SERVERS, hlim=1)
    return headers / UDP(sport=546, dport=547) / message / Raw(MARK)


def attacks(book: Book) -> None:
    world = book.world
    a, b, c, gw = world.guest("a"), world.guest("b"), world.guest("c"), world.gw
    offer = bootp("offer", b.mac, 2, yiaddr=world.nobody[0].ip4)

    klass = "DHCP server"
    book.attack(klass, "broadcast offer", server(a, a.ip4, offer))
    book.attack(klass, "unicast offer to b", server(a, a.ip4, offer, b.mac, b.ip4))
    book.attack(klass, "broadcast acknowledgement", server(a, a.ip4, bootp("ack", b.mac, 2)))
    book.attack(klass, "as gateway", server(a, gw.ip4, offer))
    book.attack(klass, "acknowledgement to c", server(a, a.ip4, bootp("ack", c.mac, 2), c.mac, c.ip4))
    optional = eth(a) / IP(src=a.ip4, dst=_ALL, options=[IPOption_NOP()] * 4) / UDP(sport=67, dport=68) / offer
    book.attack(klass, "behind IP options", optional)
    hidden = Raw(authentication(17) + bytes(server(a, a.ip4, offer))[34:])
    book.attack(klass, "behind authentication header", eth(a) / IP(src=a.ip4, dst=_ALL, proto=51) / hidden)
    odd = eth(a) / IP(src=a.ip4, dst=_ALL) / UDP(sport=6767, dport=68) / offer
    book.attack(klass, "from another port", odd)
    whole = bytes(server(a, a.ip4, offer))[34:]
    book.attack(
        klass,
        "two fragments",
        eth(a) / IP(src=a.ip4, dst=_ALL, proto=17, flags="MF") / Raw(whole[:64]),
        eth(a) / IP(src=a.ip4, dst=_ALL, proto=17, frag=8) / Raw(whole[64:]),
    )

    klass = "DHCP client"
    discover = bootp("discover", b.mac)
    book.attack(klass, "discover with b's MAC", client(a, discover))
    book.attack(klass, "request with b's MAC", client(a, bootp("request", b.mac)))
    book.attack(klass, "request with b's MAC, unicast", client(a, bootp("request", b.mac), a.ip4, gw.mac, gw.ip4))
    book.attack(klass, "discover with a relay's address", client(a, bootp("discover", a.mac, giaddr=b.ip4)))
    book.attack(
        klass, "release of b's address", client(a, bootp("release", a.mac, ciaddr=b.ip4), a.ip4, gw.mac, gw.ip4)
    )
    book.attack(klass, "release as b", client(a, bootp("release", b.mac, ciaddr=b.ip4), b.ip4, gw.mac, gw.ip4))
    book.attack(klass, "request as b, broadcast", client(a, bootp("request", a.mac, ciaddr=b.ip4), b.ip4))
    book.attack(klass, "inform with b's address", client(a, bootp("inform", a.mac, ciaddr=b.ip4), a.ip4))
    book.attack(klass, "reply from the client's port", client(a, bootp("offer", a.mac, 2), a.ip4))
    book.attack(klass, "hardware type 6", client(a, bootp("discover", a.mac, htype=6)))
    book.attack(klass, "hardware length 16", client(a, bootp("discover", a.mac, hlen=16)))
    relay = eth(a, gw) / IP(src=a.ip4, dst=gw.ip4) / UDP(sport=67, dport=67)
    book.attack(klass, "as relay", relay / bootp("discover", b.mac, giaddr=a.ip4, hops=1))
    optional = eth(a) / IP(src=ANY4, dst=_ALL, options=[IPOption_NOP()] * 4) / UDP(sport=68, dport=67)
    book.attack(klass, "discover with b's MAC behind IP options", optional / discover)
    for name, source in (("nobody", ANY4), ("own address", a.ip4)):
        whole = bytes(client(a, discover, source))[34:]
        book.attack(
            klass,
            f"discover with b's MAC in two fragments from {name}",
            eth(a) / IP(src=source, dst=_ALL, proto=17, flags="MF") / Raw(whole[:32]),
            eth(a) / IP(src=source, dst=_ALL, proto=17, frag=4) / Raw(whole[32:]),
        )
    book.attack(klass, "discover to b from 0.0.0.0", client(a, bootp("discover", a.mac), ANY4, b.mac, b.ip4))

    klass = "DHCPv6 server"
    for name, message in (("advertise", DHCP6_Advertise()), ("reply", DHCP6_Reply())):
        headers = to_one(a, a.ll, b, b.ll) / UDP(sport=547, dport=546)
        book.attack(klass, f"{name} to b", headers / message / Raw(MARK))
    forged = to_one(a, gw.ll, b, b.ll) / UDP(sport=547, dport=546) / DHCP6_Reply() / Raw(MARK)
    book.attack(klass, "reply as gateway", forged)
    book.attack(
        klass,
        "behind destination options",
        to_one(a, a.ll, b, b.ll)
        / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
        / UDP(sport=547, dport=546)
        / DHCP6_Reply()
        / Raw(MARK),
    )
    long = UDP(sport=547, dport=546) / DHCP6_Reply() / Raw(bytes(40) + MARK)
    book.attack(klass, "two fragments", *fragments(to_one(a, a.ll, b, b.ll), long, 16))
    chain = fragments(to_one(a, a.ll, b, b.ll), long, 16, 16)
    book.attack(klass, "header chain over two fragments", *chain)
    hidden = Raw(authentication(17) + bytes(to_one(a, a.ll, b, b.ll) / long)[54:])
    sealed = eth(a, b) / IPv6(src=a.ll, dst=b.ll, nh=51) / hidden
    book.attack(klass, "behind authentication header", sealed)
    odd6 = to_one(a, a.ll, b, b.ll) / UDP(sport=5470, dport=546) / DHCP6_Reply() / Raw(MARK)
    book.attack(klass, "from another port", odd6)

    klass = "DHCPv6 client"
    book.attack(klass, "solicit as b", client6(a, b.ll, DHCP6_Solicit()))
    relayed = eth(a, multicast_mac(ALL_SERVERS)) / IPv6(src=a.ll, dst=ALL_SERVERS, hlim=1) / UDP(sport=547, dport=547)
    book.attack(klass, "as relay", relayed / DHCP6_RelayForward() / Raw(MARK))


def legitimate(book: Book) -> None:
    world = book.world
    b, c, r, gw, host = world.guest("b"), world.guest("c"), world.guest("r"), world.gw, world.host
    # What a client broadcasts has to reach servers: the one outside, that of the hypervisor, and guest r.
    servers = book.world.reached("b", BROADCAST) & {"ext", "host", "r"}

    klass = "DHCP"
    for name in ("discover", "request"):
        book.legit(klass, name, client(b, bootp(name, b.mac)), seen=servers)
    book.legit(klass, "discover, broadcast flag", client(b, bootp("discover", b.mac, flags=0x8000)), seen=servers)
    book.legit(klass, "discover again, after 5 minutes", client(b, bootp("discover", b.mac, secs=300)), seen=servers)
    book.legit(klass, "discover of c", client(c, bootp("discover", c.mac)), sender="c", seen=servers)
    book.legit(klass, "decline", client(b, bootp("decline", b.mac)), seen=servers)
    renew = bootp("request", b.mac, ciaddr=b.ip4)
    book.legit(klass, "renew", client(b, renew, b.ip4, gw.mac, gw.ip4))
    book.legit(klass, "rebind", client(b, renew, b.ip4), seen=servers)
    second = world.second.ip4
    book.legit(klass, "inform", client(b, bootp("inform", b.mac, ciaddr=second), second), seen=servers)
    book.legit(klass, "release", client(b, bootp("release", b.mac, ciaddr=b.ip4), b.ip4, gw.mac, gw.ip4))
    for who, sender, source in (("gateway", "ext", gw), ("hypervisor", "host", host), ("role", "r", r)):
        if world.routed and sender == "ext":
            continue
        reach = world.reached(sender, b.mac)
        for name in ("offer", "ack"):
            message = bootp(name, b.mac, 2, yiaddr=b.ip4)
            if reach:
                broadcast = server(source, source.ip4, message)
                book.legit(klass, f"{name} of {who}, broadcast", broadcast, sender=sender, seen=reach)
                unicast = server(source, source.ip4, message, b.mac, b.ip4)
                book.legit(klass, f"{name} of {who}", unicast, sender=sender)

    klass = "DHCPv6"
    for name, message in (
        ("solicit", DHCP6_Solicit()),
        ("request", DHCP6_Request()),
        ("information request", DHCP6_InfoRequest()),
    ):
        book.legit(klass, name, client6(b, b.ll, message), seen=servers)
    for who, sender, source in (("gateway", "ext", gw), ("hypervisor", "host", host), ("role", "r", r)):
        if world.routed and sender == "ext":
            continue
        reply = to_one(source, source.ll, b, b.ll) / UDP(sport=547, dport=546) / DHCP6_Reply() / Raw(MARK)
        book.legit(klass, f"reply of {who}", reply, sender=sender)
    if not world.routed:
        renewal = eth(b, gw) / IPv6(src=b.ip6, dst=gw.ip6) / UDP(sport=546, dport=547) / DHCP6_Renew() / Raw(MARK)
        book.legit(klass, "renewal, unicast", renewal)
