# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that only somebody who knows the rules of a guard would send, and prefixes, which no recipe has."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_ipv6, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy as Rules
from ansible_collections.plainlinux.vpc.tests.attacks.arp import REPLY, REQUEST, arp
from ansible_collections.plainlinux.vpc.tests.attacks.case import MARK, Book, eth, udp
from ansible_collections.plainlinux.vpc.tests.attacks.dhcp import ALL_SERVERS, bootp, client
from ansible_collections.plainlinux.vpc.tests.attacks.guard_nftables import guest_of
from ansible_collections.plainlinux.vpc.tests.attacks.l2 import frame
from ansible_collections.plainlinux.vpc.tests.attacks.nd import (
    ALL_NODES,
    authentication,
    igmp,
    multicast_mac,
    na,
    ns,
    ra,
    solicited_node,
    to_group,
    to_one,
)
from ansible_collections.plainlinux.vpc.tests.attacks.world import BROADCAST, FLAT, UNKNOWN_MAC, World
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, PadN
from scapy.packet import Packet, Raw

WORLD = World(FLAT)
_ZERO = "00:00:00:00:00:00"
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - the source address of who has none
_LLDP_GROUP = "01:80:c2:00:00:0e"


def _ah(number: int, words: int, payload: bytes) -> Raw:
    """An authentication header with this length field before a protocol of this number."""
    return Raw(authentication(number)[:1] + bytes([words]) + bytes(4 * words + 6) + payload)


def attacks(book: Book) -> None:
    a, b, gw, host = WORLD.guest("a"), WORLD.guest("b"), WORLD.gw, WORLD.host
    spoof = bytes(eth(gw, host) / IP(src=b.ip4, dst=host.ip4) / udp())
    offer = bytes(UDP(sport=67, dport=68) / bootp("offer", b.mac, 2))
    redirect = bytes(ICMP(type=5, code=1, gw=a.ip4)) + MARK
    klass = "reserved flag of IPv4"
    for flags in ("evil", "evil+DF", "evil+MF"):
        headers = eth(a) / IP(src=a.ip4, dst="255.255.255.255", flags=flags, proto=17)
        book.attack(klass, f"DHCP server, {flags}", headers / Raw(offer))
        headers = eth(a, b) / IP(src=a.ip4, dst=b.ip4, flags=flags, proto=1)
        book.attack(klass, f"redirect, {flags}", headers / Raw(redirect + bytes(12)))
    klass = "authentication header"
    for words in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11):
        headers = eth(a) / IP(src=a.ip4, dst="255.255.255.255", proto=51)
        book.attack(klass, f"DHCP server, length {words}", headers / _ah(17, words, offer))
    for name, number, payload in (("redirect", 1, redirect), ("VRRP", 112, MARK), ("itself", 51, MARK)):
        headers = eth(a, "01:00:5e:00:00:12") / IP(src=a.ip4, dst="224.0.0.18", proto=51)
        book.attack(klass, name, headers / _ah(number, 4, payload))
    for name, number, payload in (("RA", 58, bytes(ra(a.mac)) + MARK), ("VRRPv3", 112, MARK), ("options", 60, MARK)):
        packet = to_group(a, a.ll, ALL_NODES)
        packet[IPv6].nh = 51
        book.attack(klass, f"{name}, IPv6", packet / _ah(number, 4, payload))
    klass = "ICMPv6 types"
    for number in (100, 138, 141, 142, 144, 148, 149, 151, 152, 153, 155):
        packet = to_one(a, a.ll, b, b.ll)
        packet[IPv6].nh = 58
        book.attack(klass, str(number), packet / Raw(bytes([number, 0, 0, 0]) + MARK))
    twice = IPv6ExtHdrFragment(offset=0, m=0, id=7, nh=44) / IPv6ExtHdrFragment(offset=0, m=1, id=8, nh=58)
    book.attack("RA", "behind two fragment headers", to_group(a, a.ll, ALL_NODES) / twice / ra(a.mac) / Raw(MARK))
    klass = "link-local groups"
    for name, number in (("LLDP", 0x88CC), ("EAPOL", 0x888E)):
        book.attack(klass, f"{name} to the port", frame(a.mac, _LLDP_GROUP, number, MARK), seen={"port"})
    book.attack(klass, "own IPv4", eth(a, "01:80:c2:00:00:00") / IP(src=a.ip4, dst=b.ip4) / udp())
    klass = "DHCP client"
    for field in ("yiaddr", "siaddr"):
        book.attack(klass, field, client(a, bootp("request", a.mac, **{field: b.ip4})))
    book.attack(klass, "hops", client(a, bootp("request", a.mac, hops=3)))
    relay = eth(a, multicast_mac(ALL_SERVERS)) / IPv6(src=a.ll, dst=ALL_SERVERS) / UDP(sport=546, dport=547)
    book.attack(klass, "relay message", relay / Raw(b"\x0c\0" + MARK))
    klass = "to a guest"
    tagged = bytes(eth(gw, b) / IP(src=gw.ip4, dst=b.ip4) / udp())
    book.attack(klass, "tag", tagged[:12] + b"\x81\0\0\x64" + tagged[12:], sender="ext")
    book.attack(klass, "LLDP", frame(gw.mac, BROADCAST, 0x88CC, MARK), sender="ext", seen={"a", "b", "c"})
    book.attack(klass, "RA, no IPv6", to_group(gw, gw.ll, ALL_NODES) / ra(gw.mac) / Raw(MARK), sender="ext", seen={"c"})
    flooded = arp(REPLY, (gw.mac, gw.ip4), (b.mac, b.ip4), UNKNOWN_MAC)
    book.attack(klass, "ARP for somebody else", flooded, sender="ext", seen={"a", "b", "c"})
    klass = "outside"
    lie = arp(REPLY, (b.mac, "192.0.2.3"), (host.mac, host.ip4), host.mac, header=gw.mac)
    book.attack(klass, "ARP body with b's MAC", lie, sender="ext")
    for name, tags in (("802.1Q", b"\x81\0\0\0\x81\0\0\0"), ("802.1ad", b"\x88\xa8\0\0\x81\0\0\0")):
        book.attack(klass, f"two priority tags, {name}", spoof[:12] + tags + spoof[12:], sender="ext")


