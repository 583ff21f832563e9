# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARP: what a guest may not say, and what it must be able to say."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.tests.attacks.case import MARK, Book, eth
from ansible_collections.plainlinux.vpc.tests.attacks.world import ANY4, BROADCAST, UNKNOWN_MAC
from scapy.layers.l2 import ARP
from scapy.packet import Packet

REQUEST = 1
REPLY = 2
_ZERO = "00:00:00:00:00:00"


def arp(
    operation: int, source: tuple[str, str], target: tuple[str, str], to: str = BROADCAST, header: str | None = None
) -> Packet:
    """An ARP frame. source, target: MAC and IPv4 address in the packet; header: another source MAC in the frame."""
    return eth(header or source[0], to) / ARP(
        op=operation, hwsrc=source[0], psrc=source[1], hwdst=target[0], pdst=target[1]
    )


def attacks(book: Book) -> None:
    world = book.world
    a, b, c, gw, host = world.guest("a"), world.guest("b"), world.guest("c"), world.gw, world.host
    second = world.second.ip4
    nobody = world.nobody[0].ip4
    virtual = world.virtual(4)

    klass = "ARP reply"
    book.attack(klass, "gateway's to b", arp(REPLY, (a.mac, gw.ip4), (b.mac, b.ip4), b.mac))
    book.attack(klass, "b's to gateway", arp(REPLY, (a.mac, b.ip4), (gw.mac, gw.ip4), gw.mac))
    book.attack(klass, "b's to hypervisor", arp(REPLY, (a.mac, b.ip4), (host.mac, host.ip4), host.mac))
    book.attack(klass, "b's second to c", arp(REPLY, (a.mac, second), (c.mac, c.ip4), c.mac))
    book.attack(klass, "hypervisor's to b", arp(REPLY, (a.mac, host.ip4), (b.mac, b.ip4), b.mac))
    book.attack(klass, "gateway's to all", arp(REPLY, (a.mac, gw.ip4), (b.mac, b.ip4)))
    book.attack(klass, "nobody's to gateway", arp(REPLY, (a.mac, nobody), (gw.mac, gw.ip4), gw.mac))
    book.attack(klass, "0.0.0.0 to gateway", arp(REPLY, (a.mac, ANY4), (gw.mac, gw.ip4), gw.mac))

    klass = "ARP request, foreign sender"
    book.attack(klass, "gateway's to all", arp(REQUEST, (a.mac, gw.ip4), (_ZERO, b.ip4)))
    book.attack(klass, "gateway's to b", arp(REQUEST, (a.mac, gw.ip4), (_ZERO, b.ip4), b.mac))
    book.attack(klass, "b's to gateway", arp(REQUEST, (a.mac, b.ip4), (_ZERO, gw.ip4), gw.mac))
    book.attack(klass, "b's to hypervisor", arp(REQUEST, (a.mac, b.ip4), (_ZERO, host.ip4), host.mac))
    book.attack(klass, "virtual address to all", arp(REQUEST, (a.mac, virtual.address), (_ZERO, gw.ip4)))

    klass = "gratuitous ARP"
    book.attack(klass, "request, gateway's", arp(REQUEST, (a.mac, gw.ip4), (_ZERO, gw.ip4)))
    book.attack(klass, "reply, gateway's", arp(REPLY, (a.mac, gw.ip4), (BROADCAST, gw.ip4)))
    book.attack(klass, "request, b's second", arp(REQUEST, (a.mac, second), (_ZERO, second)))
    book.attack(klass, "reply, b's", arp(REPLY, (a.mac, b.ip4), (a.mac, b.ip4)))

    klass = "ARP probe for a foreign address"
    book.attack(klass, "b's", arp(REQUEST, (a.mac, ANY4), (_ZERO, b.ip4)))
    book.attack(klass, "gateway's", arp(REQUEST, (a.mac, ANY4), (_ZERO, gw.ip4)))
    book.attack(klass, "b's, unicast", arp(REQUEST, (a.mac, ANY4), (_ZERO, b.ip4), b.mac))
    book.attack(klass, "nobody's", arp(REQUEST, (a.mac, ANY4), (_ZERO, nobody)))

    klass = "ARP body MAC"
    book.attack(klass, "reply, b's MAC", arp(REPLY, (b.mac, a.ip4), (gw.mac, gw.ip4), gw.mac, header=a.mac))
    book.attack(klass, "request, unknown MAC", arp(REQUEST, (UNKNOWN_MAC, a.ip4), (_ZERO, gw.ip4), header=a.mac))
    book.attack(klass, "request, both b's", arp(REQUEST, (b.mac, b.ip4), (_ZERO, gw.ip4), header=a.mac))
    book.attack(klass, "probe, b's MAC", arp(REQUEST, (b.mac, ANY4), (_ZERO, a.ip4), header=a.mac))
    book.attack(klass, "reply, broadcast MAC", arp(REPLY, (BROADCAST, a.ip4), (gw.mac, gw.ip4), gw.mac, header=a.mac))
    book.attack(klass, "reply, frame from b's MAC", arp(REPLY, (a.mac, a.ip4), (gw.mac, gw.ip4), gw.mac, header=b.mac))

    klass = "ARP operation"
    for name, operation in (("RARP request", 3), ("RARP reply", 4), ("InARP request", 8), ("InARP reply", 9)):
        book.attack(klass, name, arp(operation, (a.mac, a.ip4), (gw.mac, gw.ip4), gw.mac))
    book.attack(klass, "operation 0", arp(0, (a.mac, a.ip4), (_ZERO, gw.ip4)))
    book.attack(klass, "operation 25, b's address", arp(25, (a.mac, b.ip4), (_ZERO, gw.ip4)))

    klass = "ARP shape"
    head = bytes(eth(a, gw))[:12] + b"\x08\x06"
    body = bytes(ARP(op=REPLY, hwsrc=a.mac, psrc=a.ip4, hwdst=gw.mac, pdst=gw.ip4))
    fill = bytes(6)
    book.attack(klass, "hardware type 6", head + b"\0\6" + body[2:] + MARK + fill)
    book.attack(klass, "protocol IPv6", head + body[:2] + b"\x86\xdd" + body[4:] + MARK + fill)
    book.attack(klass, "hardware length 8", head + body[:4] + b"\x08" + body[5:] + fill + MARK)
    book.attack(klass, "protocol length 16", head + body[:5] + b"\x10" + body[6:] + bytes(24) + MARK)
    book.attack(klass, "protocol length 0", head + body[:5] + b"\0" + body[6:] + fill + MARK)
    book.attack(klass, "truncated", head + body[:8] + MARK)


