# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of VPN connections: its machines, and what they are told."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import networkd, topology
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.aws import connection, ipsec, key
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.host import Host, host_from_json
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.paths import Paths
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError


def tunnel(number: int, **others: Any) -> dict[str, Any]:
    """A tunnel of connection aws1 as a plan has it."""
    return {
        "path": f"vpc_vpn_connections[0].tunnels[{number - 1}]",
        "name": f"aws1-{number}",
        "number": number,
        "outside_address": "203.0.113.10",
        "local_address": "192.168.56.102",
        "peer_outside_address": f"192.0.2.{number}0",
        "inside_cidr": f"169.254.{number}0.0/30",
        "inside_address": f"169.254.{number}0.2",
        "peer_inside_address": f"169.254.{number}0.1",
        "psk_variable": f"psk{number}",
        "mtu": 1438,
        "mss": 1398,
        "ike": {
            "version": 2,
            "encryption": ["aes256-gcm16", "aes256"],
            "integrity": ["sha384", "sha256"],
            "prf": ["sha384", "sha256"],
            "dh": [20, 14],
            "lifetime": 28800,
        },
        "esp": {"encryption": ["aes256-gcm16"], "integrity": [], "dh": [20, 14], "lifetime": 3600},
        "dpd": {"interval": 10, "retries": 3},
        **others,
    }


CONNECTION: dict[str, Any] = {
    "gateway": "gw",
    "vpc": "default",
    "bgp": {"customer_asn": 65000, "amazon_asn": 64512, "hold_time": 30},
    "announce": ["10.10.10.0/24"],
    "accept": ["10.20.0.0/16"],
    "static_routes": [],
    "remote": ["10.20.0.0/16"],
    "mode": "active_active",
    "internet": False,
    "lab_host": "10.20.0.10",
    "tunnels": [tunnel(1), tunnel(2)],
}
PLAN: dict[str, Any] = {
    "format": 1,
    "hosts": {
        "gw": {"roles": ["vpn_gateway"], "underlay": "192.168.56.102"},
        "host1": {"roles": ["hypervisor"], "underlay": "192.168.56.103"},
    },
    "networks": {},
    "instances": {},
    "connections": {"aws1": CONNECTION},
}


def changed(**others: Any) -> dict[str, Any]:
    """The plan with another connection aws1."""
    return {**PLAN, "connections": {"aws1": {**CONNECTION, **others}}}


def machine(plan: dict[str, Any], name: str) -> Host:
    return next(host for host in topology.build(plan, "lab").hosts if host.name == name)


def files(plan: dict[str, Any], name: str) -> dict[str, str]:
    return {file.path: file.text for file in machine(plan, name).files}


def test_machines() -> None:
    lab = topology.build(PLAN, "lab")
    assert [host.name for host in lab.hosts] == ["gw", "host1", "aws1-1", "aws1-2", "aws1-vpc"]
    endpoint, vpc = machine(PLAN, "aws1-1"), machine(PLAN, "aws1-vpc")
    assert endpoint.netns == "lab-aws1-1"
    assert [(cable.name, cable.bridge) for cable in endpoint.cables] == [("eth0", "switch"), ("eth1", "vpc-aws1")]
    assert [(cable.name, cable.bridge) for cable in vpc.cables] == [("eth0", "vpc-aws1")]
    ports = [cable.port for host in lab.hosts for cable in host.cables]
    assert len(set(ports)) == len(ports)
    assert all(len(port) <= 15 for port in ports)


def test_a_plan_without_connections_is_the_same_lab_as_before() -> None:
    lab = topology.build({**PLAN, "connections": {}}, "lab")
    assert lab == topology.build({name: value for name, value in PLAN.items() if name != "connections"}, "lab")
    assert [host.name for host in lab.hosts] == ["gw", "host1"]
    assert machine(PLAN, "gw") == lab.hosts[0]


def test_json_round_trip() -> None:
    for host in topology.build(PLAN, "lab").hosts:
        assert host_from_json(json.loads(json.dumps(topology.to_json(host)))) == host


def test_only_the_way_to_the_customer() -> None:
    texts = files(PLAN, "aws1-1")
    outside = texts["etc/systemd/network/10-lab-eth0.network"]
    assert "Address=192.0.2.10/32" in outside
    assert "Destination=203.0.113.10\nGateway=192.168.56.254\nGatewayOnLink=yes" in outside
    assert "Gateway=" not in outside.replace("Gateway=192.168.56.254", "")
    assert "Destination=10.20.0.0/16\nGateway=198.18.0.3" in texts["etc/systemd/network/10-lab-eth1.network"]
    assert networkd.files(machine(PLAN, "aws1-1")) == {}


def test_endpoint_waits_and_chooses_the_weakest() -> None:
    text = files(PLAN, "aws1-1")["etc/swanctl/conf.d/tunnel.conf"]
    assert "start_action = none" in text
    assert "proposals = aes256-sha256-sha384-modp2048-ecp384, aes256gcm16-prfsha256-prfsha384-modp2048-ecp384\n" in text
    assert "esp_proposals = aes256gcm16-modp2048-ecp384\n" in text
    assert "remote_addrs = 203.0.113.10\n" in text
    assert text.count("{") == text.count("}")


def test_every_algorithm_of_the_model_has_a_word() -> None:
    groups = (2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24)
    algorithms = {"encryption": ["aes256", "aes128"], "integrity": ["sha512", "sha384", "sha256", "sha1"], "prf": []}
    (offer,) = ipsec.offers(algorithms, groups)
    assert len(offer.split("-")) == 2 + 4 + 13


