# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public addresses: what the plan says of them, and what comes out with real connections."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.world import (
    INTERNET,
    LOST,
    REFUSED,
    ROUTER,
    World,
    address,
    connect,
    listen,
    make_socket,
)

ONE, TWO, FIVE, SEVEN = (f"198.51.100.{number}" for number in (50, 52, 55, 57))
NEAR = "192.168.56.1"
SHARED = "198.51.100.51"
POOL = "198.51.100.60-198.51.100.62"
PUBLIC = [
    {"address": ONE, "instance": "vm1"},
    {"address": TWO, "instance": "vm2"},
    {"address": FIVE, "instance": "vm5"},
    # Of a network that reaches nothing outside otherwise.
    {"address": SEVEN, "instance": "vm7"},
]
FORWARDS = [
    {"address": SHARED, "protocol": "tcp", "ports": "8000-8010", "instance": "vm3", "to_port": 80},
    {"address": SHARED, "protocol": "tcp", "ports": "9000-9003", "instance": "vm3"},
    {"protocol": "tcp", "ports": 8443, "instance": "vm3", "to_port": 443},
    {"address": SHARED, "protocol": "udp", "ports": 53, "instance": "vm3", "to_port": 5353},
]
POOLS = [{"name": "pool", "addresses": POOL, "networks": ["net2"]}]
EVERYTHING = {"vpc_public_addresses": PUBLIC, "vpc_port_forwards": FORWARDS, "vpc_nat_pools": POOLS}


