# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of plan and verify, as far as they tell of tunnels, filters and expectations."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import tables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter import texts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import expectations
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.test_plan import host

TUNNEL = {
    "name": "aws1-1",
    "outside_address": "203.0.113.10",
    "local_address": "203.0.113.10",
    "peer_outside_address": "198.51.100.1",
    "inside_address": "169.254.252.2",
    "peer_inside_address": "169.254.252.1",
}
CONNECTION = {
    "gateway": "vpngw",
    "vpc": "default",
    "bgp": {"customer_asn": 65000, "amazon_asn": 64512, "hold_time": 30},
    "announce": ["10.10.10.0/24"],
    "remote": ["10.20.0.0/16"],
    "mode": "active_active",
    "tunnels": [TUNNEL, {**TUNNEL, "name": "aws1-2", "local_address": "10.0.0.5"}],
}
SUMMARY: dict[str, Any] = {"networks": {}, "hosts": {}, "instances": {}}
ROLE = {"host": "vpngw", "role": "vpn_gateway", "state": "as planned", "objects": []}
PROBE = {"source": "vm1", "target": "guests", "sent": 4, "right": 4, "wrong": []}
UP = {
    "host": "vpngw",
    "name": "aws1-1",
    "peer": "198.51.100.1",
    "up": True,
    "verdict": "up",
    "reason": "",
    "esp": {"since": "2026-11-22T10:49:12Z"},
    "bgp": {"since": "2026-11-22T10:49:20Z", "accepted": ["10.20.0.0/16"], "advertised": ["10.10.10.0/24"]},
}
DOWN = {
    **UP,
    "name": "aws1-2",
    "up": False,
    "verdict": "IPsec up, BGP down",
    "reason": "Connect, notification sent: Hold Timer Expired",
    "bgp": {"since": None, "accepted": [], "advertised": []},
}
SILENT = {**UP, "up": False, "verdict": "no answer", "esp": None, "bgp": None}


def rows(text: str, title: str) -> list[str]:
    """The lines below the head of a table."""
    lines = text.split(f"{title}\n")[1].split("\n\n")[0].splitlines()
    return lines[2:]


def test_plan_without_connections_says_nothing_of_them() -> None:
    for summary in (SUMMARY, {**SUMMARY, "connections": {}}):
        assert "VPN" not in tables.of_plan(summary, {})


def test_plan_with_connections() -> None:
    text = tables.of_plan({**SUMMARY, "connections": {"aws1": CONNECTION}}, {})
    one, two = rows(text, "VPN connections")
    assert (
        one.split()
        == (
            "aws1 vpngw default aws1-1 203.0.113.10 -> 198.51.100.1 169.254.252.2 -> 169.254.252.1 65000 -> 64512"
            " active_active 10.10.10.0/24 10.20.0.0/16"
        ).split()
    )
    assert "10.0.0.5 (NAT: 203.0.113.10) -> 198.51.100.1" in two


def test_plan_of_a_static_connection() -> None:
    bare = {**TUNNEL, "inside_address": None, "peer_inside_address": None}
    static = {**CONNECTION, "bgp": None, "tunnels": [bare]}
    (row,) = rows(tables.of_plan({**SUMMARY, "connections": {"aws1": static}}, {}), "VPN connections")
    assert (
        row.split()
        == (
            "aws1 vpngw default aws1-1 203.0.113.10 -> 198.51.100.1 static active_active 10.10.10.0/24 10.20.0.0/16"
        ).split()
    )


def test_verify_without_tunnels_says_nothing_of_them() -> None:
    text, faults = tables.of_verify([ROLE], [PROBE])
    assert (faults, text.splitlines()[-1]) == (0, "1 roles compared, 4 packets sent: all as planned")
    assert "unnel" not in text


def test_verify_with_a_tunnel() -> None:
    text, faults = tables.of_verify([ROLE], [PROBE], [UP])
    assert (faults, text.splitlines()[-1]) == (0, "1 roles compared, 4 packets sent, 1 of 1 tunnels up: all as planned")
    (row,) = rows(text, "Tunnels, times in UTC")
    assert row.split("  ") == [
        "vpngw",
        "aws1-1",
        "198.51.100.1",
        "2026-11-22 10:49:12",
        "2026-11-22 10:49:20",
        "10.20.0.0/16",
        "10.10.10.0/24",
        "up",
    ]


def test_a_tunnel_that_is_not_up_is_a_fault() -> None:
    text, faults = tables.of_verify([ROLE], [PROBE], [UP, DOWN])
    assert (faults, text.splitlines()[-1]) == (1, "1 roles compared, 4 packets sent, 1 of 2 tunnels up: 1 faults")
    assert "IPsec up, BGP down: Connect, notification sent: Hold Timer Expired" in text


def test_a_tunnel_without_an_answer_is_a_fault() -> None:
    text, faults = tables.of_verify([], [], [SILENT])
    assert faults == 1
    assert rows(text, "Tunnels, times in UTC")[0].endswith("no answer")


def test_long_lists_of_prefixes_are_cut() -> None:
    many = {**UP, "bgp": {**UP["bgp"], "accepted": [f"10.20.{number}.0/24" for number in range(1000)]}}  # type: ignore[dict-item]
    text, _faults = tables.of_verify([], [], [many])
    assert "10.20.0.0/24; 10.20.1.0/24; 10.20.2.0/24; and 997 more" in text
    assert max(map(len, text.splitlines())) < 250


