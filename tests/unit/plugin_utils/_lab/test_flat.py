# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat networks of a lab: which host has which bridge, by which cable, and who has which address."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import networkd, topology
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.host import Cable, Host, host_from_json, port_name
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.topology import Topology

HYPERVISOR = ["antispoof", "hypervisor"]
WWW: dict[str, Any] = {
    "network": "vps",
    "bridge": "xenbr0",
    "vif": "vif1.0",
    "mac": "00:16:3e:38:b4:ac",
    "address": "216.146.46.43/24",
    "gateway": "216.146.46.1",
    "address6": "2001:db8:46::60/64",
    "gateway6": "2001:db8:46::1",
    "isolated": False,
}
VPS: dict[str, Any] = {
    "flat": True,
    "bridge": "xenbr0",
    "uplinks": ["peth0"],
    "cidr": "216.146.46.0/24",
    "cidr6": "2001:db8:46::/64",
    "gateway": "216.146.46.1",
    "gateway6": "2001:db8:46::1",
}
SECOND: dict[str, Any] = {
    "flat": True,
    "bridge": "xenbr1",
    "uplinks": ["peth1", "peth2"],
    "cidr": "203.0.113.0/25",
    "cidr6": None,
    "gateway": "203.0.113.1",
}
PLAN: dict[str, Any] = {
    "format": 1,
    "hosts": {
        "dom0": {"roles": HYPERVISOR, "underlay": "216.146.46.2", "underlay6": "2001:db8:46::2"},
        "dom1": {"roles": HYPERVISOR, "underlay": "216.146.46.3", "underlay6": None},
    },
    "networks": {"vps": VPS},
    "instances": {"www": {"hypervisor": "dom0", "interfaces": [WWW]}},
}


def plan(**changes: Any) -> dict[str, Any]:
    """The plan with something else in a section; None removes it."""
    made = copy.deepcopy(PLAN)
    for section, items in changes.items():
        for name, item in items.items():
            if item is None:
                del made[section][name]
            else:
                made[section][name] = item
    return made


def host(lab: Topology, name: str) -> Host:
    """A host by its name."""
    return next(item for item in lab.hosts if item.name == name)


def test_network_card_is_the_uplink_where_the_host_is_in_the_network() -> None:
    lab = topology.build(PLAN, "lab")
    dom0 = host(lab, "dom0")
    assert (dom0.card, dom0.interface) == ("peth0", "xenbr0")
    assert dom0.cables == (Cable("p-dom0", "peth0", dom0.mac),)
    (bridge,) = dom0.bridges
    assert (bridge.name, bridge.mac, bridge.uplink, bridge.port) == ("xenbr0", dom0.mac, "peth0", None)
    assert dom0.addresses == ("216.146.46.2/24", "fe80::d892:2e02/64", "2001:db8:46::2/64")
    assert dom0.gateways == ("216.146.46.1", "fe80::d892:2e01")
    # a hypervisor that is in the network may get guests there at any time
    assert host(lab, "dom1").interface == "xenbr0"


def test_internet_is_the_gateway_of_guests_and_hosts() -> None:
    lab = topology.build(PLAN, "lab")
    assert lab.gateways == ("216.146.46.1/24", "fe80::d892:2e01/64", "2001:db8:46::1/64")
    (www,) = lab.vifs
    assert (www.address, www.gateway, www.address6) == ("216.146.46.43/24", "216.146.46.1", "2001:db8:46::60/64")


def test_cable_of_its_own_where_the_host_is_elsewhere() -> None:
    hosts = {name: {"roles": HYPERVISOR, "underlay": f"192.168.56.{n}"} for n, name in enumerate(("dom0", "dom1"), 3)}
    lab = topology.build(plan(hosts=hosts), "lab")
    dom0 = host(lab, "dom0")
    assert (dom0.card, dom0.interface) == ("eth0", "eth0")
    (bridge,) = dom0.bridges
    assert bridge.mac not in ("", dom0.mac)
    assert dom0.cables == (Cable("p-dom0", "eth0", dom0.mac), Cable("p-dom0~peth0", "peth0", bridge.mac))
    assert host(lab, "dom1").bridges == (), "no guest, no address there"
    assert lab.gateways == ("192.168.56.254/24", "fe80::c0a8:38fe/64", "216.146.46.1/24", "2001:db8:46::1/64")


def test_several_networks_on_one_host() -> None:
    second = {**WWW, "network": "second", "bridge": "xenbr1", "vif": "vif1.1"}
    www = {"hypervisor": "dom0", "interfaces": [WWW, second]}
    lab = topology.build(plan(networks={"second": SECOND}, instances={"www": www}), "lab")
    dom0 = host(lab, "dom0")
    assert [(bridge.name, bridge.uplink, bridge.port) for bridge in dom0.bridges] == [
        ("xenbr0", "peth0", None),
        ("xenbr1", "peth1", "p-dom0~peth1"),
    ]
    assert [cable.name for cable in dom0.cables] == ["peth0", "peth1"]
    assert "203.0.113.1/25" in lab.gateways
    assert [bridge.name for bridge in host(lab, "dom1").bridges] == ["xenbr0"]


def test_without_uplink_the_bridge_is_alone() -> None:
    dom0 = host(topology.build(plan(networks={"vps": {**VPS, "uplinks": []}}), "lab"), "dom0")
    (bridge,) = dom0.bridges
    assert (bridge.uplink, bridge.port) == (None, None)
    assert bridge.mac != dom0.mac
    assert (dom0.card, dom0.interface, len(dom0.cables)) == ("eth0", "eth0", 1)