def test_bgp() -> None:
    text = files(PLAN, "aws1-2")["etc/frr/frr.conf"]
    assert "router bgp 64512\n" in text
    assert " neighbor 169.254.20.2 remote-as 65000\n neighbor 169.254.20.2 timers 10 30\n" in text
    assert "  network 10.20.0.0/16\n" in text
    assert "redistribute" not in text
    assert ipsec.UPDOWN not in str(files(PLAN, "aws1-2"))
    vpc = files(PLAN, "aws1-vpc")["etc/frr/frr.conf"]
    assert "neighbor 198.18.0.1 remote-as 64512" in vpc
    assert "neighbor 198.18.0.2 route-map nothing out" in vpc


def test_static_routes() -> None:
    nowhere = {"inside_cidr": None, "inside_address": None, "peer_inside_address": None}
    tunnels = [tunnel(1, **nowhere, ike={**tunnel(1)["ike"], "version": 1})]
    plan = changed(bgp=None, accept=[], static_routes=["10.20.0.0/16"], tunnels=tunnels)
    texts = files(plan, "aws1-1")
    assert "version = 1\n" in texts["etc/swanctl/conf.d/tunnel.conf"]
    assert f"updown = /{ipsec.UPDOWN}\n" in texts["etc/swanctl/conf.d/tunnel.conf"]
    assert "ip route replace 10.10.10.0/24 dev ipsec0" in texts[ipsec.UPDOWN]
    assert "ip address" not in texts[ipsec.DROP_IN]
    assert "redistribute kernel route-map behind-tunnel" in texts["etc/frr/frr.conf"]
    assert "169.254" not in str(texts)
    assert [host.name for host in topology.build(plan, "lab").hosts][2:] == ["aws1-1", "aws1-vpc"]


def test_vpc_without_host() -> None:
    text = files(changed(remote=["0.0.0.0/0"], lab_host=None), "aws1-vpc")["etc/systemd/network/10-lab-eth0.network"]
    assert "0.0.0.0/0" not in text
    assert text.count("[Address]") == 1


def test_userland_esp_reads_no_more() -> None:
    assert "mtu 1400 up" in files(PLAN, "aws1-1")[ipsec.DROP_IN]
    small = changed(tunnels=[tunnel(1, mtu=1322)])
    assert "mtu 1322 up" in files(small, "aws1-1")[ipsec.DROP_IN]


def test_gateway_with_an_address_of_its_own() -> None:
    plan = changed(tunnels=[tunnel(1, local_address="203.0.113.10"), tunnel(2, local_address="203.0.113.10")])
    assert machine(plan, "gw").addresses == ("192.168.56.102/24", "fe80::c0a8:3866/64", "203.0.113.10/32")


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"tunnels": [tunnel(1), tunnel(2, peer_outside_address="192.0.2.10")]},
            "vpc_vpn_connections[0].tunnels[1].peer_outside_address: 192.0.2.10 is the endpoint aws1-1; in a lab each",
        ),
        (
            {"tunnels": [tunnel(1, peer_outside_address="198.51.100.1")]},
            "198.51.100.1 is an address of the lab's inter",
        ),
        ({"tunnels": [tunnel(1, peer_outside_address="192.168.56.254")]}, "is an address of the lab's internet"),
        ({"tunnels": [tunnel(1, peer_outside_address="192.168.56.103")]}, "is the underlay address of host1"),
        ({"tunnels": [tunnel(1, peer_outside_address="192.168.56.9")]}, "is in the lab's underlay 192.168.56.0/24"),
        (
            {"tunnels": [tunnel(1, local_address="192.168.56.103")]},
            "tunnels[0]: 192.168.56.103, in which it ends on gw, is the underlay address of host1",
        ),
        ({"announce": ["198.18.0.0/15"]}, "plan.connections.aws1: 198.18.0.0/15 overlaps 198.18.0.0/29"),
        ({"gateway": "gw9"}, "plan.connections.aws1.gateway: 'gw9' is not in plan.hosts"),
    ],
)
def test_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError) as error:
        topology.build(changed(**change), "lab")
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["aws1-1", "aws1-vpc"])
def test_names_of_hosts_are_taken(name: str) -> None:
    plan = copy.deepcopy(PLAN)
    plan["hosts"][name] = {"roles": ["hypervisor"], "underlay": "192.168.56.77"}
    with pytest.raises(LabError, match=f"the lab needs the name {name} for a machine, but it is that of a host"):
        topology.build(plan, "lab")


@pytest.mark.parametrize("name", ["vm", "vm-a"])
def test_names_of_guests_are_taken(name: str) -> None:
    with pytest.raises(LabError, match=rf"plan\.connections\.{name}: names that begin with vm- are taken"):
        topology.build({**PLAN, "connections": {name: CONNECTION}}, "lab")


def test_long_names() -> None:
    with pytest.raises(LabError, match="has more than 64 characters"):
        topology.build({**PLAN, "connections": {"a" * 33: CONNECTION}}, "l" * 30)


def test_the_key_is_in_one_file_of_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paths, "var", tmp_path)
    paths = Paths("unit")
    assert key.differs(paths, "aws1-1", "canary.1")
    assert key.put(paths, "aws1-1", "canary.1")
    assert not key.put(paths, "aws1-1", "canary.1")
    assert key.put(paths, "aws1-1", "canary.2")
    assert not key.differs(paths, "aws1-1", "canary.2")
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.relative_to(tmp_path / "aws1-1/upper").as_posix() for path in found] == [ipsec.KEY]
    assert found[0].stat().st_mode & 0o777 == 0o600
    assert 'secret = "canary.2"' in found[0].read_text()
    assert not key.put(paths, "host1", None)


def test_all_connections_in_order_of_name() -> None:
    found = connection.read({"b": CONNECTION, "a": CONNECTION})
    assert [item.machines[-1] for item in found] == ["a-vpc", "b-vpc"]
