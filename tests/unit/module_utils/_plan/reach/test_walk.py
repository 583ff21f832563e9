# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom, and what decides it, in a model with everything."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import expectations, proof, question, texts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.question import Answer, Question, ask
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import World
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.test_plan import host

NETWORKS: list[dict[str, Any]] = [
    {"name": "web", "vpc": "shop", "cidr": "10.10.10.0/24", "cidr6": "2001:db8:10::/64", "nat": True},
    {
        "name": "db",
        "vpc": "shop",
        "cidr": "10.10.20.0/24",
        "acl": {
            "ingress": [
                {"protocol": "tcp", "ports": "5432-5433", "from": "10.10.10.0/24"},
                {"protocol": "icmp"},
            ],
            "egress": [{"protocol": "tcp", "ports": "32768-60999"}],
        },
    },
    {"name": "pool", "vpc": "shop", "cidr": "10.10.30.0/24", "nat": True},
    {"name": "lab", "vpc": "lab", "cidr": "10.20.10.0/24", "nat": True},
    {"name": "lab2", "vpc": "lab", "cidr": "10.20.20.0/24", "cidr6": "2001:db8:20::/64"},
    {
        "name": "flat",
        "cidr": "172.16.0.0/24",
        "bridge": "xenbr0",
        "uplinks": ["eth9"],
        "gateway": "172.16.0.1",
    },
]
GROUPS: list[dict[str, Any]] = [
    {
        "name": "web",
        "ingress": [
            {"protocol": "tcp", "ports": [80, 443]},
            {"protocol": "icmp", "type": "echo-request", "from": "0.0.0.0/0"},
            {"protocol": "tcp", "ports": 25, "action": "reject"},
        ],
    },
    {"name": "ssh", "ingress": [{"protocol": "tcp", "ports": 22, "from": "office"}]},
    {"name": "db", "ingress": [{"protocol": "tcp", "ports": 5432, "from": "web"}, {"protocol": "icmp"}], "egress": []},
    {
        "name": "raw",
        "stateful": False,
        "ingress": [{"protocol": "udp", "ports": 53}],
        "egress": [{"protocol": "udp", "ports": [53, "32768-60999"]}],
    },
    {"name": "shut", "ingress": []},
]
INSTANCES: list[dict[str, Any]] = [
    {"name": "web1", "hypervisor": "host1", "network": "web", "address": "10.10.10.10", "security_groups": ["web"]},
    {
        "name": "web2",
        "hypervisor": "host2",
        "network": "web",
        "address": "10.10.10.11",
        "security_groups": ["ssh", "web"],
    },
    {"name": "db1", "hypervisor": "host2", "network": "db", "address": "10.10.20.10", "security_groups": ["db"]},
    {"name": "raw1", "hypervisor": "host1", "network": "web", "address": "10.10.10.20", "security_groups": ["raw"]},
    {"name": "raw2", "hypervisor": "host2", "network": "web", "address": "10.10.10.21", "security_groups": ["raw"]},
    {"name": "lab1", "hypervisor": "host1", "network": "lab", "address": "10.20.10.10"},
    {"name": "pool1", "hypervisor": "host1", "network": "pool", "address": "10.10.30.10"},
    {"name": "flat1", "hypervisor": "host1", "network": "flat", "address": "172.16.0.10", "security_groups": ["shut"]},
    {"name": "flat2", "hypervisor": "host2", "network": "flat", "address": "172.16.0.11"},
    {
        "name": "two",
        "hypervisor": "host2",
        "interfaces": [
            {"network": "lab2", "address": "10.20.20.10"},
            {"network": "lab", "address": "10.20.10.11", "security_groups": ["shut"]},
        ],
    },
]
VARIABLES: dict[str, Any] = {
    "vpc_networks": NETWORKS,
    "vpc_instances": INSTANCES,
    "vpc_security_groups": GROUPS,
    "vpc_prefix_lists": [{"name": "office", "prefixes": ["203.0.113.0/24"]}],
    "vpc_peerings": [{"name": "s-l", "vpcs": ["shop", "lab"], "networks": ["web", "lab"]}],
    "vpc_public_addresses": [{"address": "198.51.100.50", "instance": "web1"}],
    "vpc_port_forwards": [
        {"address": "198.51.100.51", "protocol": "tcp", "ports": "8000-8010", "instance": "web2", "to_port": 80},
        {"protocol": "udp", "ports": 53, "instance": "raw1"},
    ],
    "vpc_nat_pools": [{"name": "p", "addresses": "198.51.100.60", "networks": ["pool"]}],
    "vpc_vpn_connections": [],
}
HOSTS = {"host1": host(103, "hypervisors"), "host2": host(104, "hypervisors"), "router": host(101, "routers")}


