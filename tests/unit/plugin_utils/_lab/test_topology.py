# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan -> hosts, guests and underlay of a lab."""

from __future__ import annotations

import copy
import ipaddress
import json
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import topology
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.host import host_from_json, port_name
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError
from hypothesis import given
from hypothesis import strategies as st

PLAN: dict[str, Any] = {
    "format": 1,
    "hosts": {
        "host1": {"roles": ["hypervisor"], "underlay": "192.168.56.103", "underlay6": "fe80::c0a8:3867"},
        "host2": {"roles": ["hypervisor"], "underlay": "192.168.56.104", "underlay6": "2001:db8:56::104"},
        "router": {"roles": ["router"], "underlay": "192.168.56.101", "underlay6": None},
    },
    "networks": {"net1": {"bridge": "br-net1"}, "net2": {"bridge": "br-net2"}},
    "instances": {
        "vm1": {
            "hypervisor": "host1",
            "interfaces": [
                {
                    "network": "net1",
                    "bridge": "br-net1",
                    "vif": "vm1.0",
                    "mac": "52:54:00:0a:0a:0a",
                    "address": "10.10.10.10/24",
                    "gateway": "10.10.10.1",
                    "address6": "2001:db8:10::10/128",
                    "gateway6": "fe80::1",
                    "isolated": True,
                },
            ],
        },
        "vm2": {
            "hypervisor": "host2",
            "interfaces": [
                {
                    "bridge": "br-net1",
                    "vif": "a",
                    "mac": "52:54:00:00:00:01",
                    "address": "10.10.10.11/24",
                    "isolated": True,
                },
                {"bridge": "br-net2", "vif": "b", "mac": "52:54:00:00:00:02", "address": None, "isolated": False},
            ],
        },
    },
}


def plan(**hosts: str) -> dict[str, Any]:
    """A plan of hosts only: name -> underlay address."""
    return {"format": 1, "hosts": {name: {"underlay": address} for name, address in hosts.items()}}


def test_names_and_addresses() -> None:
    lab = topology.build(PLAN, "lab")
    assert (lab.underlay, lab.internet, lab.guest_netns("vm1")) == ("lab-underlay", "lab-internet", "lab-vm-vm1")
    assert lab.gateways == ("192.168.56.254/24", "fe80::c0a8:38fe/64", "2001:db8:56:0:ffff:ffff:ffff:fffe/64")
    host1, host2, router = lab.hosts
    assert (host1.name, host1.netns, host1.port) == ("host1", "lab-host1", "p-host1")
    assert host1.addresses == ("192.168.56.103/24", "fe80::c0a8:3867/64")
    assert host2.addresses == ("192.168.56.104/24", "fe80::c0a8:3868/64", "2001:db8:56::104/64")
    assert router.addresses == ("192.168.56.101/24", "fe80::c0a8:3865/64")
    assert {host.gateways for host in lab.hosts} == {("192.168.56.254", "fe80::c0a8:38fe")}


def test_interfaces() -> None:
    one, two, three = topology.build(PLAN, "lab").vifs
    assert (one.guest, one.netns, one.name, one.host, one.vif) == ("vm1", "lab-vm-vm1", "eth0", "host1", "vm1.0")
    assert (one.address, one.gateway6, one.isolated, one.table) == ("10.10.10.10/24", "fe80::1", True, None)
    assert [(vif.name, vif.table, vif.isolated) for vif in (two, three)] == [("eth0", 100, True), ("eth1", 101, False)]


def test_same_plan_same_lab_whatever_the_order() -> None:
    turned = {
        **PLAN,
        "hosts": dict(reversed(PLAN["hosts"].items())),
        "instances": dict(reversed(PLAN["instances"].items())),
    }
    assert topology.build(turned, "lab") == topology.build(PLAN, "lab")


def test_macs_differ_between_labs_and_hosts_and_are_local_unicast() -> None:
    macs = [host.mac for lab in ("a", "b") for host in topology.build(PLAN, lab).hosts]
    assert len(set(macs)) == 6
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)


def test_json_round_trip() -> None:
    lab = topology.build(PLAN, "lab")
    for host in lab.hosts:
        assert host_from_json(json.loads(json.dumps(topology.to_json(host)))) == host
    for vif in lab.vifs:
        assert topology.vif_from_json(json.loads(json.dumps(topology.to_json(vif)))) == vif


@pytest.mark.parametrize(
    "addresses, gateway, length",
    [
        (["192.168.56.101"], "192.168.56.254", 24),
        (["192.168.56.254", "192.168.56.253"], "192.168.56.252", 24),
        (["10.0.0.5", "10.0.1.5"], "10.0.1.254", 23),
        (["10.0.0.1", "10.0.255.1"], "10.0.255.254", 16),
        # .0 and .255 are no hosts of a /24, but of a larger network they are
        (["10.0.0.255"], "10.0.1.254", 23),
        (["10.0.1.0"], "10.0.1.254", 23),
        ([f"10.0.0.{number}" for number in range(1, 255)], "10.0.1.254", 23),
        (["1.0.0.1", "200.0.0.1"], "255.255.255.254", 0),
    ],
)
def test_underlay(addresses: list[str], gateway: str, length: int) -> None:
    gateways, lengths = topology.underlay({str(number): address for number, address in enumerate(addresses)})
    assert (gateways[0], lengths[0]) == (gateway, length)


