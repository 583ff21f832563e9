# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What backend iptables cannot stop, exactly, and that it is a good neighbour to the rules of others."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy as Rules
from ansible_collections.plainlinux.vpc.tests.attacks import holes
from ansible_collections.plainlinux.vpc.tests.attacks.case import Book, eth, udp
from ansible_collections.plainlinux.vpc.tests.attacks.guard_iptables import guard, put, settings
from ansible_collections.plainlinux.vpc.tests.attacks.guard_nftables import guest_of
from ansible_collections.plainlinux.vpc.tests.attacks.guards import MISSES, PARTIAL, load
from ansible_collections.plainlinux.vpc.tests.attacks.nd import ns, solicited_node, to_group, to_one
from ansible_collections.plainlinux.vpc.tests.attacks.suite import run
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from ansible_collections.plainlinux.vpc.tests.attacks.wire import Wire
from ansible_collections.plainlinux.vpc.tests.attacks.world import ANY4, FLAT, KINDS, World
from scapy.layers.inet import IP

pytestmark = pytest.mark.attacks

WORLDS = [World(kind, bridge_nf) for kind in KINDS for bridge_nf in (False, True)]
# A network that a guest may use is not compared with each neighbour's addresses.
PREFIX_MISSES = {
    f"bad:{name}/{World(FLAT).guest('a').ip4}" for name in ("IPv4", "IPv6", "NS", "NA", "NA from link-local", "DAD")
}


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: f"{world.kind}-{'nf' if world.bridge_nf else 'plain'}")
@pytest.mark.parametrize("name", PARTIAL)
def test_what_it_cannot_stop(name: str, world: World) -> None:
    report = run(load(name), world)
    assert report.bad_ids == MISSES[name], "\n".join([report.table(), *report.bad])


def _wrong(book: Book, wire: Wire) -> set[str]:
    return {one.case.id for one in wire.run(book.cases.values()) if one.passed != one.case.legit}


def test_frames_that_look_for_holes() -> None:
    book = Book(holes.WORLD)
    holes.attacks(book)
    holes.legitimate(book)
    with Topology(holes.WORLD) as topology, Wire(topology) as wire:
        guard(topology, holes.WORLD.policy)
        assert _wrong(book, wire) == set()


def test_prefixes() -> None:
    book = Book(holes.WORLD)
    holes.in_prefix(book)
    with Topology(holes.WORLD) as topology, Wire(topology) as wire:
        rules, guests = holes.with_prefixes()
        put(topology, rules, guests)
        settings(topology, holes.WORLD.bridge, guests)
        assert _wrong(book, wire) == PREFIX_MISSES


def test_who_may_use_all_addresses_may_not_use_none() -> None:
    """The unspecified address lies in 0.0.0.0/0 and ::/0: what is allowed from it stays as little."""
    world = holes.WORLD
    a, b, gw = world.guest("a"), world.guest("b"), world.gw
    book = Book(world)
    book.attack("DAD", "for the gateway", to_group(b, "::", solicited_node(gw.ll)) / ns(gw.ll), sender="b")
    book.attack("NS", "from nobody", to_one(b, "::", a, a.ll) / ns(a.ll), sender="b")
    book.attack("UDP", "from nobody", eth(b, gw) / IP(src=ANY4, dst=gw.ip4) / udp(), sender="b")
    book.legit("DAD", "own", to_group(b, "::", solicited_node(b.ll)) / ns(b.ll), sender="b")
    with Topology(world) as topology, Wire(topology) as wire:
        rules, guests = holes.with_prefixes()
        everything = (Prefix(4, 0, 0), Prefix(6, 0, 0))
        guests["vif2.0"] = guests["vif2.0"]._replace(prefixes=everything)
        put(topology, rules, guests)
        settings(topology, world.bridge, guests)
        assert _wrong(book, wire) == set()


def test_rules_of_others_count_as_before() -> None:
    """What is allowed is not accepted here; what is not, nobody else can accept."""
    world = holes.WORLD
    a, b, c, host, gw = (*map(world.guest, "abc"), world.host, world.gw)
    book = Book(world)
    for port, allowed in ((9, True), (10, False)):
        add = book.legit if allowed else book.attack
        add("port of b", str(port), eth(b, gw) / IP(src=b.ip4, dst=gw.ip4) / udp(dport=port), sender="b")
    for name, target in (("c", c), ("hypervisor", host)):
        book.attack("a as b", f"to {name}", eth(a, target) / IP(src=b.ip4, dst=target.ip4) / udp())
    with Topology(world) as topology, Wire(topology) as wire:
        topology.shell(
            "iptables -w -P FORWARD DROP\n"
            "iptables -w -A FORWARD -p udp --dport 9 -j ACCEPT\n"
            "iptables -w -I INPUT -j ACCEPT\n"
        )
        guard(topology, world.policy)
        topology.shell("iptables -w -I FORWARD -s 192.0.2.20 -d 192.0.2.30 -j ACCEPT")
        assert _wrong(book, wire) == set()
        assert "-P FORWARD DROP\n" in topology.run("iptables", "-S", "FORWARD")


def test_ports_that_are_nobodys_are_let_alone() -> None:
    """Trusted ones on a guarded bridge, and those of other bridges that hand their packets over."""
    world = holes.WORLD
    b, c, gw = (*map(world.guest, "bc"), world.gw)
    book = Book(world)
    book.legit("trusted", "anything", eth(c, gw) / IP(src=b.ip4, dst=gw.ip4) / udp(), sender="c")
    book.legit("trusted", "to it", eth(gw, c) / IP(src=gw.ip4, dst="203.0.113.9") / udp(), sender="ext")
    with Topology(world) as topology:
        topology.shell("ip link set vif3.0 down; ip link set vif3.0 name mine; ip link set mine up")
        guests = {"vif2.0": guest_of(world.policy.vifs[1])}
        put(topology, Rules(("peth0",), trusted=("mi*",)), guests)
        settings(topology, world.bridge, guests)
        with Wire(topology) as wire:
            assert _wrong(book, wire) == set()
        topology.shell(_OTHER_BRIDGE)
        topology.run("ip", "addr", "add", "203.0.113.3/24", "dev", "eth0", inside="d")
        assert "1 received" in topology.run("ping", "-c1", "-W1", "203.0.113.2", inside="d")


# Guest d of the topology moves to a bridge of its own, with the hypervisor and addresses that nobody declared.
_OTHER_BRIDGE = """
ip link add other type bridge nf_call_iptables 1 nf_call_ip6tables 1
ip link set vif9.0 down
ip link set vif9.0 name odd0
ip link set odd0 master other up
ip addr add 203.0.113.2/24 dev other
ip link set other up
"""