def legitimate(book: Book) -> None:
    world = book.world
    a, b, c, r, gw, host = (*map(world.guest, "abcr"), world.gw, world.host)

    klass = "ARP"
    second = world.second.ip4
    for name, address in (("first", b.ip4), ("second", second)):
        mine = (b.mac, address)
        book.legit(klass, f"request for gateway from {name}", arp(REQUEST, mine, (_ZERO, gw.ip4)))
        book.legit(klass, f"reply to gateway from {name}", arp(REPLY, mine, (gw.mac, gw.ip4), gw.mac))
        book.legit(klass, f"gratuitous request, {name}", arp(REQUEST, mine, (_ZERO, address)))
        book.legit(klass, f"gratuitous reply, {name}", arp(REPLY, mine, (BROADCAST, address)))
        book.legit(klass, f"probe, {name}", arp(REQUEST, (b.mac, ANY4), (_ZERO, address)))
        book.legit(klass, f"unicast refresh from {name}", arp(REQUEST, mine, (gw.mac, gw.ip4), gw.mac))
        book.legit(klass, f"reply to hypervisor from {name}", arp(REPLY, mine, (host.mac, host.ip4), host.mac))
    book.legit(klass, "announcement, target filled", arp(REQUEST, (b.mac, b.ip4), (BROADCAST, b.ip4)))
    book.legit(klass, "request of c for b", arp(REQUEST, (c.mac, c.ip4), (_ZERO, b.ip4)), sender="c")
    book.legit(klass, "reply of b to c", arp(REPLY, (b.mac, b.ip4), (c.mac, c.ip4), c.mac))
    book.legit(klass, "request of a for c", arp(REQUEST, (a.mac, a.ip4), (_ZERO, c.ip4)), sender="a")
    book.legit(klass, "request of hypervisor", arp(REQUEST, (host.mac, host.ip4), (_ZERO, b.ip4)), sender="host")
    book.legit(klass, "reply of hypervisor", arp(REPLY, (host.mac, host.ip4), (b.mac, b.ip4), b.mac), sender="host")
    if world.routed:
        # Proxy ARP: the hypervisor answers for all that is elsewhere.
        for name, address in (("gateway", gw.ip4), ("remote guest", world.scene.remote4)):
            reply = arp(REPLY, (host.mac, address), (b.mac, b.ip4), b.mac)
            book.legit(klass, f"proxy reply for {name}", reply, sender="host")
    else:
        book.legit(klass, "request of gateway", arp(REQUEST, (gw.mac, gw.ip4), (_ZERO, b.ip4)), sender="ext")
        book.legit(
            klass, "request of gateway for second", arp(REQUEST, (gw.mac, gw.ip4), (_ZERO, second)), sender="ext"
        )
        book.legit(klass, "reply of gateway", arp(REPLY, (gw.mac, gw.ip4), (b.mac, b.ip4), b.mac), sender="ext")
        book.legit(klass, "gratuitous of gateway", arp(REQUEST, (gw.mac, gw.ip4), (_ZERO, gw.ip4)), sender="ext")

    klass = "VRRP"
    pair = world.virtual(4)
    virtual = (pair.mac, pair.address)
    book.legit(klass, "gratuitous ARP of virtual address", arp(REQUEST, virtual, (_ZERO, pair.address)), sender="r")
    book.legit(klass, "ARP reply of virtual address", arp(REPLY, virtual, (gw.mac, gw.ip4), gw.mac), sender="r")
    book.legit(klass, "ARP request of r itself", arp(REQUEST, (r.mac, r.ip4), (_ZERO, gw.ip4)), sender="r")