@given(st.lists(st.integers(0x0A000001, 0x0AFFFFFE), min_size=1, max_size=30, unique=True))
def test_underlay_covers_all_and_the_gateway_is_free(numbers: list[int]) -> None:
    addresses = {str(number): str(ipaddress.IPv4Address(number)) for number in numbers}
    (gateway, _gateway6), (length, _length6) = topology.underlay(addresses)
    network = ipaddress.ip_interface(f"{gateway}/{length}").network
    taken = {ipaddress.ip_address(address) for address in addresses.values()}
    assert all(address in network for address in taken)
    assert not {network.network_address, network.broadcast_address} & {*taken, ipaddress.ip_address(gateway)}
    assert ipaddress.ip_address(gateway) not in taken


def test_long_names_of_hosts_have_short_ports() -> None:
    names = [f"hypervisor-{number}.example.com" for number in range(50)]
    ports = {port_name(name) for name in names}
    assert len(ports) == 50
    assert all(len(port) <= 15 for port in ports)


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("format",), 2, "plan.format: 2 is not supported; this lab reads format 1"),
        (
            ("hosts", "internet"),
            {"underlay": "192.168.56.9"},
            "plan.hosts.internet: this host name is taken by the lab",
        ),
        (
            ("hosts", "underlay"),
            {"underlay": "192.168.56.9"},
            "plan.hosts.underlay: this host name is taken by the lab",
        ),
        (("hosts", "vm-1"), {"underlay": "192.168.56.9"}, "plan.hosts.vm-1: this host name is taken by the lab itself"),
        (("hosts", "../x"), {"underlay": "192.168.56.9"}, "plan.hosts.../x: is no host name"),
        (("hosts", "h" * 62), {"underlay": "192.168.56.9"}, "has more than 64 characters; choose a shorter lab name"),
        (("hosts", "host1", "underlay"), None, "plan.hosts.host1.underlay: None is no IPv4 address"),
        (("hosts", "host1", "underlay"), "h.example", "plan.hosts.host1.underlay: 'h.example' is no IPv4 address"),
        (("hosts", "host1", "underlay6"), "x", "plan.hosts.host1.underlay6: 'x' is no IPv6 address"),
        (("hosts", "host1", "underlay"), "192.168.56.104", "192.168.56.104 is also the address of host1"),
        (("instances", "vm1", "hypervisor"), "host9", "plan.instances.vm1.hypervisor: 'host9' is not in plan.hosts"),
        (("instances", "vm 1"), PLAN["instances"]["vm1"], "plan.instances.vm 1: cannot be part of the name"),
        (("instances", "vm1", "interfaces", 0, "vif"), "x" * 16, "is no interface name of at most 15 characters"),
        (("instances", "vm1", "interfaces", 0, "vif"), "a b", "'a b' is no interface name"),
        (("instances", "vm1", "interfaces", 0, "vif"), "eth0", "eth0 is the name of an interface that a host has"),
        (
            ("instances", "vm1", "interfaces", 0, "vif"),
            "br-net1",
            "br-net1 is the name of an interface that a host has",
        ),
        (("instances", "vm2", "interfaces", 1, "vif"), "a", "a is also the name of an interface of vm2 on host2"),
    ],
)
def test_refused(path: tuple[Any, ...], value: Any, message: str) -> None:
    wrong = copy.deepcopy(PLAN)
    place: Any = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(LabError) as error:
        topology.build(wrong, "lab")
    assert message in str(error.value)


def test_all_mistakes_at_once() -> None:
    with pytest.raises(LabError) as error:
        topology.build(plan(internet="192.168.56.1", a="192.168.56.2", b="192.168.56.2", c="x"), "lab")
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize("name", ["", "Lab", "-lab", "a/b", "..", "a b", "l" * 33, "lab\n"])
def test_lab_names_refused(name: str) -> None:
    with pytest.raises(LabError, match="is no lab name"):
        topology.build(PLAN, name)


def test_no_host() -> None:
    with pytest.raises(LabError, match=r"plan\.hosts: the plan has no host"):
        topology.build({"format": 1, "hosts": {}}, "lab")


def test_the_internet_has_routes_for_public_addresses_but_for_those_next_to_it() -> None:
    wanted = {
        **PLAN,
        "public_addresses": {"198.51.100.50": {}, "192.168.56.50": {}},
        "port_forwards": {
            "vpc_port_forwards[0]": {"address": "203.0.113.9"},
            "vpc_port_forwards[1]": {"address": None},
        },
        "nat_pools": {"p": {"addresses": ["203.0.113.30", "203.0.113.31"]}},
    }
    assert topology.build(wanted, "lab").public == tuple(
        (address, "192.168.56.101") for address in ("198.51.100.50", "203.0.113.9", "203.0.113.30", "203.0.113.31")
    )
    assert topology.build(PLAN, "lab").public == ()