@pytest.fixture(scope="module", params=["nftables", "iptables"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"), request.param, net2={"local_switching": "bridged"})
    yield made
    made.remove()


@pytest.fixture
def public(world: World) -> World:
    world.apply(**EVERYTHING)
    return world


def raw(backend: str = "nftables", **changes: Any) -> dict[str, Any]:
    hosts = {
        name: {
            "groups": [group],
            "vpc_underlay_address": f"192.168.56.{number}",
            "vpc_underlay_address6": None,
            "vpc_backend": backend,
        }
        for name, group, number in (
            ("router", "routers", 101),
            ("standby", "routers", 102),
            ("host1", "hypervisors", 103),
        )
    }
    networks = [{"name": name, "cidr": f"10.10.{name[3]}0.0/24", "nat": True} for name in ("net1", "net2")]
    instances = [
        {"name": f"vm{number}", "hypervisor": "host1", "network": "net1", "address": f"10.10.10.{10 + number}"}
        for number in range(1, 9)
    ]
    return {"vpc_networks": networks, "vpc_instances": instances, "hosts": hosts, **changes}


def state(host: str = "router", backend: str = "nftables", **changes: Any) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = Plan(parse(raw(backend, **changes)), "id").slice(host, "router")["state"]
    return found


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_without_public_addresses_there_is_one_rule(backend: str) -> None:
    found = state(backend=backend)
    if backend == "nftables":
        assert [key for key in found["nft"] if " chain " in key] == ["inet plainlinux_router chain postrouting"]
        rules = found["nft"]["inet plainlinux_router chain postrouting"].splitlines()[1:]
        assert rules == ["ip saddr @nat4 ip daddr != @internal4 masquerade"]
    else:
        assert found["iptables"] == {
            "4 nat vpc-router-postrouting": (
                "-m set --match-set vpc-router-nat4 src -m set ! --match-set vpc-router-internal4 dst -j MASQUERADE"
            ),
            "4 nat POSTROUTING -> vpc-router-postrouting": "last",
        }
    assert "module" not in found


def test_an_address_more_changes_elements_only() -> None:
    def made(count: int) -> dict[str, str]:
        names = [f"vm{number}" for number in range(1, count + 1)]
        return state(
            vpc_public_addresses=[{"address": f"203.0.113.{vm[2]}", "instance": vm} for vm in names],
            vpc_port_forwards=[
                {"protocol": "tcp", "ports": 2100 + int(vm[2]), "instance": vm, "helper": "ftp"} for vm in names
            ],
            vpc_nat_pools=[{"name": "p", "addresses": f"203.0.113.{64 + count}", "networks": ["net1", "net2"][:count]}],
        )["nft"]

    few, many = made(1), made(2)
    kinds = ("chain", "ct", "set", "map")
    assert {key for key in many.keys() ^ few.keys() if len(key.split(" ")) == 4 and key.split(" ")[2] in kinds} == set()
    # The pool's address is another one, and the router's no more.
    assert {key for key in few if few[key] != many.get(key)} == {
        "inet plainlinux_router map shown_pool 10.10.10.0/24",
        "inet plainlinux_router set public 203.0.113.65",
    }


def test_a_standby_translates_but_answers_for_no_address() -> None:
    changes: dict[str, Any] = {
        "vpc_public_addresses": PUBLIC[:2],
        "vpc_port_forwards": [{"protocol": "tcp", "ports": 8443, "instance": "vm3"}],
    }
    first, second = state(**changes), state("standby", **changes)
    # Its own address is that of the router that it stands in for.
    assert first["nft"] == second["nft"]
    assert f"inet plainlinux_router map target_port {ROUTER} . 6 . 8443" in second["nft"]
    assert {key for key in first["address"] if key not in second["address"]} == {f"lo {ONE}/32", f"lo {TWO}/32"}
    assert "lo 10.10.10.1/32" in second["address"]


@pytest.mark.parametrize(
    "addresses, text",
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.8/30", "203.0.113.8/30"),
        ("203.0.113.8-203.0.113.15", "203.0.113.8/29"),
        ("203.0.113.9-203.0.113.12", "203.0.113.9-203.0.113.12"),
    ],
)
def test_a_range_is_spelt_as_nft_prints_it(netns: Netns, addresses: str, text: str) -> None:
    found = state(vpc_nat_pools=[{"name": "p", "addresses": addresses, "networks": ["net1"]}])["nft"]
    assert found["inet plainlinux_router map shown_pool 10.10.10.0/24"] == text
    netns.sh(
        f"""
        nft 'add table inet t; add map inet t m {{ type ipv4_addr : interval ipv4_addr; flags interval; }}'
        nft 'add element inet t m {{ 10.10.10.0/24 : {text} }}'
        """
    )
    assert f"10.10.10.0/24 : {text} }}" in netns.sh("nft -s -nny list table inet t")


@pytest.fixture
def netns() -> Iterator[Netns]:
    made = Netns()
    yield made
    made.remove()


# Packets


def test_nothing_is_left_to_do(world: World) -> None:
    world.apply(settled=True, **EVERYTHING)
    world.apply(settled=True)
    assert world.ask(world.internet, world.guests["vm1"], ONE, 80) == LOST
    world.apply(settled=True, **EVERYTHING)


def test_a_public_address_leads_both_ways(public: World) -> None:
    for guest, own in (("vm1", ONE), ("vm5", FIVE), ("vm7", SEVEN)):
        assert public.ask(public.internet, public.guests[guest], own, 80) == INTERNET
        assert public.ask(public.guests[guest], public.internet, INTERNET, 8080) == own
        assert public.ping(public.internet, own)
    # A neighbour without one shows the router's address, as ever.
    assert public.ask(public.guests["vm3"], public.internet, INTERNET, 8080) == ROUTER
    assert public.ask(public.guests["vm6"], public.internet, INTERNET, 8080) == LOST


def test_what_is_for_a_vpc_keeps_its_source(public: World) -> None:
    assert public.pairs("vm1 vm2", "vm1 vm3", "vm2 vm3", "vm5 vm6") == [
        address("vm1"), address("vm1"), address("vm2"), address("vm5"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "source, target, own, shown",
    [
        ("vm1", "vm1", ONE, ONE),
        ("vm1", "vm2", TWO, ONE),
        ("vm3", "vm2", TWO, ROUTER),
        ("vm5", "vm5", FIVE, FIVE),
        # To another VPC, which is as far as the internet; from one whose guests have no address outside, too.
        ("vm1", "vm5", FIVE, ONE),
        ("vm5", "vm1", ONE, FIVE),
        ("vm4", "vm1", ONE, None),
        ("vm6", "vm1", ONE, ROUTER),
        ("vm7", "vm5", FIVE, SEVEN),
    ],
)
def test_guests_talk_to_public_addresses(public: World, source: str, target: str, own: str, shown: str | None) -> None:
    seen = public.ask(public.guests[source], public.guests[target], own, 80)
    assert seen == shown if shown is not None else seen in _pool()
    if source != target:
        assert public.ping(public.guests[source], own)


def test_without_its_source_translated_no_answer_finds_back(public: World) -> None:
    if public.backend == "nftables":
        public.hosts["router"].sh("nft flush chain inet plainlinux_router shown")
    else:
        public.hosts["router"].sh("iptables -t nat -F vpc-router-shown")
    assert public.ask(public.guests["vm1"], public.guests["vm2"], TWO, 80) == LOST


def test_hosts_talk_to_public_addresses(public: World) -> None:
    # vm1 is on host1 itself: its answer would never pass the router.
    for host in ("host1", "host2"):
        public.hosts[host].sh("ip route replace 198.51.100.0/24 via 192.168.56.101")
        assert public.ask(public.hosts[host], public.guests["vm1"], ONE, 80) == ROUTER


def test_ports_lead_where_they_should_and_their_neighbours_nowhere(public: World) -> None:
    guest = public.guests["vm3"]
    for source, seen in ((public.internet, INTERNET), (public.guests["vm1"], ONE), (public.guests["vm5"], FIVE)):
        for outside, inside in ((8000, 80), (8005, 85), (8010, 90), (9000, 9000), (9003, 9003)):
            assert public.ask(source, guest, SHARED, outside, at=inside) == seen
        for outside, inside in ((7999, 79), (8011, 91), (9004, 9004)):
            assert public.ask(source, guest, SHARED, outside, at=inside) == LOST
        # The internet's end has two addresses, and this one is on the router's wire.
        near = NEAR if seen == INTERNET else seen
        assert public.ask(source, guest, ROUTER, 8443, at=443) == near
        for outside, inside in ((8442, 442), (8444, 444)):
            assert public.ask(source, guest, ROUTER, outside, at=inside) == REFUSED
    # The same port of another protocol.
    assert public.ask(public.internet, guest, SHARED, 53, at=5353) == LOST
    assert _datagram(public.internet, guest, SHARED, 53, 5353) == INTERNET
    assert _datagram(public.internet, guest, SHARED, 54, 5354) == LOST


def test_the_router_serves_on_its_own_address_only(public: World) -> None:
    router = public.hosts["router"]
    assert public.ask(public.internet, router, ROUTER, 22) == NEAR
    for own in (SHARED, "198.51.100.60"):
        assert public.ask(public.internet, router, own, 22) == LOST
        assert public.ping(public.internet, own)
    for tool in ("nft flush chain inet plainlinux_router input", "iptables -F vpc-router-input"):
        router.sh(f"{tool} || true")
    assert public.ask(public.internet, router, SHARED, 22) == INTERNET


def test_a_pool_is_used_and_a_guest_keeps_its_address(public: World) -> None:
    shown = {public.ask(public.guests["vm4"], public.internet, INTERNET, 8080) for _attempt in range(4)}
    assert len(shown) == 1
    assert shown <= _pool()
    # More guests than one use more than one of them.
    guest = public.guests["vm4"]
    found = set()
    for last in range(100, 116):
        own = f"10.10.20.{last}"
        guest.sh(f"ip addr add {own}/24 dev eth0")
        public.hosts["router"].sh(f"ip route add {own}/32 via 192.168.56.103")
        public.hosts["host1"].sh(f"ip route add {own}/32 dev br-net2")
        found.add(_bound(public, own))
    assert found <= _pool()
    assert len(found) > 1
    for last in range(100, 116):
        guest.sh(f"ip addr del 10.10.20.{last}/24 dev eth0")
        public.hosts["router"].sh(f"ip route del 10.10.20.{last}/32")
        public.hosts["host1"].sh(f"ip route del 10.10.20.{last}/32")


def test_one_vpc_behind_pools_and_addresses(world: World) -> None:
    one = [{**network, "vpc": "default"} for network in world.networks]
    world.apply(settled=True, **{**EVERYTHING, "vpc_networks": one})
    assert world.ask(world.guests["vm1"], world.guests["vm5"], FIVE, 80) == ONE
    assert world.pairs("vm1 vm5") == [address("vm1")]


@pytest.mark.parametrize("seed", range(6))
def test_the_kernel_prints_what_is_written(world: World, seed: int) -> None:
    rng = random.Random(seed)
    guests = rng.sample(["vm1", "vm2", "vm3", "vm4", "vm5", "vm6", "vm7"], rng.randint(1, 7))
    forwards = []
    for number, guest in enumerate(rng.sample(guests, rng.randint(0, len(guests)))):
        first = 1000 * (number + 3)
        helper = rng.choice([{}, {"helper": "ftp"}, {"helper": "irc"}])
        forwards.append(
            {"protocol": "tcp", "ports": f"{first}-{first + rng.randint(1, 9)}", "instance": guest, **helper}
            | rng.choice([{}, {"to_port": 80}, {"address": "203.0.113.200"}])
        )
    world.apply(
        settled=True,
        vpc_public_addresses=[
            {"address": f"203.0.113.{number}", "instance": guest} for number, guest in enumerate(guests, 1)
        ],
        vpc_port_forwards=forwards,
        vpc_nat_pools=rng.choice([[], POOLS]),
        vpc_networks=[
            {**network, "nat_helpers": rng.sample(["ftp", "sip", "tftp", "irc"], rng.randint(0, 4))}
            if network.get("nat")
            else network
            for network in world.networks
        ],
    )


@pytest.mark.parametrize("calls", [0, 1])
@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_a_router_that_is_a_hypervisor_too(tmp_path: Path, backend: str, calls: int) -> None:
    world = World(tmp_path, backend, router="host1", net2={"local_switching": "bridged"})
    own, four = "192.168.56.103", "198.51.100.54"
    try:
        world.apply(
            settled=True, **{**EVERYTHING, "vpc_public_addresses": [*PUBLIC, {"address": four, "instance": "vm4"}]}
        )
        # Where its filter sees what is switched, the kernel switches what comes back to the same bridge.
        world.hosts["host1"].sh(f"echo {calls} >/sys/class/net/br-net2/bridge/nf_call_iptables")
        for source, target, name, shown in (
            ("vm1", "vm1", ONE, ONE),
            ("vm1", "vm2", TWO, ONE),
            ("vm3", "vm2", TWO, own),
            ("vm4", "vm4", four, four),
            ("vm4", "vm1", ONE, four),
            ("vm1", "vm4", four, ONE),
            ("vm1", "vm5", FIVE, ONE),
            ("vm5", "vm1", ONE, FIVE),
            ("vm5", "vm4", four, FIVE),
        ):
            # A switch sends nothing back to where it comes from.
            expected = LOST if calls and source == target == "vm4" else shown
            assert world.ask(world.guests[source], world.guests[target], name, 80) == expected, (source, target)
        assert world.ask(world.internet, world.guests["vm4"], four, 80) == INTERNET
        assert world.ask(world.guests["vm4"], world.internet, INTERNET, 80) == four
        assert world.pairs("vm1 vm5", "vm5 vm1", "vm1 vm4", "vm4 vm3") == [LOST] * 4
        assert world.pairs("vm1 vm2", "vm5 vm4") == [address("vm1"), address("vm5")]
    finally:
        world.remove()


def _pool() -> set[str]:
    return {f"198.51.100.{number}" for number in (60, 61, 62)}


def _bound(world: World, own: str) -> str:
    """Who the internet sees when vm4 connects from one of its addresses."""
    with (
        closing(listen(world.internet, 8081)) as server,
        closing(connect(world.guests["vm4"], INTERNET, 8081, source=(own, 0))),
    ):
        peer, (shown, _port) = server.accept()
        peer.close()
        return str(shown)


def _datagram(source: Netns, target: Netns, name: str, port: int, at: int) -> str:
    """Send a datagram, and an answer back: the source that the receiver sees, or LOST."""
    with (
        closing(make_socket(target, socket.SOCK_DGRAM)) as server,
        closing(make_socket(source, socket.SOCK_DGRAM)) as client,
    ):
        server.bind(("", at))
        client.connect((name, port))
        client.send(b"?")
        try:
            _text, peer = server.recvfrom(10)
            server.sendto(b"!", peer)
            client.recv(10)
            return str(peer[0])
        except OSError:
            return LOST
