# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VPCs are apart but for peerings: as computed, and with packets on a router and on hypervisors."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model, parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import segments
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import world as reach_world
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import changed
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.world import LOST, REMOTE, World, address

A_B = {"name": "a-b", "vpcs": ["a", "b"]}
B_C = {"name": "b-c", "vpcs": ["c", "b"], "networks": ["net2"]}
VPN = changed(gateway="gw", vpc="a")


# Of networks that have both families or IPv4 alone, and of IPv6 alone. See test_families.py, too.
WORLDS = [(backend, families) for backend in ("nftables", "iptables") for families in ((), (6,))]


@pytest.fixture(scope="module", params=WORLDS, ids=lambda param: f"{param[0]}{''.join(map(str, param[1]))}")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    backend, families = request.param
    folder = tmp_path_factory.mktemp("world")
    made = World(folder, backend, families=families, net2={"local_switching": "bridged"})
    yield made
    made.remove()


def raw(**changes: Any) -> dict[str, Any]:
    names = {"net1": "a", "net2": "b", "net3": "b", "net4": "c"}
    networks = [
        {"name": name, "vpc": vpc, "cidr": f"10.10.{name[3]}0.0/24", "cidr6": f"2001:db8:{name[3]}0::/64"}
        for name, vpc in names.items()
    ]
    hosts = {
        name: {"groups": [group], "vpc_underlay_address": f"192.168.56.{number}", "vpc_underlay_address6": None}
        for name, group, number in (("router", "routers", 101), ("gw", "vpn_gateways", 102))
    }
    return {"vpc_networks": networks, "vpc_instances": [], "hosts": hosts, **changes}


def allowed(model: Model) -> dict[str, set[str]]:
    """The networks that each network reaches; how the other program that walks plans sees it must not differ."""
    made = segments.of_model(model)
    parts = {part.name: part for part in made.parts}
    found = {}
    for name in made.of:
        reach = parts[made.of[name]].reach
        found[name] = {
            other
            for other, network in model.networks.items()
            if network.cidr is not None and any(prefix.overlaps(network.cidr) for prefix in reach)
        }
    walked = reach_world.World(Plan(model, "id").summary())
    assert found == {one: {other for other in found if walked.together(one, other) is not None} for one in found}
    return found


def test_networks_of_one_vpc_reach_each_other() -> None:
    model = parse(raw())
    assert allowed(model) == {
        "net1": {"net1"},
        "net2": {"net2", "net3"},
        "net3": {"net2", "net3"},
        "net4": {"net4"},
    }
    found = segments.of_model(model)
    assert [part.networks for part in sorted(found.parts, key=lambda part: part.networks)] == [
        ("net1",),
        ("net2", "net3"),
        ("net4",),
    ]
    assert all(part.sources == part.reach for part in found.parts)


def test_a_peering_opens_two_vpcs_and_is_not_transitive() -> None:
    found = allowed(parse(raw(vpc_peerings=[A_B, B_C])))
    assert found == {
        "net1": {"net1", "net2", "net3"},
        "net2": {"net1", "net2", "net3", "net4"},
        "net3": {"net1", "net2", "net3"},
        "net4": {"net2", "net4"},
    }
    for name, others in found.items():
        assert all(name in found[other] for other in others)


def test_a_peering_of_named_networks() -> None:
    found = allowed(parse(raw(vpc_peerings=[{**A_B, "networks": ["net3"]}])))
    assert found["net1"] == {"net1", "net3"}
    assert found["net2"] == {"net2", "net3"}
    assert found["net3"] == {"net1", "net2", "net3"}


def test_a_peering_does_not_lead_through_a_vpn() -> None:
    model = parse(raw(vpc_peerings=[A_B], vpc_vpn_connections=[VPN]))
    found = segments.of_model(model)
    remote = parse_ipv4(REMOTE)
    for name, part in found.of.items():
        reach = next(item for item in found.parts if item.name == part).reach
        assert any(prefix.family == 4 and prefix.contains(remote) for prefix in reach) == (name == "net1")
    (own,) = [part for part in found.parts if not part.networks]
    assert [prefix.text for prefix in own.sources] == ["10.20.0.0/16"]
    assert [prefix.text for prefix in own.reach] == ["10.10.10.0/24", "10.20.0.0/16", "2001:db8:10::/64"]


