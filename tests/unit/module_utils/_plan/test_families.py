# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories of IPv4 alone, of IPv6 alone and of both: what hosts are told, and the same packets for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import expect
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.families import FAMILIES, only
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_world import BACKENDS
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.world import (
    INTERNET,
    INTERNET6,
    LOST,
    ROUTER,
    ROUTER6,
    World,
    address,
)

# Neighbours on an isolated and on a switched bridge, other hosts and other networks; and guests of other VPCs.
PAIRS = ("vm1 vm2", "vm1 vm3", "vm3 vm1", "vm4 vm5", "vm5 vm6", "vm6 vm4")
APART = ("vm1 vm4", "vm5 vm1", "vm7 vm6")
OUTSIDE = {4: INTERNET, 6: INTERNET6}
SHOWN = {4: ROUTER, 6: ROUTER6}
PREFIXES = {4: r"10\.10\.[1-4]0\.", 6: "2001:db8:[1-4]0:"}
# What the state of a host says of one family.
WORDS = {
    4: re.compile(r"^4 |ipv4_addr|\bip [sd]addr|net/ipv4|family inet$|10\.10\."),
    6: re.compile(r"^6 |ipv6_addr|\bip6 |icmpv6|net/ipv6|family inet6$|2001:db8:|fe80::"),
}


def world_of(folder: Path, backend: str, kind: str, router: str = "router") -> World:
    return World(folder, backend, router, FAMILIES[kind], net2={"local_switching": "bridged"})


@pytest.fixture(scope="module", params=[(backend, kind) for backend in BACKENDS for kind in FAMILIES], ids=" ".join)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world_of(tmp_path_factory.mktemp("world"), *request.param)
    yield made
    made.remove()


