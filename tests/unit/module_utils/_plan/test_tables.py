# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of plan and verify, as far as they tell of tunnels."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import tables

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