def test_what_is_behind_a_vpn_takes_no_network() -> None:
    wide = {**VPN, "accept": ["10.0.0.0/8"]}
    found = segments.of_model(parse(raw(vpc_vpn_connections=[wide])))
    assert [prefix.text for prefix in found.internal if prefix.family == 4] == ["10.0.0.0/8"]
    sources = [prefix for part in found.parts for prefix in part.sources if prefix.family == 4]
    assert sum(prefix.size for prefix in sources) == 2**24
    for one in sources:
        assert sum(one.overlaps(other) for other in sources) == 1


@pytest.mark.parametrize("seed", range(20))
def test_reach_is_symmetric_and_as_small_as_it_can_be(seed: int) -> None:
    rng = random.Random(seed)
    vpcs = "abcde"
    networks = [
        {"name": f"n{number}", "vpc": rng.choice(vpcs), "cidr": f"10.0.{number}.0/24"} for number in range(1, 13)
    ]
    names: dict[str, list[str]] = {}
    for network in networks:
        names.setdefault(network["vpc"], []).append(network["name"])
    pairs = [(one, two) for one in sorted(names) for two in sorted(names) if one < two and rng.random() < 0.4]
    peerings = []
    wanted = {(one, two) for own in names.values() for one in own for two in own}
    for one, two in pairs:
        chosen = [rng.sample(names[vpc], rng.randint(0, len(names[vpc]))) for vpc in (one, two)]
        item: dict[str, Any] = {"name": f"{one}-{two}", "vpcs": rng.sample([one, two], 2)}
        if any(chosen):
            item["networks"] = [*chosen[0], *chosen[1]]
        peerings.append(item)
        for left in chosen[0] or names[one]:
            for right in chosen[1] or names[two]:
                wanted |= {(left, right), (right, left)}
    model = parse(raw(vpc_networks=networks, vpc_peerings=peerings))
    found = allowed(model)
    assert {(one, two) for one, others in found.items() for two in others} == wanted
    made = segments.of_model(model)
    by_name = {part.name: part for part in made.parts}
    assert len(by_name) == len(made.parts)
    cidr = {network["name"]: network["cidr"] for network in networks}
    for name, part in made.of.items():
        assert [prefix.text for prefix in by_name[part].reach] == sorted(
            (cidr[other] for other in found[name]), key=lambda text: int(text.split(".")[2])
        )


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
@pytest.mark.parametrize("peerings", [[], [A_B]])
def test_a_network_more_changes_elements_only(backend: str, peerings: list[dict[str, Any]]) -> None:
    base = raw(vpc_peerings=peerings)
    for host in base["hosts"].values():
        host["vpc_backend"] = backend
    base["hosts"]["host1"] = {**base["hosts"]["router"], "groups": ["hypervisors"]}
    base["hosts"]["host1"]["vpc_underlay_address"] = "192.168.56.103"
    base["vpc_instances"] = [{"name": "vm1", "hypervisor": "host1", "network": "net1"}]
    more = {**base, "vpc_networks": [*base["vpc_networks"], {"name": "net9", "vpc": "b", "cidr": "10.10.90.0/24"}]}
    for host, role in (("router", "router"), ("host1", "hypervisor")):
        few, many = (Plan(parse(item), "id").slice(host, role)["state"] for item in (base, more))
        for name in ("nft", "ipset", "iptables"):
            before, after = few.get(name, {}), many.get(name, {})
            assert {key: after[key] for key in before} == before
            new = {key.split()[-1] for key in after.keys() - before.keys()}
            assert new == ({"10.10.90.0/24"} if name == ("nft" if backend == "nftables" else "ipset") else set())


def test_routes_do_not_know_of_peerings() -> None:
    made = [Plan(parse(raw(vpc_peerings=peerings)), "id") for peerings in ([], [A_B, B_C])]
    routes = [plan.slice("router", "router")["state"]["route"] for plan in made]
    assert routes[0] == routes[1]


# Packets


# To guests of the same host and of the other one, in both directions, from isolated and bridged networks.
ATTACKS = ("vm1 vm5", "vm1 vm4", "vm5 vm3", "vm7 vm6")


