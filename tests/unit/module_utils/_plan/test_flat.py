# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat networks: on bridges that others made, of which hypervisors and routers are told nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import expect, tables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.expect import Probe
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.test_plan import (
    GUESTS,
    NETWORKS,
    everything,
    host,
    inventory,
    plan,
)

LAN = {
    "name": "lan",
    "bridge": "xenbr0",
    "uplinks": ["peth0"],
    "cidr": "192.168.56.0/24",
    "cidr6": "2001:db8:56::/64",
    "gateway6": "2001:db8:56::1",
}
WWW = {
    "name": "www",
    "hypervisor": "host1",
    "network": "lan",
    "address": "192.168.56.43",
    "address6": "2001:db8:56::43",
}
MAIL = {**WWW, "name": "mail", "address": "192.168.56.44", "address6": "2001:db8:56::44"}
FAR = {**WWW, "name": "far", "hypervisor": "host2", "address": "192.168.56.45", "address6": "none"}


def flat_only(*guests: dict[str, Any], **network: Any) -> Plan:
    """An inventory without a router."""
    hosts = {"host1": host(103, "hypervisors"), "host2": host(104, "hypervisors")}
    return plan(vpc_networks=[{**LAN, **network}], vpc_instances=list(guests), hosts=hosts)


def mixed(**network: Any) -> Plan:
    return plan(vpc_networks=[*NETWORKS, {**LAN, **network}], vpc_instances=[*GUESTS, WWW, MAIL, FAR])


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_hypervisors_and_routers_are_told_nothing_of_it(backend: str) -> None:
    hosts = {
        "host1": host(103, "hypervisors", backend=backend),
        "host2": host(104, "hypervisors", "routers", backend=backend),
        "router": host(101, "routers", backend=backend),
    }
    without = plan(hosts=hosts)
    both = plan(hosts=hosts, vpc_networks=[*NETWORKS, LAN], vpc_instances=[*GUESTS, WWW, MAIL, FAR])
    assert both.common() == without.common()
    for name, role in (
        ("host1", "hypervisor"),
        ("host2", "hypervisor"),
        ("host2", "router"),
        ("router", "router"),
    ):
        assert both.slice(name, role) == without.slice(name, role)
    assert both.layout.tables == without.layout.tables


def test_a_host_with_flat_networks_only_is_left_alone() -> None:
    made = plan(vpc_networks=[*NETWORKS, LAN], vpc_instances=[WWW, *GUESTS[1:]])
    slice_ = made.slice("host1", "hypervisor")
    assert (slice_["state"], slice_["tables"], slice_["common"]) == ({}, {}, False)
    assert slice_["underlay"] is None
    assert made.slice("host2", "hypervisor") == plan(vpc_instances=GUESTS[1:]).slice("host2", "hypervisor")
    # A hypervisor that has no guest yet is made ready for those that an inventory may bring.
    ready = plan(vpc_networks=[*NETWORKS, LAN], vpc_instances=[]).slice("host1", "hypervisor")
    assert ready["state"]["sysctl"]["net/ipv4/ip_forward"] == "1"


def test_an_inventory_of_flat_networks_needs_no_router_and_builds_nothing() -> None:
    made = flat_only(WWW)
    for name in ("host1", "host2"):
        assert made.slice(name, "hypervisor")["state"] == {}
    assert made.common()["state"] == {"route": {}}
    assert not made.layout.has_ipv6()


def test_ipv6_of_a_flat_network_asks_no_host_for_ipv6() -> None:
    made = plan(vpc_networks=[NETWORKS[1], LAN], vpc_instances=[{**GUESTS[1], "network": "net2"}, WWW])
    for name, role in (("host2", "hypervisor"), ("router", "router")):
        assert made.slice(name, role)["underlay6"] is None
        assert "ipv6" not in json.dumps(made.slice(name, role)["state"]["sysctl"])