def legitimate(book: Book) -> None:
    b, r, gw, host = WORLD.guest("b"), WORLD.guest("r"), WORLD.gw, WORLD.host
    klass = "authentication header"
    plain = bytes(UDP(sport=5353, dport=9)) + MARK
    for words in (1, 4, 5, 6, 7, 8, 9, 10):
        book.legit(
            klass, f"UDP, length {words}", eth(b, gw) / IP(src=b.ip4, dst=gw.ip4, proto=51) / _ah(17, words, plain)
        )
    book.legit(klass, "TCP", eth(b, gw) / IP(src=b.ip4, dst=gw.ip4, proto=51) / _ah(6, 4, MARK))
    later = IP(src=b.ip4, dst=gw.ip4, proto=51, frag=64) / Raw(b"\x01\x04" + MARK)
    book.legit(klass, "later fragment", eth(b, gw) / later)
    sealed = IPv6(src=b.ip6, dst=gw.ip6, nh=51)
    book.legit(klass, "TCP, IPv6", eth(b, gw) / sealed / _ah(6, 4, MARK))
    book.legit(klass, "UDP, IPv6", eth(b, gw) / sealed / _ah(17, 4, plain))
    router = eth(r, "01:00:5e:00:00:12") / IP(src=r.ip4, dst="224.0.0.18", proto=51)
    book.legit(klass, "VRRP of who may", router / _ah(112, 4, MARK), sender="r")
    fragment = IPv6ExtHdrFragment(nh=51, offset=20, m=0, id=5) / Raw(b"\x3a\x04" + MARK)
    book.legit(klass, "later fragment, IPv6", eth(b, gw) / IPv6(src=b.ip6, dst=gw.ip6) / fragment)
    klass = "extension headers"
    fragment = IPv6ExtHdrFragment(nh=17, offset=20, m=0, id=6) / Raw(bytes(UDP(sport=547, dport=546)) + MARK)
    book.legit(klass, "later fragment like DHCPv6", eth(b, gw) / IPv6(src=b.ip6, dst=gw.ip6) / fragment)
    echo = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) / ICMPv6EchoRequest() / Raw(MARK)
    book.legit(klass, "echo request", eth(b, gw) / IPv6(src=b.ip6, dst=gw.ip6) / echo)
    for name, number in (("ESP", 50), ("SCTP", 132)):
        options = IPv6ExtHdrDestOpt(nh=number, options=[PadN(optdata=bytes(4))]) / Raw(bytes(12) + MARK)
        book.legit(klass, name, eth(b, gw) / IPv6(src=b.ip6, dst=gw.ip6) / options)
    klass = "protocols"
    book.legit(klass, "GRE, IPv6", eth(b, gw) / IPv6(src=b.ip6, dst=gw.ip6, nh=47) / Raw(bytes(24) + MARK))
    for name, hello in (
        ("PIM of who may", eth(r, "01:00:5e:00:00:0d") / IP(src=r.ip4, dst="224.0.0.13", ttl=1, proto=103)),
        ("PIM of who may, IPv6", eth(r, multicast_mac("ff02::d")) / IPv6(src=r.ll, dst="ff02::d", nh=103)),
    ):
        book.legit(klass, name, hello / Raw(b"\x20\0\xde\xff" + bytes(4) + MARK), sender="r")
    klass = "VLAN of outside"
    reused = bytes(eth(gw, host) / IP(src=b.ip4, dst=host.ip4) / udp())
    for name, tag in (("802.1Q", b"\x81\0\0\x64"), ("802.1ad", b"\x88\xa8\0\x64")):
        book.legit(klass, f"the same address, {name}", reused[:12] + tag + reused[12:], sender="ext")
    klass = "groups"
    book.legit(klass, "IGMP report from 0.0.0.0", igmp(b, _NO_ADDRESS, "224.0.0.22", Raw(b"\x22\0\0\0" + bytes(4))))
    book.legit(klass, "in a frame for b", eth(gw, b) / IP(src=gw.ip4, dst="224.0.0.5") / udp(), sender="ext")
    everybody = eth(gw, b) / IP(src=gw.ip4, dst="255.255.255.255") / udp()
    book.legit(klass, "for all in a frame for b", everybody, sender="ext")
    book.legit(klass, "IPv6 in a frame for b", eth(gw, b) / IPv6(src=gw.ip6, dst=ALL_NODES) / udp(), sender="ext")
    inner = bytes(eth(gw, host) / IP(src=gw.ip4, dst=host.ip4) / udp())
    book.legit(klass, "priority tag from outside", inner[:12] + b"\x81\0\0\0" + inner[12:], sender="ext")


