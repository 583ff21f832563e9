# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Worlds that differ from the suite's own in one thing: names or settings of ports, or a guest that has only IPv6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import TABLE
from ansible_collections.plainlinux.vpc.tests.attacks.arp import REPLY, REQUEST, arp
from ansible_collections.plainlinux.vpc.tests.attacks.case import Book, Case, eth, udp
from ansible_collections.plainlinux.vpc.tests.attacks.catalogue import catalogue
from ansible_collections.plainlinux.vpc.tests.attacks.dhcp import bootp, client
from ansible_collections.plainlinux.vpc.tests.attacks.nd import ALL_NODES, na, to_group, to_one
from ansible_collections.plainlinux.vpc.tests.attacks.policy import Vif
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from ansible_collections.plainlinux.vpc.tests.attacks.world import ANY4, BROADCAST, FLAT, World
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

_ZERO = "00:00:00:00:00:00"
# Cases that the name of a port may decide.
_BY_NAME = ("undeclared VIF", "switch protocols", "ARP", "DHCP")


@dataclass(frozen=True)
class Variant:
    """A world with the cases that are worth trying in it.

    planned: ports that guests will have. bare: the ports have lost the setting by which they forward link-local groups,
    which then come to the guard by another hook.
    """

    name: str
    world: World
    cases: tuple[Case, ...]
    planned: tuple[str, ...] = ()
    bare: bool = False

    def change(self, topology: Topology) -> None:
        """What differs from what the guard's installation left."""
        for port in self.planned:
            topology.run("nft", "add", "element", *TABLE.split(), "planned", f'{{ "{port}" }}')
        for vif in self.world.scene.guests if self.bare else ():
            topology.run("ip", "link", "set", vif.name, "type", "bridge_slave", "group_fwd_mask", "0")


def variants() -> Iterator[Variant]:
    """All of them."""
    for stranger in ("vnet9", "tap9"):
        yield _renamed(stranger)
    yield _renamed("later", planned=("later",))
    yield replace(_renamed("vif9.0"), name="ports without their settings", bare=True)
    yield _only_ipv6()


def _renamed(stranger: str, planned: tuple[str, ...] = ()) -> Variant:
    """Guests at ports whose names say nothing, and a stranger at one that has a hypervisor's, or a planned, name."""
    scene = World(FLAT).scene
    guests = tuple(replace(vif, name=f"vm-{vif.guest}.0") for vif in scene.guests)
    world = World(FLAT, place=replace(scene, guests=guests, stranger=replace(scene.stranger, name=stranger)))
    cases = tuple(case for case in catalogue(world) if case.klass in _BY_NAME)
    return Variant(f"stranger at {stranger}", world, cases, planned)


def _only_ipv6() -> Variant:
    """Guest c has no IPv4: nothing of that goes in or out."""
    scene = World(FLAT).scene
    a, b, c, r = scene.guests
    only6 = Vif(c.name, "c", c.mac, (), ("2001:db8:1::30",))
    world = World(FLAT, place=replace(scene, guests=(a, b, only6, r)))
    book = Book(world)
    six, gw, made_up = world.guest("c"), world.gw, world.nobody[0].ip4
    klass = "no IPv4"
    book.attack(klass, "UDP", eth(six, gw) / IP(src=made_up, dst=gw.ip4) / udp(), sender="c")
    book.attack(klass, "ARP request", arp(REQUEST, (six.mac, made_up), (_ZERO, gw.ip4)), sender="c")
    book.attack(klass, "ARP probe", arp(REQUEST, (six.mac, ANY4), (_ZERO, made_up)), sender="c")
    book.attack(klass, "DHCP", client(six, bootp("discover", six.mac)), sender="c")
    to_six = {"c"}
    book.attack(klass, "UDP to it", eth(gw, six) / IP(src=gw.ip4, dst=made_up) / udp(), sender="ext")
    everybody = eth(gw, BROADCAST) / IP(src=gw.ip4, dst=world.broadcast4) / udp()
    book.attack(klass, "UDP to all", everybody, sender="ext", seen=to_six)
    group = eth(gw, "01:00:5e:01:02:04") / IP(src=gw.ip4, dst="239.1.2.4") / udp()
    book.attack(klass, "UDP to a group", group, sender="ext", seen=to_six)
    book.attack(klass, "ARP to all", arp(REQUEST, (gw.mac, gw.ip4), (_ZERO, made_up)), sender="ext", seen=to_six)
    answer = arp(REPLY, (gw.mac, gw.ip4), (six.mac, made_up), six.mac)
    book.attack(klass, "ARP to it", answer, sender="ext")
    book.legit(klass, "IPv6", eth(six, gw) / IPv6(src=six.ip6, dst=gw.ip6) / udp(), sender="c")
    book.legit(klass, "IPv6 to it", eth(gw, six) / IPv6(src=gw.ip6, dst=six.ip6) / udp(), sender="ext")
    book.legit(klass, "NA", to_one(six, six.ip6, gw, gw.ll) / na(six.ip6, six.mac), sender="c")
    announced = to_group(gw, gw.ll, ALL_NODES) / na(gw.ll, gw.mac)
    book.legit(klass, "NA to all", announced, sender="ext", seen=to_six)
    return Variant("a guest without IPv4", world, tuple(book.cases.values()))