def test_the_summary_says_what_it_is() -> None:
    summary = mixed().summary()
    network = summary["networks"]["lan"]
    assert (network["flat"], network["bridge"], network["uplinks"]) == (True, "xenbr0", ["peth0"])
    assert (network["gateway"], network["gateway6"]) == ("192.168.56.1", "2001:db8:56::1")
    assert {network[key] for key in ("bridge_address", "bridge_mac", "table", "local_switching")} == {None}
    # Three hosts are in it.
    assert (network["guests"], network["free"]) == (3, 256 - 3 - 3 - 3)
    interface = summary["instances"]["www"]["interfaces"][0]
    assert interface == {
        "network": "lan",
        "bridge": "xenbr0",
        "vif": "www.0",
        "mac": "52:54:00:a8:38:2b",
        "address": "192.168.56.43/24",
        "gateway": "192.168.56.1",
        "address6": "2001:db8:56::43/64",
        "gateway6": "2001:db8:56::1",
        "isolated": False,
    }
    routed = summary["networks"]["net1"]
    assert (routed["flat"], routed["bridge"], routed["uplinks"], routed["gateway6"]) == (
        False,
        "br-net1",
        [],
        "fe80::1",
    )
    assert summary["networks"]["net2"]["gateway6"] is None
    assert summary["instances"]["vm1"]["interfaces"][0]["address6"] == "2001:db8:10::10/128"


def test_people_see_bridge_and_uplinks() -> None:
    text = tables.of_plan(mixed().summary(), {"host1 hypervisor": 7})
    assert "xenbr0  peth0" in text
    assert text.index("\nnet1 ") < text.index("\nlan ")
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    assert rows["host1"].split()[1:4] == ["antispoof", "security_groups", "hypervisor"]
    assert rows["host1"].endswith(" 7")
    only = tables.of_plan(flat_only(WWW).summary(), {})
    assert only.startswith("Flat networks")
    assert "nat" not in only


def test_addresses_of_hosts_and_gateways_are_given_to_nobody() -> None:
    """One address of each family is free."""
    network = {
        **LAN,
        "cidr": "192.168.56.96/29",
        "gateway": "192.168.56.97",
        "cidr6": "2001:db8:56::/126",
        "gateway6": "2001:db8:56::1",
    }
    hosts = {
        "host1": {**host(98, "hypervisors"), "vpc_underlay_address6": "2001:db8:56::2"},
        **{f"h{number}": host(number, "hypervisors") for number in (99, 100, 101)},
    }
    guest = {"name": "www", "hypervisor": "host1", "network": "lan"}
    summary = plan(vpc_networks=[network], vpc_instances=[guest], hosts=hosts).summary()
    interface = summary["instances"]["www"]["interfaces"][0]
    assert (interface["address"], interface["address6"]) == ("192.168.56.102/29", "2001:db8:56::3/126")
    assert summary["networks"]["lan"]["free"] == 0


def test_ports_of_others_give_no_guest_their_name() -> None:
    names = ["peth.0", "xenbr.0", "mon.0", "other.0"]
    hosts = {"host1": {**host(103, "hypervisors"), "vpc_antispoof_trusted_ports": ["mon.0"]}}
    guests = [{"name": name.partition(".")[0], "hypervisor": "host1", "network": "lan"} for name in names]
    network = {**LAN, "bridge": "xenbr.0", "uplinks": ["peth.0"]}
    made = plan(vpc_networks=[network], vpc_instances=guests, hosts=hosts)
    assert {port.vif for port in made.layout.ports} & set(names) == {"other.0"}


def test_guests_without_a_family_have_no_address_of_it_anywhere() -> None:
    guests = [
        {"name": "four", "hypervisor": "host1", "network": "net1", "address6": "none"},
        {"name": "six", "hypervisor": "host1", "network": "net1", "address": "none"},
    ]
    made = plan(vpc_instances=guests)
    four, six = (made.summary()["instances"][name]["interfaces"][0] for name in ("four", "six"))
    assert (four["address6"], six["address"]) == (None, None)
    assert four["address"]
    assert six["address6"]
    routes = made.slice("router", "router")["state"]["route"]
    assert len([key for key, value in routes.items() if value.startswith("via")]) == 2
    assert made.summary()["networks"]["net1"]["free"] == 256 - 4 - 1
    for probe in expect.of_guests(made.summary()):
        assert (":" in probe.address) == (probe.source == "six")