def made(**changes: Any) -> World:
    return World(Plan(parse({**VARIABLES, "hosts": HOSTS, **changes}), "id").summary())


WORLD = made()
GROUP, ACL = "vpc_security_groups[{}]", "vpc_networks[1].acl"


def answer(source: str, target: str, port: str = "ping", family: int = 4, expected: bool | None = None) -> Answer:
    return ask(WORLD, Question(source, target, *question.parse_port(port), family), expected)


CASES = [
    # A rule of the target, its neighbours by port and protocol, and the group's end.
    ("web2 web1 tcp/80", "accept", "vpc_security_groups[0].ingress[0]"),
    ("web2 web1 tcp/443", "accept", "vpc_security_groups[0].ingress[0]"),
    ("web2 web1 tcp/81", "drop", "vpc_security_groups[0].ingress"),
    ("web2 web1 udp/80", "drop", "vpc_security_groups[0].ingress"),
    ("web2 web1 ping", "accept", "vpc_security_groups[0].ingress[1]"),
    ("web2 web1 tcp/25", "reject", "vpc_security_groups[0].ingress[2]"),
    # Several groups add up, in order.
    ("web1 web2 tcp/80", "accept", "vpc_security_groups[0].ingress[0]"),
    ("web1 web2 tcp/22", "drop", "vpc_security_groups[1].ingress, vpc_security_groups[0].ingress"),
    # Groups as peers, egress of the source, and ACLs of the networks.
    ("web1 db1 tcp/5432", "accept", "vpc_security_groups[2].ingress[0]"),
    ("web1 db1 tcp/5433", "drop", "vpc_security_groups[2].ingress"),
    ("lab1 db1 tcp/5432", "drop", "vpc_networks[lab].vpc"),
    ("db1 web1 tcp/80", "drop", "vpc_security_groups[2].egress"),
    ("web1 db1 ping", "drop", f"{ACL}.egress"),
    ("pool1 db1 ping", "drop", f"{ACL}.egress"),
    ("pool1 db1 tcp/5432", "drop", "vpc_security_groups[2].ingress"),
    # Who is in no group is not filtered; VPCs are, but where peered, and for the networks that are named.
    ("web1 lab1 tcp/22", "accept", "vpc_security_groups[0]"),
    ("lab1 web1 tcp/80", "accept", "vpc_security_groups[0].ingress[0]"),
    ("lab1 pool1 tcp/80", "drop", "vpc_networks[lab].vpc"),
    ("pool1 lab1 tcp/80", "drop", "vpc_networks[pool].vpc"),
    # Stateless groups: the answer needs a rule of its own.
    ("raw1 raw2 udp/53", "drop", "vpc_security_groups[3].ingress"),
    ("lab1 raw2 udp/53", "accept", "vpc_security_groups[3].ingress[0]"),
    ("lab1 raw2 udp/54", "drop", "vpc_security_groups[3].ingress"),
    # Interfaces: the one next to the target is asked from, and each has its groups.
    ("two lab1 tcp/22", "accept", "vpc_security_groups[4]"),
    ("lab1 two tcp/22", "accept", ""),
    ("lab1 two.1 tcp/22", "drop", "vpc_security_groups[4].ingress"),
    # Addresses of nobody, of somebody, and prefixes.
    ("web1 10.10.10.77 ping", "drop", "vpc_networks[web]"),
    ("web1 10.10.20.10 tcp/5432", "accept", "vpc_security_groups[2].ingress[0]"),
    ("web1 10.10.20.0/24 tcp/5432", "accept", "vpc_security_groups[2].ingress[0]"),
    ("10.20.0.0/16 web1 tcp/81", "drop", "vpc_security_groups[0].ingress"),
    ("10.10.10.0/24 db1 tcp/5432", "mixed", "vpc_security_groups[3].egress"),
    # The internet, out and in.
    ("web1 internet tcp/443", "accept", "vpc_security_groups[0]"),
    ("db1 internet udp/53", "drop", "vpc_security_groups[2].egress"),
    ("pool1 internet ping", "accept", "vpc_nat_pools[0]"),
    ("two.0 internet ping", "drop", "vpc_networks[lab2].nat"),
    ("internet web1 tcp/443", "accept", "vpc_security_groups[0].ingress[0]"),
    ("internet web1 tcp/22", "drop", "vpc_security_groups[0].ingress"),
    ("internet web2 tcp/80", "accept", "vpc_security_groups[0].ingress[0]"),
    ("internet web2 tcp/443", "drop", "vpc_networks[web]"),
    ("internet db1 tcp/5432", "drop", "vpc_networks[db]"),
    ("203.0.113.0/24 web2 tcp/22", "drop", "vpc_networks[web]"),
    ("web2 198.51.100.50 tcp/443", "accept", "vpc_security_groups[0].ingress[0]"),
    ("web1 198.51.100.51 tcp/8000", "accept", "vpc_security_groups[0].ingress[0]"),
    ("web1 198.51.100.51 tcp/8001", "drop", "vpc_security_groups[1].ingress, vpc_security_groups[0].ingress"),
    ("web1 198.51.100.51 tcp/8011", "drop", "vpc_port_forwards"),
    # A public address is reached from any VPC; the router answers a ping to one that leads nowhere.
    ("two.0 198.51.100.50 tcp/443", "accept", "vpc_security_groups[0].ingress[0]"),
    ("host1 198.51.100.50 tcp/443", "unknown", "vpc_public_addresses[0]"),
    ("host1 198.51.100.50 tcp/444", "drop", "vpc_security_groups[0].ingress"),
    ("lab1 198.51.100.51 ping", "accept", ""),
    ("lab1 198.51.100.60 ping", "accept", ""),
    ("lab1 198.51.100.60 tcp/80", "drop", "vpc_port_forwards"),
    ("lab1 192.168.56.101 udp/53", "accept", "vpc_security_groups[3].ingress[0]"),
    # Hosts.
    ("host1 web1 tcp/80", "accept", "vpc_security_groups[0].ingress[0]"),
    ("host1 web1 tcp/81", "drop", "vpc_security_groups[0].ingress"),
    ("router web2 ping", "accept", "vpc_security_groups[0].ingress[1]"),
    ("db1 host2 tcp/22", "drop", "vpc_security_groups[2].egress"),
    ("lab1 host2 tcp/22", "accept", ""),
    ("web1 host2 tcp/22", "unknown", "vpc_public_addresses[0]"),
    ("host1 host2 tcp/22", "unknown", ""),
    # Flat networks: who is next to each other is known, what their gateways do is not.
    ("flat1 flat2 tcp/22", "accept", "vpc_security_groups[4]"),
    ("flat2 flat1 tcp/22", "drop", "vpc_security_groups[4].ingress"),
    ("flat2 internet tcp/22", "accept", ""),
    ("flat2 web1 tcp/80", "unknown", "vpc_networks[web]"),
    ("flat2 web1 tcp/81", "drop", "vpc_security_groups[0].ingress"),
]