def test_card_has_another_name_where_eth0_is_an_uplink() -> None:
    hosts = {"dom0": {"underlay": "192.168.56.3"}, "dom1": None}
    dom0 = host(topology.build(plan(hosts=hosts, networks={"vps": {**VPS, "uplinks": ["eth0"]}}), "lab"), "dom0")
    assert [cable.name for cable in dom0.cables] == ["eth1", "eth0"]
    assert dom0.interface == "eth1"


def test_other_networks_are_not_flat() -> None:
    dom0 = host(topology.build(plan(networks={"vps": {**VPS, "flat": False}}), "lab"), "dom0")
    assert (dom0.bridges, dom0.interface) == ((), "eth0")
    assert dom0.gateways[0] == "216.146.46.254"


@pytest.mark.parametrize(
    "addresses, cidr, gateway, length",
    [
        # the prefix is the flat network's also where a smaller one would do, or a larger one
        (["10.0.1.5"], "10.0.0.0/22", "10.0.0.1", 22),
        (["10.0.0.5", "10.0.0.6"], "10.0.0.0/28", "10.0.0.1", 28),
        # not all are in it: no address of it is taken for another gateway
        (["10.0.0.5", "10.0.0.129"], "10.0.0.128/25", "10.0.0.127", 24),
        (["10.0.0.1", "10.0.1.5"], "10.0.1.0/24", "10.0.0.255", 23),
    ],
)
def test_underlay(addresses: list[str], cidr: str, gateway: str, length: int) -> None:
    hosts = {f"h{number}": {"underlay": address} for number, address in enumerate(addresses)}
    network = {**VPS, "cidr": cidr, "gateway": "10.0.0.1"}
    lab = topology.build({"format": 1, "hosts": hosts, "networks": {"vps": network}}, "lab")
    assert lab.gateways[0] == f"{gateway}/{length}"


def test_json_round_trip() -> None:
    for item in topology.build(PLAN, "lab").hosts:
        assert host_from_json(json.loads(json.dumps(topology.to_json(item)))) == item


def test_long_names_of_hosts_have_short_ports() -> None:
    names = {port_name("hypervisor-1.example.com", uplink) for uplink in ("", "peth0", "peth1")}
    assert len(names) == 3
    assert all(len(name) <= 15 for name in names)


@pytest.mark.parametrize(
    "networks, message",
    [
        ({"vps": {**VPS, "bridge": "x" * 16}}, "plan.networks.vps.bridge: 'xxxxxxxxxxxxxxxx' is no interface name of"),
        ({"vps": {**VPS, "uplinks": ["a b"]}}, "plan.networks.vps.uplinks[0]: 'a b' is no interface name"),
        ({"vps": {**VPS, "bridge": "eth0"}}, "plan.networks.vps.bridge: eth0 is the name of an interface that a host"),
        (
            {"b": {**VPS, "bridge": "xenbr1", "cidr": "203.0.113.0/24"}},
            "plan.networks.b: peth0 is also an interface of plan.networks.vps on dom0",
        ),
        ({"vps": {**VPS, "uplinks": ["vif1.0"]}}, "vif1.0 is the name of an interface that a host has already"),
    ],
)
def test_refused(networks: dict[str, Any], message: str) -> None:
    wrong = plan(networks=networks)
    if "b" in networks:
        wrong["instances"]["www"]["interfaces"].append({**WWW, "bridge": "xenbr1", "vif": "vif1.1"})
    with pytest.raises(LabError) as error:
        topology.build(wrong, "lab")
    assert message in str(error.value)


# --- what systemd-networkd reads


def test_files_of_a_host_without_bridges() -> None:
    hosts = {"h": {"underlay": "192.0.2.1"}}
    (plain,) = topology.build({"format": 1, "hosts": hosts}, "lab").hosts
    files = networkd.files(plain)
    assert list(files) == ["10-lab-eth0.network"]
    text = files["10-lab-eth0.network"]
    assert text.startswith("[Match]\nName=eth0\n")
    assert "IPv6AcceptRA=no\n" in text
    assert text.count("[Address]\n") == 2
    assert "Gateway=192.0.2.254\nGateway=fe80::c000:2fe\n" in text


def test_files_of_a_bridge_with_the_addresses() -> None:
    dom0 = host(topology.build(PLAN, "lab"), "dom0")
    files = networkd.files(dom0)
    assert sorted(files) == ["10-lab-peth0.network", "10-lab-xenbr0.netdev", "10-lab-xenbr0.network"]
    assert files["10-lab-xenbr0.netdev"] == (
        f"[NetDev]\nName=xenbr0\nKind=bridge\nMACAddress={dom0.mac}\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n"
    )
    assert "Gateway=216.146.46.1\n" in files["10-lab-xenbr0.network"]
    assert "Address=216.146.46.2/24\n" in files["10-lab-xenbr0.network"]
    assert "Bridge=xenbr0\n" in files["10-lab-peth0.network"]
    assert "Address" not in files["10-lab-peth0.network"].replace("LinkLocalAddressing", "")


def test_files_of_a_bridge_without_addresses() -> None:
    second = {**WWW, "network": "second", "bridge": "xenbr1", "vif": "vif1.1"}
    www = {"hypervisor": "dom0", "interfaces": [WWW, second]}
    lab = topology.build(plan(networks={"second": SECOND}, instances={"www": www}), "lab")
    files = networkd.files(host(lab, "dom0"))
    assert "RequiredForOnline=no\n" in files["10-lab-xenbr1.network"]
    assert "Gateway" not in files["10-lab-xenbr1.network"]
    assert "Bridge=xenbr1\n" in files["10-lab-peth1.network"]
    assert "RequiredForOnline" not in files["10-lab-xenbr0.network"]
