# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backend nftables against frames that look for its holes, prefixes and ports of other names."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy as Rules
from ansible_collections.plainlinux.vpc.tests.attacks.case import Book, eth, udp
from ansible_collections.plainlinux.vpc.tests.attacks.guard_nftables import guard, guest_of, put
from ansible_collections.plainlinux.vpc.tests.attacks.holes import WORLD, attacks, in_prefix, legitimate, with_prefixes
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from ansible_collections.plainlinux.vpc.tests.attacks.wire import Wire
from scapy.layers.inet import IP

pytestmark = pytest.mark.attacks


def _wrong(book: Book, wire: Wire) -> list[str]:
    results = wire.run(book.cases.values())
    return [f"{one.case.id} {sorted(one.got)}" for one in results if one.passed != one.case.legit]


def test_frames_that_look_for_holes() -> None:
    book = Book(WORLD)
    attacks(book)
    with Topology(WORLD) as topology, Wire(topology) as wire:
        powerless = [one.case.id for one in wire.run(book.cases.values()) if one.got != one.case.seen]
        assert powerless == []
    legitimate(book)
    with Topology(WORLD) as topology, Wire(topology) as wire:
        guard(topology, WORLD.policy)
        assert _wrong(book, wire) == []


def test_prefixes() -> None:
    book = Book(WORLD)
    in_prefix(book)
    rules, guests = with_prefixes()
    with Topology(WORLD) as topology, Wire(topology) as wire:
        put(topology, rules, guests)
        assert _wrong(book, wire) == []


def test_unknown_ports_of_any_name_where_all_are_guarded() -> None:
    """With `*`, a port needs no name of a known form to be refused; trusted ones are let alone."""
    guests = {vif.name: guest_of(vif) for vif in WORLD.policy.vifs}
    b, c, r, gw = (*map(WORLD.guest, "bcr"), WORLD.gw)
    book = Book(WORLD)
    book.attack("unknown", "to gateway", eth(r, gw) / IP(src=r.ip4, dst=gw.ip4) / udp(), sender="r")
    book.attack("unknown", "to it", eth(gw, r) / IP(src=gw.ip4, dst=r.ip4) / udp(), sender="ext")
    book.legit("known", "to gateway", eth(b, gw) / IP(src=b.ip4, dst=gw.ip4) / udp())
    book.legit("trusted", "anything", eth(c, gw) / IP(src=b.ip4, dst=gw.ip4) / udp(), sender="c")
    with Topology(WORLD) as topology:
        for old, name in (("vif4.0", "odd"), ("vif3.0", "mine")):
            topology.shell(f"ip link set {old} down; ip link set {old} name {name}; ip link set {name} up")
        put(topology, Rules(("peth0",), patterns=("*",), trusted=("mi*",)), {"vif2.0": guests["vif2.0"]})
        with Wire(topology) as wire:
            assert _wrong(book, wire) == []