def in_prefix(book: Book) -> None:
    """Guest b may use whole networks, but nobody else's addresses and not the gateway's."""
    a, b, gw = WORLD.guest("a"), WORLD.guest("b"), WORLD.gw
    for address, target, good in (
        ("203.0.113.5", "2001:db8:77::5", True),
        ("192.0.2.77", "2001:db8:1::77", True),
        (a.ip4, a.ip6, False),
        (gw.ip4, gw.ip6, False),
        ("203.0.114.5", "2001:db8:78::5", False),
    ):
        cases: dict[str, Packet] = {
            "IPv4": eth(b, gw) / IP(src=address, dst=gw.ip4) / udp(),
            "ARP": arp(REPLY, (b.mac, address), (gw.mac, gw.ip4), gw.mac),
            "ARP probe": arp(REQUEST, (b.mac, _NO_ADDRESS), (_ZERO, address)),
            "IPv6": eth(b, gw) / IPv6(src=target, dst=gw.ip6) / udp(),
            "NS": to_one(b, target, gw, gw.ll) / ns(gw.ll, b.mac),
            "NA": to_one(b, target, gw, gw.ll) / na(target, b.mac),
            "NA from link-local": to_one(b, b.ll, gw, gw.ll) / na(target, b.mac),
            "DAD": to_group(b, "::", solicited_node(target)) / ns(target),
        }
        for name, packet in cases.items():
            if good:
                book.legit(name, address, packet)
            else:
                book.attack(name, address, packet, sender="b")
        lie = arp(REPLY, (a.mac, address), (gw.mac, gw.ip4), gw.mac, header=b.mac)
        book.attack("ARP body MAC", address, lie, sender="b")
        if good:
            book.legit("inwards", address, eth(gw, b) / IP(src=gw.ip4, dst=address) / udp(), sender="ext")
            book.legit("inwards", target, eth(gw, b) / IPv6(src=gw.ip6, dst=target) / udp(), sender="ext")


def with_prefixes() -> tuple[Rules, dict[str, Guest]]:
    """The world's guests, of whom b may use whole networks, and a policy that protects the gateway."""
    guests = {vif.name: guest_of(vif) for vif in WORLD.policy.vifs}
    texts = ("203.0.113.0/24", "192.0.2.0/24", "2001:db8:77::/64", "2001:db8:1::/64")
    prefixes = tuple(parse_prefix(6 if ":" in text else 4, text) for text in texts)
    guests["vif2.0"] = guests["vif2.0"]._replace(prefixes=prefixes)
    gw = WORLD.gw
    protected6 = (parse_ipv6(gw.ip6), parse_ipv6(gw.ll))
    return Rules(("peth0",), protected4=(parse_ipv4(gw.ip4),), protected6=protected6), guests