GROUPED: dict[str, Any] = {
    "vpc_networks": [
        {"name": "net1", "cidr": "10.10.10.0/24", "nat": True, "acl": {"ingress": []}},
        {"name": "net2", "vpc": "other", "cidr": "10.10.20.0/24"},
    ],
    "vpc_instances": [
        {"name": "vm1", "hypervisor": "host1", "network": "net1", "security_groups": ["web", "shut"]},
        {"name": "vm2", "hypervisor": "host1", "network": "net1"},
        {"name": "vm3", "hypervisor": "host2", "network": "net2"},
    ],
    "vpc_security_groups": [
        {"name": "shut", "egress": [], "stateful": False, "log": True},
        {
            "name": "web",
            "ingress": [
                {"protocol": "tcp", "ports": [80, "8000-8010"], "from": ["office", "10.0.0.0/8"]},
                {"protocol": "icmp", "type": "echo-request", "code": 0, "action": "reject"},
                {"protocol": "gre"},
            ],
        },
    ],
    "vpc_prefix_lists": [{"name": "office", "prefixes": ["203.0.113.0/24"]}],
    "vpc_peerings": [{"name": "p", "vpcs": ["default", "other"]}],
    "vpc_public_addresses": [{"address": "198.51.100.50", "instance": "vm1"}],
    "vpc_port_forwards": [{"protocol": "tcp", "ports": 8080, "instance": "vm2", "to_port": 80}],
    "vpc_nat_pools": [{"name": "pool", "addresses": "198.51.100.60-198.51.100.61", "networks": ["net1"]}],
    "vpc_expectations": [
        {"from": "vm2", "to": "vm1", "expect": "drop"},
        {"from": "vm3", "to": "vm1", "port": "tcp/80", "expect": "accept"},
        {"from": "host1", "to": "vm3", "expect": "accept"},
    ],
    "hosts": {
        "host1": {**host(103, "hypervisors"), "vpc_antispoof": False},
        "host2": host(104, "hypervisors"),
        "router": host(101, "routers"),
    },
}


def grouped() -> dict[str, Any]:
    return Plan(parse(GROUPED), "id").summary()


def test_plan_with_filters() -> None:
    text = tables.of_plan(grouped(), {})
    words = [row.split() for row in rows(text, "Security groups")]
    assert words[0] == "shut no yes 1 ingress everything anybody drop".split()
    assert words[1] == "egress everything anybody drop".split()
    assert words[2] == "web yes no 1 ingress[0] tcp 80 8000-8010 office, 10.0.0.0/8 accept".split()
    assert words[3] == "ingress[1] icmp type 8 code 0 anybody reject".split()
    assert words[4] == "ingress[2] protocol 47 anybody accept".split()
    assert words[5] == "egress everything anybody accept".split()
    assert rows(text, "Guests")[0].split()[-2:] == ["web", "shut"]
    assert [row.split() for row in rows(text, "Network ACLs")] == [
        "net1 ingress everything anybody drop".split(),
        "egress everything anybody accept".split(),
    ]
    assert rows(text, "Peerings")[0].split() == ["p", "default", "other", "net1", "net2"]
    assert [row.split() for row in rows(text, "Public addresses")] == [
        ["198.51.100.50", "all", "vm1", "same"],
        ["router's", "tcp", "8080", "vm2", "80"],
    ]
    assert rows(text, "NAT pools")[0].split() == ["pool", "198.51.100.60-198.51.100.61", "net1"]


def test_warnings_name_open_guests_and_hosts_without_a_guard() -> None:
    guests, guards = texts.warnings(grouped())
    assert guests.startswith("2 guests are in no security group, and open: vm2, vm3.")
    assert "vpc_antispoof is off on host1" in guards
    assert texts.warnings(Plan(parse({**GROUPED, **BARE}), "id").summary()) == []


BARE: dict[str, Any] = {
    "vpc_security_groups": [],
    "vpc_instances": [],
    "vpc_expectations": [],
    "vpc_port_forwards": [],
    "vpc_public_addresses": [],
}


def test_expectations_that_are_not_fulfilled_come_first() -> None:
    results = expectations.of_summary(grouped())
    found = [row.split()[:2] for row in rows(tables.of_expectations(results), "Expectations")]
    assert found == [["vm3", "vm1"], ["vm2", "vm1"], ["host1", "vm3"]]


def proved(path: int, outcome: str, fault: str = "", sent: bool = True) -> dict[str, Any]:
    return {"path": f"vpc_expectations[{path}]", "text": "x", "sent": sent, "outcome": outcome, "fault": fault}


def test_verify_counts_what_is_proved_and_what_is_not() -> None:
    results = expectations.of_summary(grouped())
    text, faults = tables.of_verify([], [], (), results, [proved(0, "silent"), proved(2, "", "nobody", sent=False)])
    assert "1 of 3 expectations proved, 1 not proved: 1 faults" in text
    assert faults == 1  # the plan itself does not fulfil one of them
    assert [row.split("  ")[0] for row in rows(text, "Expectations, proved with packets")] == [
        "WRONG",
        "not proved",
        "proved",
    ]
    text, faults = tables.of_verify([], [], (), results[::2], [proved(0, "answered", "is bad"), proved(2, "answered")])
    assert faults == 1
    assert rows(text, "Packets that went wrong") == ["x: is bad"]
    # On real machines nothing is proved, and nothing is wrong.
    text, faults = tables.of_verify([], [], (), results[::2])
    assert (faults, "0 of 2 expectations proved, 2 not proved: all as planned" in text) == (0, True)