def test_macs_differ_between_networks_too() -> None:
    networks = [{"name": "a", "cidr": "10.1.2.0/24"}, {"name": "b", "cidr": "11.1.2.0/24"}]
    guests = [
        {"name": name, "hypervisor": "host1", "network": name, "address": f"1{number}.1.2.9"}
        for number, name in enumerate("ab")
    ]
    one, other = (port.mac for port in plan(vpc_networks=networks, vpc_instances=guests).layout.ports)
    assert one == "52:54:00:01:02:09"
    assert other.startswith("02:")


def test_guests_of_one_flat_network_reach_each_other_and_what_is_outside() -> None:
    probes = set(expect.of_guests(mixed().summary()))
    assert Probe("www", "guests", "192.168.56.44", "ping", "reach") in probes
    assert Probe("www", "guests", "2001:db8:56::44", "ping", "reach") in probes
    assert Probe("www", "guests", "192.168.56.45", "ping", "reach") in probes
    assert Probe("www", "gateway", "192.168.56.1", "ping", "reach") in probes
    assert Probe("www", "gateway", "2001:db8:56::1", "ping", "reach") in probes
    assert Probe("www", "internet", "198.51.100.1", "http", "reach", "192.168.56.43") in probes
    assert Probe("www", "internet", "2001:db8:ffff::1", "http", "reach", "2001:db8:56::43") in probes
    assert not {probe for probe in probes if probe.source == "far" and ":" in probe.address}
    # Others decide who else answers there.
    assert not {probe for probe in probes if probe.source == "www" and probe.target == "unused address"}


def test_nobody_says_who_reaches_whom_between_flat_and_routed_networks() -> None:
    flat = ("www", "mail", "far")
    probes = expect.of_guests(mixed().summary())
    for probe in probes:
        assert (probe.source in flat) == probe.address.startswith(("192.168.56.", "2001:db8:56:")) or (
            probe.target == "internet"
        )
    routed = [probe for probe in probes if probe.source not in flat]
    assert routed == expect.of_guests(plan().summary())


def test_without_uplinks_only_the_guests_of_one_host_are_known_to_meet() -> None:
    probes = expect.of_guests(mixed(uplinks=[]).summary())
    found = {(probe.source, probe.target, probe.address) for probe in probes if probe.source in ("www", "far")}
    assert found == {("www", "guests", "192.168.56.44"), ("www", "guests", "2001:db8:56::44")}


def test_hosts_ask_the_flat_networks_that_they_are_in() -> None:
    def asked(made: Plan, name: str) -> set[tuple[str, str]]:
        return {(probe.target, probe.address) for probe in expect.of_host(made.summary(), name)}

    own, far = (
        {("own guests", "192.168.56.43"), ("own guests", "192.168.56.44")},
        {("guests elsewhere", "192.168.56.45")},
    )
    assert asked(flat_only(WWW, MAIL, FAR), "host1") == own | far
    assert asked(flat_only(WWW, MAIL, FAR, uplinks=[]), "host1") == own
    elsewhere = {"cidr": "192.168.57.0/24"}
    moved = [{**guest, "address": str(guest["address"]).replace("56", "57")} for guest in (WWW, MAIL, FAR)]
    assert asked(flat_only(*moved, **elsewhere), "host1") == set()
    hosts = {**inventory()["hosts"], "host1": {**host(103, "hypervisors"), "vpc_underlay_address6": "2001:db8:56::103"}}
    made = plan(vpc_networks=[LAN], vpc_instances=[WWW, FAR], hosts=hosts)
    assert asked(made, "host1") == {("own guests", "192.168.56.43"), ("own guests", "2001:db8:56::43")} | far


def test_a_plan_with_flat_networks_is_the_same_whatever_the_order() -> None:
    one = plan(vpc_networks=[*NETWORKS, LAN], vpc_instances=[*GUESTS, WWW, MAIL, FAR])
    other = plan(vpc_networks=[LAN, *NETWORKS[::-1]], vpc_instances=[FAR, MAIL, WWW, *GUESTS[::-1]])
    assert everything(one) == everything(other)