@pytest.mark.parametrize("asked, verdict, path", CASES)
def test_one_question(asked: str, verdict: str, path: str) -> None:
    found = answer(*asked.split())
    assert (found.verdict, found.path) == (verdict, path), found.decided


def test_a_rule_for_ipv4_says_nothing_of_ipv6() -> None:
    assert answer("web2", "web1", "ping", 6).verdict == "drop"
    assert answer("web2", "web1", "ping", 0).verdict == "mixed"
    assert answer("web2", "web1", "tcp/80", 0).verdict == "accept"


def test_from_the_internet_ipv6_must_be_closed_and_need_not_be_open() -> None:
    asked = Question("internet", "web1", *question.parse_port("tcp/443"), 0)
    assert [packet.family for packet in ask(WORLD, asked, True).packets] == [4]
    assert [packet.family for packet in ask(WORLD, asked, False).packets] == [4, 6]


SIX: dict[str, Any] = {
    "vpc_networks": [
        {"name": "masked", "cidr6": "2001:db8:61::/64", "nat": True},
        {"name": "routed", "cidr6": "2001:db8:62::/64"},
        {"name": "unique", "cidr6": "fd00:63::/64"},
        {"name": "four", "cidr": "192.0.2.0/24"},
    ],
    "vpc_instances": [
        {"name": name, "hypervisor": "host1", "network": name, "security_groups": ["web"]}
        for name in ("masked", "routed", "unique", "four")
    ],
    "vpc_security_groups": [{"name": "web", "ingress": [{"protocol": "tcp", "ports": 80}]}],
    "vpc_peerings": [],
    "vpc_public_addresses": [],
    "vpc_port_forwards": [],
    "vpc_nat_pools": [],
}


