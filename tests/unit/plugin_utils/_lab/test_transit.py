# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the internet of a lab carries between VPN gateways and their endpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import transit
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.aws import connection
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.plugin_utils._lab.test_aws import CONNECTION, tunnel

NATTED = connection.read({"aws1": CONNECTION})
DIRECT = connection.read(
    {"aws1": {**CONNECTION, "tunnels": [tunnel(1, local_address="203.0.113.10"), tunnel(2)]}},
)
UNDERLAY = ["192.168.56.102", "192.168.56.103"]


GATEWAY, STRANGER, ENDPOINT = "192.168.56.102", "192.168.56.103", "192.0.2.10"


def load(netns: Netns, rules: str) -> None:
    """Let nftables read rules."""
    netns.sh(f"nft -f - <<'END'\n{rules}END")


def test_addresses_that_are_no_underlay_addresses() -> None:
    assert transit.addresses(NATTED, UNDERLAY) == {"192.0.2.10", "192.0.2.20"}
    assert transit.addresses(DIRECT, UNDERLAY) == {"192.0.2.10", "192.0.2.20", "203.0.113.10"}
    assert transit.addresses([], UNDERLAY) == set()


def test_rules_of_one_lab_replace_those_of_another(netns: Netns) -> None:
    for connections in (NATTED, DIRECT, NATTED):
        load(netns, transit.rules(connections))
    found = json.loads(netns.sh("nft -j list table ip lab"))["nftables"]
    chains = {item["chain"]["name"]: item["chain"] for item in found if "chain" in item}
    assert chains["forward"]["policy"] == "drop"
    maps = {item["map"]["name"]: item["map"].get("elem", []) for item in found if "map" in item}
    assert len(maps["inside"]) == len(maps["outside"]) == 2
    load(netns, transit.rules([]))
    assert "table" not in netns.sh("nft list tables")


def test_only_what_is_behind_nat_is_translated(netns: Netns) -> None:
    load(netns, transit.rules(DIRECT))
    assert netns.sh("nft list map ip lab inside").count("203.0.113.10 : 192.168.56.102") == 1
    assert "192.0.2.10" not in netns.sh("nft list map ip lab inside")
    assert "203.0.113.10 . 192.0.2.10" in netns.sh("nft list set ip lab tunnels")


class Wire:
    """The internet, a gateway and another host of the underlay, and an endpoint."""

    def __init__(self, internet: Netns) -> None:
        self.spaces = {"internet": internet}
        for name in ("gateway", "stranger", "endpoint"):
            self.spaces[name] = Netns()

    def __getitem__(self, name: str) -> Netns:
        return self.spaces[name]

    def build(self) -> None:
        internet = self["internet"]
        internet.sh("ip link add eth0 type bridge; ip address add 192.168.56.254/24 dev eth0; ip link set eth0 up")
        internet.sh("echo 1 >/proc/sys/net/ipv4/ip_forward")
        for name, address in (("gateway", GATEWAY), ("stranger", STRANGER), ("endpoint", ENDPOINT)):
            internet.sh(f"ip link add {name} type veth peer name eth0 netns {self[name].name}")
            internet.sh(f"ip link set {name} master eth0 up")
            self[name].sh(f"ip address add {address}/32 dev eth0; ip link set eth0 up")
            self[name].sh("ip route add 192.168.56.254 dev eth0; ip route add default via 192.168.56.254")
        internet.sh(f"ip route add {ENDPOINT} dev eth0")

    def reaches(self, name: str, address: str) -> bool:
        """Whether an answer comes from an address."""
        return "1 received" in self[name].sh(f"ping -c1 -W2 {address} || true")

    def remove(self) -> None:
        for name in ("gateway", "stranger", "endpoint"):
            self[name].remove()


@pytest.fixture
def wire(netns: Netns) -> Iterator[Wire]:
    found = Wire(netns)
    try:
        found.build()
        yield found
    finally:
        found.remove()


def test_the_internet_carries_only_tunnels(wire: Wire) -> None:
    assert wire.reaches("stranger", ENDPOINT), "without rules everything passes"
    load(wire["internet"], transit.rules(NATTED))
    assert wire.reaches("gateway", ENDPOINT)
    assert not wire.reaches("stranger", ENDPOINT)


def test_the_endpoint_sees_the_outside_address(wire: Wire) -> None:
    endpoint = wire["endpoint"]
    endpoint.sh("nft add table ip t; nft 'add chain ip t c { type filter hook input priority 0; policy drop; }'")
    assert not wire.reaches("gateway", ENDPOINT)
    endpoint.sh("nft add rule ip t c ip saddr 203.0.113.10 accept")
    load(wire["internet"], transit.rules(DIRECT))
    assert not wire.reaches("gateway", ENDPOINT), "no tunnel ends in that address"
    load(wire["internet"], transit.rules(NATTED))
    assert wire.reaches("gateway", ENDPOINT)
    assert wire.reaches("endpoint", "203.0.113.10")


def test_a_tunnel_is_black_holed_by_its_endpoint(wire: Wire) -> None:
    load(wire["internet"], transit.rules(NATTED))
    assert wire.reaches("gateway", ENDPOINT)
    wire["internet"].sh(f"nft add element ip lab blackhole '{{ {ENDPOINT} }}'")
    assert not wire.reaches("gateway", ENDPOINT)
    wire["internet"].sh(f"nft delete element ip lab blackhole '{{ {ENDPOINT} }}'")
    assert wire.reaches("gateway", ENDPOINT)
