# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attack suite against each guard, and against itself: an attack that works without a guard proves something."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.tests.attacks.catalogue import catalogue, written
from ansible_collections.plainlinux.vpc.tests.attacks.effects import effects
from ansible_collections.plainlinux.vpc.tests.attacks.guards import COMPLETE, load, none, recipe2008
from ansible_collections.plainlinux.vpc.tests.attacks.suite import Report, run
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from ansible_collections.plainlinux.vpc.tests.attacks.wire import Wire
from ansible_collections.plainlinux.vpc.tests.attacks.world import FLAT, KINDS, World

pytestmark = pytest.mark.attacks

WORLDS = [World(kind, bridge_nf) for kind in KINDS for bridge_nf in (False, True)]
# What the catalogue had when it was written for a bridge with an uplink; less would be a loss.
ATTACKS = 375
LEGITIMATE = 214


def _name(world: World) -> str:
    return f"{world.kind}-{'nf' if world.bridge_nf else 'plain'}"


def _explain(report: Report) -> str:
    return "\n".join([report.table(), *report.bad])


@pytest.mark.parametrize("world", WORLDS, ids=_name)
def test_without_a_guard_everything_gets_through(world: World) -> None:
    report = run(none, world)
    assert report.powerless == []
    assert report.lost == []


@pytest.mark.parametrize("world", WORLDS, ids=_name)
@pytest.mark.parametrize("name", COMPLETE)
def test_complete_guard(name: str, world: World) -> None:
    report = run(load(name), world)
    assert report.bad == [], _explain(report)


def test_catalogue_is_no_smaller_than_it_was() -> None:
    world = World(FLAT)
    kinds = [case.legit for case in catalogue(world)] + [effect.legit for effect in effects(world) if effect.possible]
    assert kinds.count(False) >= ATTACKS
    assert kinds.count(True) >= LEGITIMATE


@pytest.mark.parametrize("kind", KINDS)
def test_the_suites_own_worlds_have_all_actors(kind: str) -> None:
    assert not written(World(kind)).left_out
    assert all(effect.possible for effect in effects(World(kind)))


def test_recipe_of_2008() -> None:
    report = run(recipe2008, World(FLAT, bridge_nf=True))
    stopped = {
        "bad:ARP reply/gateway's to b",
        "bad:effect/ARP cache, reply",
        "bad:IPv4 source/nobody's to outside",
        "bad:effect/NDP cache, NA",
    }
    assert not stopped & report.bad_ids
    known = {
        "bad:effect/ARP cache, broadcast request",
        "bad:effect/default route, RA with priority tag",
        "bad:effect/b's FDB entry, broadcast",
        "bad:IPv4 source/gateway's to b",
        "bad:IPv4 source/b's to hypervisor",
        "ok:NDP/NS of a for b",
        "ok:DHCP/discover",
        "ok:outside to guests/RA to all",
    }
    assert known <= report.bad_ids
    stopped_attacks, attacks = report.count(False)
    assert 0.15 < stopped_attacks / attacks < 0.5
    working, exchanges = report.count(True)
    assert 0.4 < working / exchanges < 0.8


def test_recipe_of_2008_needs_br_netfilter() -> None:
    report = run(recipe2008, World(FLAT))
    assert report.count(False)[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_bridge_passes_no_frame(kind: str) -> None:
    """The other end of the scale: neither an attack nor a legitimate frame is seen by mistake."""
    world = World(kind)
    with Topology(world) as topology, Wire(topology) as wire:
        hooks = "\n".join(
            f"chain {hook} {{ type filter hook {hook} priority -310; policy drop; }}"
            for hook in ("prerouting", "input", "output", "postrouting")
        )
        topology.run("nft", "-f", "-", stdin=f"table bridge closed {{\n{hooks}\n}}\n")
        assert [result.case.id for result in wire.run(catalogue(world)) if result.got] == []


def test_topology_leaves_nothing_behind() -> None:
    with Topology(World(FLAT)) as topology:
        names = {topology.namespace(name) for name in ("host", "ext", *"abcdr")}
        assert names <= _namespaces()
    assert not names & _namespaces()


def _namespaces() -> set[str]:
    return {path.name for path in Path("/run/netns").iterdir()}