@pytest.mark.parametrize("guards", [("router",), ("host1", "host2"), ("router", "host1", "host2")])
def test_vpcs_are_apart_on_routers_and_on_hypervisors(world: World, guards: tuple[str, ...]) -> None:
    world.apply()
    inside = ("vm1 vm2", "vm1 vm3", "vm5 vm6")
    assert world.seen(*inside) == world.sources(*inside)
    world.open(*{"router", "host1", "host2"}.difference(guards))
    assert set(world.seen(*ATTACKS)) == {LOST}
    world.open(*guards)
    assert world.seen(*ATTACKS) == world.sources(*ATTACKS)


@pytest.mark.parametrize("only", ["host1", "host2"])
def test_a_hypervisor_guards_what_leaves_and_what_arrives(world: World, only: str) -> None:
    world.apply()
    world.open(*{"router", "host1", "host2"}.difference([only]))
    # vm1 is on host1, vm5 on host2: one of them alone is enough.
    assert set(world.seen("vm1 vm5")) == {LOST}
    world.open(only)
    assert world.seen("vm1 vm5") == world.sources("vm1 vm5")


def test_gateways_and_bridges_of_other_vpcs_do_not_answer(world: World) -> None:
    guest = world.guests["vm1"]
    # The gateway of IPv6 is the same everywhere.
    foreign = ["10.10.20.1", "10.10.20.2"]
    own = {
        4: ["10.10.10.1", "10.10.10.2", "192.168.56.103", "198.51.100.1"],
        6: ["fe80::1%eth0", "2001:db8:56::67", "2001:db8:ffff::1"],
    }
    world.apply()
    # What they all share is not a VPC's.
    shared = [address for family in world.families for address in own[family]]
    assert world.answering(guest, *foreign, *own[4], *own[6]) == shared
    world.open("router", "host1")
    assert world.answering(guest, *foreign) == (foreign if 4 in world.families else [])


def test_peerings_with_packets(world: World) -> None:
    peered = ("vm1 vm5", "vm4 vm3", "vm1 vm4", "vm6 vm1")
    named = ("vm7 vm4", "vm5 vm7")
    never = ("vm1 vm7", "vm7 vm1", "vm7 vm6", "vm6 vm7")
    world.apply(settled=True, vpc_peerings=[A_B, B_C])
    assert world.seen(*peered, *named) == world.sources(*peered, *named)
    assert world.ping(world.guests["vm1"], "10.10.20.1") == (4 in world.families)
    assert set(world.seen(*never)) == {LOST}
    world.apply(settled=True, vpc_peerings=[B_C])
    assert set(world.seen(*peered, *never)) == {LOST}
    assert world.seen(*named) == world.sources(*named)


def test_what_is_behind_a_vpn_belongs_to_its_vpc(world: World) -> None:
    if 4 not in world.families:
        with pytest.raises(ModelErrors, match="announce: is missing: no network of the vpc a has a cidr"):
            world.apply(vpc_vpn_connections=[VPN])
        return
    world.apply(vpc_peerings=[A_B], vpc_vpn_connections=[VPN])
    behind = world.hosts["gw"]
    assert world.ask(world.guests["vm1"], behind, REMOTE, 8080) == address("vm1")
    assert world.ask(behind, world.guests["vm1"], address("vm1"), 8080) == REMOTE
    assert world.seen("vm1 vm5") == world.sources("vm1 vm5")
    assert world.ask(world.guests["vm5"], behind, REMOTE, 8080) == LOST
    assert world.ask(behind, world.guests["vm5"], address("vm5"), 8080) == LOST
    world.open("router", "host1", "host2")
    assert world.ask(behind, world.guests["vm5"], address("vm5"), 8080) == REMOTE


def test_the_last_vpc_but_one_takes_the_rules_along(world: World) -> None:
    one = [{**network, "vpc": "default"} for network in world.networks]
    world.apply(settled=True, vpc_networks=one)
    assert world.seen("vm1 vm5") == world.sources("vm1 vm5")
    listed = world.hosts["router"].sh("nft list ruleset; iptables-save -t filter; ipset save")
    assert "drop" not in listed.lower()
    world.apply(settled=True)
    assert set(world.seen("vm1 vm5")) == {LOST}