@pytest.mark.parametrize(
    "source, target, port, verdict, routed",
    [
        # Others may have a route to the router for addresses that are not private; our filters decide all the same.
        ("routed", "internet", "tcp/80", "unknown", True),
        ("internet", "routed", "tcp/80", "unknown", True),
        ("internet", "routed", "tcp/81", "drop", True),
        ("four", "internet", "tcp/80", "unknown", True),
        ("internet", "four", "tcp/80", "unknown", True),
        ("masked", "internet", "tcp/80", "accept", False),
        ("internet", "masked", "tcp/80", "unknown", True),
        ("internet", "masked", "tcp/81", "drop", True),
        ("unique", "internet", "tcp/80", "drop", False),
        ("internet", "unique", "tcp/80", "drop", False),
    ],
)
def test_the_internet_without_translation(source: str, target: str, port: str, verdict: str, routed: bool) -> None:
    asked = {"from": source, "to": target, "port": port, "expect": "drop" if verdict == "drop" else "accept"}
    summary = Plan(parse({**SIX, "hosts": HOSTS, "vpc_expectations": [asked]}), "id").summary()
    (found,) = expectations.of_summary(summary)
    assert (found.answer.verdict, found.right) == (verdict, None if verdict == "unknown" else True)
    (made,) = proof.attempts(World(summary), [found])
    own = (made.address if source == "internet" else made.source_address,)
    assert made.routed == (own if routed else ())
    assert made.led == (routed or source != "internet")
    assert made.verdict == ("accept" if verdict == "unknown" else verdict)


def test_a_host_whose_ipv6_address_is_link_local() -> None:
    world = made(**SIX)
    for source, target in (("host2", "routed"), ("routed", "host1"), ("routed", "router")):
        found = ask(world, Question(source, target, None, 0, 0))
        name = source if source in HOSTS else target
        assert (found.verdict, found.reason) == (
            "drop",
            f"{name} has only a link-local IPv6 address, which others cannot ask: see vpc_underlay_address6",
        )
    # Its own guests it asks from there.
    assert ask(world, Question("host1", "routed", 6, 80, 0)).verdict == "accept"
    assert ask(world, Question("four", "routed", None, 0, 0)).reason == "they have no address family in common"


def test_the_bridges_own_address() -> None:
    """Every hypervisor has it, in both families."""
    networks = [{**NETWORKS[0], "dhcp": True}]
    instances = [{"name": "a", "hypervisor": "host1", "network": "web"}]
    plain = {key: [] for key in VARIABLES if key not in ("vpc_networks", "vpc_instances")}
    world = made(**{**plain, "vpc_networks": networks, "vpc_instances": instances})
    for address in ("10.10.10.2", "2001:db8:10::2"):
        found = ask(world, Question("a", address, None, 0, 0))
        assert (found.verdict, found.packets[0].target.kind) == ("accept", "host")


def test_what_no_plan_knows_is_said() -> None:
    way = answer("flat2", "internet").packets[0].way
    assert way.unknown == ("what the gateway 172.16.0.1 of the flat network flat does",)
    assert (
        "whether web1 has a firewall inside, and a program on that port"
        in answer("web2", "web1", "tcp/80").packets[0].way.unknown
    )
    assert answer("host1", "web1").packets[0].way.unknown[0] == "the firewall that host1 may have besides ours"


def test_the_source_that_a_target_sees() -> None:
    def seen(*asked: str) -> str | None:
        packet = answer(*asked).packets[0]
        return proof._text(packet.family, packet.way.seen)

    assert seen("web2", "web1", "tcp/80") == "10.10.10.11"
    assert seen("web1", "internet") == "198.51.100.50"
    assert seen("pool1", "internet") == "198.51.100.60"
    assert seen("lab1", "internet") == "192.168.56.101"
    assert seen("lab1", "host2", "tcp/22") == "192.168.56.101"
    assert seen("host1", "web1") == "10.10.10.2"
    assert seen("host1", "web2", "tcp/80") == "192.168.56.103"