@pytest.mark.parametrize("kind", ["IPv4-only", "IPv6-only"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_said_of_a_family_that_nobody_has(backend: str, kind: str) -> None:
    (family,) = FAMILIES[kind]
    other = WORDS[10 - family]
    made = planned(backend, (family,))
    dual = planned(backend, (4, 6))
    for host, role in (("router", "router"), ("host1", "hypervisor"), ("host2", "hypervisor")):
        texts = [lines(plan.slice(host, role)["state"]) for plan in (made, dual)]
        assert [text for text in texts[0] if other.search(text)] == []
        assert [text for text in texts[1] if other.search(text)], (host, role)
    summary = made.summary()
    probes = expect.of_guests(summary)
    assert {":" in probe.address for probe in probes} == {family == 6}
    kinds = {probe.target for probe in expect.of_guests(dual.summary())}
    assert {probe.target for probe in probes} == kinds
    for host in ("host1", "router"):
        assert {probe.target for probe in expect.of_host(summary, host)} == {
            probe.target for probe in expect.of_host(dual.summary(), host)
        }


def lines(state: dict[str, dict[str, str]]) -> list[str]:
    """Each object, and each line of what it is."""
    return [line for objects in state.values() for key, value in objects.items() for line in (key, *value.splitlines())]


def planned(backend: str, families: tuple[int, ...]) -> Plan:
    hosts = {
        name: {
            "groups": [group],
            "vpc_underlay_address": f"192.168.56.{number}",
            "vpc_underlay_address6": f"fd56::{number}",
            "vpc_backend": backend,
        }
        for name, group, number in (("router", "routers", 1), ("host1", "hypervisors", 3), ("host2", "hypervisors", 4))
    }
    networks = [
        {
            "name": f"net{number}",
            "vpc": vpc,
            "cidr": f"10.10.{number}0.0/24",
            "cidr6": f"2001:db8:{number}0::/64",
            **more,
        }
        for number, vpc, more in ((1, "a", {"nat": True}), (2, "a", {"local_switching": "bridged"}), (3, "b", {}))
    ]
    acl = {"ingress": [{"protocol": "tcp", "ports": 80}], "egress": [{}]}
    instances = [
        {"name": f"vm{number}{host[-1]}", "hypervisor": host, "network": f"net{number}", "security_groups": ["web"]}
        for number in (1, 2, 3)
        for host in ("host1", "host2")
    ]
    return Plan(
        parse(
            {
                "hosts": hosts,
                "vpc_networks": [{**network, "acl": acl} for network in only(families, networks)],
                "vpc_instances": instances,
                "vpc_security_groups": [{"name": "web", "ingress": [{"protocol": "tcp", "ports": 80, "from": "self"}]}],
            }
        ),
        "id",
    )


def internet(world: World) -> dict[tuple[str, int], str]:
    """Who the internet sees, by guest and family."""
    return {
        (guest, family): world.ask(world.guests[guest], world.internet, OUTSIDE[family], 8080, family)
        for family in world.families
        for guest in ("vm1", "vm5", "vm6")
    }


def test_guests_reach_each_other_and_the_internet(world: World) -> None:
    world.apply(settled=True)
    assert world.seen(*PAIRS) == world.sources(*PAIRS)
    assert set(world.seen(*APART)) == {LOST}
    for (guest, family), shown in internet(world).items():
        # The network of vm6 has no NAT, and this internet no route to it.
        assert shown == (LOST if guest == "vm6" else SHOWN[family])


def test_the_internet_reaches_what_is_routed_to_it(world: World) -> None:
    """Where others have a route to the router, NAT of what guests begin is not in the way."""
    world.apply()
    world.internet.sh(f"ip route replace 10.10.0.0/16 via {ROUTER}; ip route replace 2001:db8:10::/64 via {ROUTER6}")
    for family in world.families:
        seen = world.ask(world.internet, world.guests["vm1"], address("vm1", family), 8080, family)
        assert seen in {"192.168.56.1", INTERNET, "2001:db8:56::1", INTERNET6}
    world.internet.sh("ip route del 10.10.0.0/16; ip route del 2001:db8:10::/64")


def test_hosts_reach_guests(world: World) -> None:
    world.apply()
    for name in ("host1", "host2", "router"):
        for family in world.families:
            for guest in ("vm1", "vm3", "vm4"):
                seen = world.ask(world.hosts[name], world.guests[guest], address(guest, family), 8080, family)
                assert seen != LOST, (name, guest, family)


def test_a_guest_moves(world: World) -> None:
    world.apply()
    assert world.seen("vm1 vm2") == world.sources("vm1 vm2")
    here, there = world.hosts["host1"], world.hosts["host2"]
    here.sh(f"ip link set vm2.0 netns {there.name}")
    there.sh("ip link set vm2.0 master br-net1 up; bridge link set dev vm2.0 isolated on")
    assert set(world.seen("vm1 vm2")) == {LOST}
    instances = world.inventory()["vpc_instances"]
    moved = [{**item, "hypervisor": "host2"} if item["name"] == "vm2" else item for item in instances]
    world.apply(settled=True, vpc_instances=moved)
    assert world.seen("vm1 vm2", "vm2 vm3", "vm3 vm2") == world.sources("vm1 vm2", "vm2 vm3", "vm3 vm2")
    there.sh(f"ip link set vm2.0 netns {here.name}")
    here.sh("ip link set vm2.0 master br-net1 up; bridge link set dev vm2.0 isolated on")
    world.apply(settled=True)
    assert world.seen("vm1 vm2") == world.sources("vm1 vm2")


@pytest.mark.parametrize("kind", ["IPv4-only", "IPv6-only"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_router_that_is_a_hypervisor_too(tmp_path: Path, backend: str, kind: str) -> None:
    world = world_of(tmp_path, backend, kind, "host1")
    try:
        world.apply(settled=True)
        assert world.seen(*PAIRS) == world.sources(*PAIRS)
        assert set(world.seen(*APART)) == {LOST}
        for (guest, family), shown in internet(world).items():
            assert shown == (LOST if guest == "vm6" else {4: "192.168.56.103", 6: "2001:db8:56::67"}[family])
    finally:
        world.remove()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_family_comes_and_goes(tmp_path: Path, backend: str) -> None:
    world = world_of(tmp_path, backend, "dual")
    try:
        world.apply()
        for kind in ("IPv6-only", "dual", "IPv4-only", "IPv6-only"):
            item = world.inventory()
            families = FAMILIES[kind]
            changes = {key: only(families, item[key]) for key in ("vpc_networks", "vpc_instances")}
            world.apply(settled=True, **changes)
            # Whom nobody answered is not asked again at once.
            for netns in (*world.guests.values(), *world.hosts.values()):
                netns.sh("ip neigh flush all")
            for family in (4, 6):
                found = world.pairs(*PAIRS, family=family)
                if family in families:
                    assert found == [address(pair.split()[0], family) for pair in PAIRS]
                else:
                    assert set(found) == {LOST}
                    assert not re.search(PREFIXES[family], dump(world))
    finally:
        world.remove()


def dump(world: World) -> str:
    return "".join(
        world.hosts[name].sh(
            "ip route show table all; ip -6 route show table all; nft list ruleset; ipset save; ip addr"
        )
        for name in ("router", "host1", "host2")
    )
