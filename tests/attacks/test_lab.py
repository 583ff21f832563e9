# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite in a running lab: who plays whom, what is left out, and that the lab is as before."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.tests.attacks.__main__ import main, unexpected
from ansible_collections.plainlinux.vpc.tests.attacks.catalogue import written
from ansible_collections.plainlinux.vpc.tests.attacks.guard_nftables import guard
from ansible_collections.plainlinux.vpc.tests.attacks.guards import MISSES
from ansible_collections.plainlinux.vpc.tests.attacks.inventory import NoCastError, choose
from ansible_collections.plainlinux.vpc.tests.attacks.suite import Outcome, Report
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from ansible_collections.plainlinux.vpc.tests.attacks.world import FLAT, ISOLATED, KINDS, ROUTED, World

pytestmark = pytest.mark.attacks

NAMES = {"a": "www", "b": "mail", "c": "legacy", "r": "edge"}


def plan(world: World, names: dict[str, str] | None = None) -> dict[str, Any]:
    """The plan.json of an inventory with the guests of a world, or some of them."""
    names = NAMES if names is None else names
    switching = {FLAT: None, ISOLATED: "isolated", ROUTED: "bridged"}[world.kind]
    network: dict[str, Any] = {
        "cidr": world.scene.network4,
        "cidr6": world.scene.network6,
        "gateway": world.gw.ip4,
        "gateway6": world.gw.ip6 or None,
        "flat": world.kind == FLAT,
        "bridge": world.bridge,
        "uplinks": list(world.scene.uplinks),
        "local_switching": switching,
    }
    instances = {}
    for letter, name in names.items():
        vif = world.vifs[letter]
        interface: dict[str, Any] = {
            "network": "net1",
            "vif": vif.name,
            "mac": vif.mac,
            "address": f"{vif.addresses4[0]}/24",
            "address6": f"{vif.addresses6[0]}/64" if vif.addresses6 else None,
        }
        more = [*(f"{item}/32" for item in vif.addresses4[1:]), *(f"{item}/128" for item in vif.addresses6[1:])]
        if more:
            interface["allowed_addresses"] = more
        if vif.roles:
            interface["roles"] = sorted(vif.roles)
            interface["allowed_pairs"] = [{"mac": pair.mac, "address": pair.address} for pair in vif.pairs]
        instances[name] = {"hypervisor": "dom0", "interfaces": [interface]}
    hosts = {"dom0": {"underlay": "192.0.2.2", "underlay6": "fe80::c000:202"}}
    return {"hosts": hosts, "networks": {"net1": network}, "instances": instances}


class FakeLab(Topology):
    """A topology whose namespaces have a lab's names; the stranger is not plugged in."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "lab")
        self.shell(f"ip link del {world.scene.stranger.name}")

    def __enter__(self) -> FakeLab:
        return self

    @property
    def lab(self) -> str:
        return self._prefix

    def namespace(self, name: str) -> str:
        lab_names = {"host": "dom0", "ext": "internet", **{letter: f"vm-{guest}" for letter, guest in NAMES.items()}}
        return f"{self._prefix}-{lab_names.get(name, name)}"

    def dump(self) -> set[str]:
        """What the suite could leave behind, in no order: a line for each thing."""
        found = {f"host {line}" for line in self.run("bridge", "-d", "link").splitlines()}
        for name in ("host", "ext", *NAMES):
            text = self.run("sh", "-c", "ip -o addr; ip route; ip -6 route; sysctl -a | grep ^net", inside=name)
            found.update(f"{name} {line}" for line in text.splitlines() if "conntrack" not in line)
        return found


def test_a_cast_is_chosen_by_what_guests_may_do() -> None:
    world = World(FLAT)
    cast = choose(plan(world))
    assert cast.names == NAMES
    assert {vif.guest: (vif.addresses4, vif.addresses6, vif.pairs, vif.roles) for vif in cast.vifs} == {
        vif.guest: (vif.addresses4, vif.addresses6, vif.pairs, vif.roles) for vif in world.scene.guests
    }
    assert cast.stranger.name == "vif9.0"
    assert not {*cast.stranger.addresses4, *cast.stranger.addresses6} & cast.others


def test_without_attacker_and_victim_there_is_no_play() -> None:
    for names in ({"a": "www"}, {"a": "www", "c": "legacy"}, {"a": "www", "r": "edge"}):
        with pytest.raises(NoCastError):
            choose(plan(World(FLAT), names))
    with pytest.raises(NoCastError):
        choose(plan(World(FLAT)), network="net2")


def test_the_bridge_with_most_actors_is_chosen() -> None:
    one, two = plan(World(FLAT), {"a": "x", "b": "y"}), plan(World(FLAT))
    two["networks"]["net0"] = one["networks"]["net1"]
    two["instances"].update(one["instances"])
    for name in ("x", "y"):
        two["instances"][name]["interfaces"][0]["network"] = "net0"
    assert choose(two).network["name"] == "net1"
    assert choose(two, network="net0").names == {"a": "x", "b": "y"}


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_not_there_is_left_out_and_counted(kind: str) -> None:
    full, scene = written(World(kind)).cases, World(kind).scene
    a, b = scene.guests[:2]
    alone = replace(b, addresses4=b.addresses4[:1], addresses6=b.addresses6[:1])
    small = written(World(kind, place=replace(scene, guests=(a, alone), mtu=1500)))
    assert small.cases.keys() | small.left_out.keys() == full.keys()
    assert not small.cases.keys() & small.left_out.keys()
    for case in small.cases.values():
        assert case.sender not in ("c", "r")
        assert not case.seen & {"c", "r"}
        assert max(map(len, case.frames)) <= 1514
    assert 0.15 < len(small.left_out) / len(full) < 0.35


def test_what_is_not_as_expected_is_named() -> None:
    misses = MISSES["iptables"]
    attacks = {
        "bad:stopped": Outcome("bad:stopped", "x", False, False, False),
        "bad:half": Outcome("bad:half", "x", False, True, False, " [seen by b]"),
        "bad:works": Outcome("bad:works", "x", False, True, True),
        **{ident: Outcome(ident, "x", False, True, True) for ident in misses},
    }
    report = Report((*attacks.values(), Outcome("ok:lost", "x", True, False, False)), 0.0)
    assert unexpected("open", report) == [
        "powerless: bad:stopped",
        "powerless: bad:half [seen by b]",
        "lost: ok:lost",
    ]
    assert set(unexpected("guarded", report)) == {"bad:half [seen by b]", "bad:works", "ok:lost", *misses}
    assert unexpected("iptables", report) == ["bad:half [seen by b]", "bad:works", "ok:lost"]


@pytest.mark.parametrize("kind", [FLAT, ISOLATED])
def test_a_lab_is_attacked_and_left_as_it_was(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(kind)
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan(world)))
    with FakeLab(world) as lab:

        def attack(expected: str) -> int:
            words = ["attacks", "--lab", lab.lab, "--plan", str(file), "--expect", expected]
            monkeypatch.setattr(sys, "argv", words)
            return main()

        before = lab.dump()
        assert attack("open") == 0, capsys.readouterr().out
        assert lab.dump() ^ before == set()
        guard(lab, world.policy)
        before = lab.dump()
        assert attack("guarded") == 0, capsys.readouterr().out
        assert lab.dump() ^ before == set()


def test_a_plan_without_a_play_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan(World(FLAT), {"a": "www"})))
    monkeypatch.setattr(sys, "argv", ["attacks", "--lab", "nolab", "--plan", str(file)])
    assert main() == 2
