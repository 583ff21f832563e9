# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets that prove a plan."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import expect
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.expect import Probe
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.test_plan import NETWORKS, inventory, plan


def guests(count: int) -> list[dict[str, str]]:
    return [{"name": f"g{number:04}", "hypervisor": "host1", "network": "net1"} for number in range(count)]


def test_every_pair_is_asked_both_ways_in_each_family() -> None:
    probes = expect.of_guests(plan(vpc_instances=guests(4)).summary())
    pairs = [probe for probe in probes if probe.target == "guests"]
    assert len(pairs) == 4 * 3 * 2
    assert {probe.expect for probe in pairs} == {"reach"}


def test_what_must_not_pass_is_asked_too() -> None:
    summary = plan(
        vpc_instances=[
            {"name": "natted", "hypervisor": "host1", "network": "net1", "address": "10.10.10.254"},
            {"name": "private", "hypervisor": "host1", "network": "net2", "address": "10.10.20.9"},
        ]
    ).summary()
    probes = expect.of_guests(summary)
    assert Probe("natted", "unused address", "10.10.10.253", "ping", "blocked") in probes
    assert Probe("natted", "unused address", "2001:db8:10:0:ffff:ffff:ffff:ffff", "ping", "blocked") in probes
    assert Probe("natted", "internet", "198.51.100.1", "http", "reach", "192.168.56.101") in probes
    assert Probe("natted", "internet", "2001:db8:ffff::1", "ping", "reach") in probes
    assert Probe("private", "internet", "198.51.100.1", "ping", "blocked") in probes
    assert not [probe for probe in probes if probe.source == "private" and probe.kind == "http"]


def test_other_vpcs_must_not_answer() -> None:
    networks = [NETWORKS[0], {**NETWORKS[1], "vpc": "other"}]
    instances = [
        {"name": "a", "hypervisor": "host1", "network": "net1", "address": "10.10.10.9"},
        {"name": "b", "hypervisor": "host1", "network": "net2", "address": "10.10.20.9"},
    ]
    probes = expect.of_guests(plan(vpc_networks=networks, vpc_instances=instances).summary())
    assert not [probe for probe in probes if probe.target == "guests"]
    assert Probe("a", "other VPCs", "10.10.20.9", "ping", "blocked") in probes
    assert Probe("b", "other VPCs", "10.10.10.9", "ping", "blocked") in probes


def test_the_number_of_packets_grows_with_the_guests_not_their_square() -> None:
    few, many = (len(expect.of_guests(plan(vpc_instances=guests(count)).summary())) for count in (60, 120))
    assert many == 2 * few


def test_a_host_without_routable_ipv6_asks_only_its_own_guests_over_ipv6() -> None:
    instances = [*guests(1), {"name": "far", "hypervisor": "host2", "network": "net1"}]
    hosts = {**inventory()["hosts"]}
    six = {
        probe.target for probe in expect.of_host(plan(vpc_instances=instances).summary(), "host1") if ":" in probe[2]
    }
    assert six == {"own guests"}
    hosts["host1"] = {**hosts["host1"], "vpc_underlay_address6": "2001:db8:56::103"}
    summary = plan(vpc_instances=instances, hosts=hosts).summary()
    six = {probe.target for probe in expect.of_host(summary, "host1") if ":" in probe[2]}
    assert six == {"own guests", "guests elsewhere"}


def test_a_host_asks_its_own_guests_first() -> None:
    summary = plan(vpc_instances=guests(3)).summary()
    assert {probe.target for probe in expect.of_host(summary, "host1")} == {"own guests"}
    assert {probe.target for probe in expect.of_host(summary, "router")} == {"guests elsewhere"}
    assert len(expect.of_host(plan(vpc_instances=guests(200)).summary(), "router")) <= 2 * expect.HOST_PROBES


def test_what_groups_and_acls_stop_must_not_answer() -> None:
    instances = [
        {"name": "open", "hypervisor": "host1", "network": "net1", "address": "10.10.10.9"},
        {
            "name": "shut",
            "hypervisor": "host1",
            "network": "net1",
            "address": "10.10.10.10",
            "security_groups": ["shut"],
        },
    ]
    groups = [{"name": "shut", "egress": [{"protocol": "tcp", "ports": 80}]}]
    summary = plan(vpc_instances=instances, vpc_security_groups=groups).summary()
    probes = expect.of_guests(summary)
    assert Probe("open", "guests behind filters", "10.10.10.10", "ping", "blocked") in probes
    assert Probe("shut", "guests behind filters", "10.10.10.9", "ping", "blocked") in probes
    assert Probe("shut", "gateway", "10.10.10.1", "ping", "blocked") in probes
    assert Probe("shut", "gateway", "fe80::1%eth0", "ping", "blocked") in probes
    assert Probe("shut", "internet", "198.51.100.1", "ping", "blocked") in probes
    assert Probe("shut", "internet", "198.51.100.1", "http", "reach", "192.168.56.101") in probes
    assert Probe("open", "internet", "198.51.100.1", "ping", "reach") in probes
    outcomes = {probe.address: probe.expect for probe in expect.of_host(summary, "host1")}
    assert outcomes["10.10.10.10"] == "blocked"
    assert outcomes["10.10.10.9"] == "reach"