@pytest.mark.parametrize(
    "source, target, port, message",
    [
        ("web9", "web1", "ping", "web9 is not allowed"),
        ("web1.1", "web2", "ping", "web1.1 is not allowed"),
        ("web1", "web1", "ping", "web1 is both ends"),
        ("internet", "10.9.9.9", "ping", "neither internet nor 10.9.9.9"),
        ("10.10.10.1/24", "web1", "ping", "not allowed"),
        ("web1", "web2", "tcp/0", "tcp/0 is not allowed"),
        ("web1", "web2", "tcp/65536", "tcp/65536 is not allowed"),
        ("web1", "web2", "sctp/1", "sctp/1 is not allowed"),
    ],
)
def test_words_that_mean_nothing_are_refused(source: str, target: str, port: str, message: str) -> None:
    def read() -> None:
        question.check(WORLD, source)
        question.check(WORLD, target)
        question.check_pair(WORLD, source, target)
        question.parse_port(port)

    with pytest.raises(ValueError, match=message):
        read()


EXPECTATIONS = [
    {"from": "web1", "to": "db1", "port": "tcp/5432", "expect": "accept"},
    {"from": "web1", "to": "db1", "port": "tcp/5433", "expect": "accept"},
    {"from": "internet", "to": "web1", "port": "tcp/443", "expect": "drop"},
    {"from": "flat2", "to": "web1", "port": "tcp/80", "expect": "drop"},
    {"from": "203.0.113.0/24", "to": "web1", "port": "tcp/443", "expect": "accept"},
]


def test_expectations() -> None:
    summary = Plan(parse({**VARIABLES, "hosts": HOSTS, "vpc_expectations": EXPECTATIONS}), "id").summary()
    found = expectations.of_summary(summary)
    assert [item.right for item in found] == [True, False, False, None, True]
    assert expectations.wrong(found) == [
        {
            "path": "vpc_expectations[1]",
            "message": "web1 to db1 tcp/5433 is expected to be accept, but is drop: vpc_security_groups[2].ingress: "
            "no ingress rule of group db of db1 is for it",
        },
        {
            "path": "vpc_expectations[2]",
            "message": "internet to web1 tcp/443 is expected to be drop, but is mixed: "
            "vpc_security_groups[0].ingress[0]: rule of group web of web1, for internet to web1 in IPv4",
        },
    ]
    assert expectations.undecided(found) == ["what others do decides 1 of the expectations: flat2 to web1 tcp/80"]
    assert expectations.of_summary(WORLD_SUMMARY) == []
    lines = texts.of_answer(found[1]).splitlines()
    assert lines[0] == "web1 to db1 tcp/5433: drop"
    assert lines[1].startswith("decided by vpc_security_groups[2].ingress: ")


WORLD_SUMMARY = Plan(parse({**VARIABLES, "hosts": HOSTS}), "id").summary()


def test_the_packets_that_prove_expectations() -> None:
    summary = Plan(parse({**VARIABLES, "hosts": HOSTS, "vpc_expectations": EXPECTATIONS}), "id").summary()
    world = World(summary)
    by_path: dict[str, list[proof.Attempt]] = {}
    for item in proof.attempts(world, expectations.of_summary(summary, world)):
        by_path.setdefault(item.path, []).append(item)
    assert list(by_path) == [f"vpc_expectations[{index}]" for index in range(len(EXPECTATIONS))]
    (one,) = by_path["vpc_expectations[0]"]
    assert (one.source, one.source_address, one.address, one.verdict) == (
        "vm-web1",
        "10.10.10.10",
        "10.10.20.10",
        "accept",
    )
    assert one.listen == ("vm-db1", "10.10.20.10", 5432)
    (one,) = by_path["vpc_expectations[4]"]
    assert (one.source, one.lent, one.address) == ("internet", ("203.0.113.0",), "198.51.100.50")
    assert one.listen == ("vm-web1", "10.10.10.10", 443)
    assert one.led


def test_an_inventory_that_uses_none_of_it_has_none_of_it() -> None:
    plain = Plan(parse({"vpc_networks": NETWORKS[:1], "vpc_instances": [
        {"name": "a", "hypervisor": "host1", "network": "web"}], "hosts": HOSTS}), "id").summary()  # fmt: skip
    assert set(plain) == {"format", "id", "hosts", "networks", "instances", "connections"}
    assert "security_groups" not in plain["instances"]["a"]["interfaces"][0]
    assert "acl" not in plain["networks"]["web"]
