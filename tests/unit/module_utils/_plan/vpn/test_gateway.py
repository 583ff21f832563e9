# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VPN gateways in the plan: who gets which route, who is kept apart, what others read of a connection."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Context, Delta, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.route import Route
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_prefix, without
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import expect, identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.expect import Probe
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import destination
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.summary import lab_host
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import AWS1, changed, legacy

NETWORKS = [
    {"name": "net1", "cidr": "10.10.10.0/24", "nat": True},
    {"name": "net2", "cidr": "10.10.20.0/24"},
]
TWO_VPCS = [*NETWORKS, {"name": "shop", "cidr": "10.30.0.0/24", "vpc": "shop"}]
GUESTS = [
    {"name": "vm1", "hypervisor": "host1", "network": "net1", "address": "10.10.10.10"},
    {"name": "vm2", "hypervisor": "host1", "network": "net2", "address": "10.10.20.10"},
]
DISCARD = "unreachable metric 4294967295"
VPN1, ROUTER = "via 192.168.56.105 dev @underlay", "via 192.168.56.101 dev @underlay"


def host(number: int, *groups: str, **variables: Any) -> dict[str, Any]:
    return {"groups": list(groups), "vpc_underlay_address": f"192.168.56.{number}", **variables}


def hosts(**changes: Any) -> dict[str, Any]:
    found = {
        "host1": host(103, "hypervisors"),
        "router": host(101, "routers"),
        "vpn1": host(105, "vpn_gateways"),
        **changes,
    }
    return {name: item for name, item in found.items() if item is not None}


def plan(*connections: dict[str, Any], networks: Any = None, guests: Any = None, **more: Any) -> Plan:
    raw = {
        "vpc_networks": NETWORKS if networks is None else networks,
        "vpc_instances": GUESTS if guests is None else guests,
        "vpc_vpn_connections": list(connections or (AWS1,)),
        "hosts": hosts(**more),
    }
    return Plan(parse(raw), "id")


def state(made: Plan, name: str, role: str = VPN_GATEWAY.name) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = made.slice(name, role)["state"]
    return found


def second(**values: Any) -> dict[str, Any]:
    """A connection beside AWS1."""
    tunnel = {**AWS1["tunnels"][0], "peer_outside_address": "198.51.100.33", "inside_cidr": "169.254.10.0/30"}
    return changed(**{"name": "aws2", "accept": ["10.40.0.0/16"], "tunnels": [tunnel], **values})


# Who gets which route


def test_a_gateway_of_its_own() -> None:
    made = plan()
    assert state(made, "vpn1")["route"] == {
        "4 254 10.10.10.0/24": ROUTER,
        "4 254 10.10.20.0/24": ROUTER,
        "4 254 10.20.0.0/16": DISCARD,
    }
    routes = state(made, "router", "router")["route"]
    assert routes["4 254 10.20.0.0/16"] == VPN1
    assert list(routes) == sorted(routes)
    # Guests get there by what they have.
    assert "10.20.0.0/16" not in json.dumps(state(made, "host1", "hypervisor"))
    sysctls = state(made, "vpn1")["sysctl"]
    assert sysctls["net/ipv4/ip_forward"] == "1"
    assert sysctls["net/ipv4/conf/@underlay/rp_filter"] == "2|0"
    assert sysctls["net/ipv4/conf/aws1-1/rp_filter"] == "2|0"
    assert not [key for key in sysctls if "ipv6" in key]


def test_a_gateway_that_is_the_router() -> None:
    made = plan(router=None, vpn1=host(105, "vpn_gateways", "routers"))
    assert made.model.hosts["vpn1"].roles == ("router", "vpn_gateway")
    assert state(made, "vpn1")["route"] == {"4 254 10.20.0.0/16": DISCARD}
    assert "4 254 10.20.0.0/16" not in state(made, "vpn1", "router")["route"]


def test_a_gateway_that_is_a_hypervisor() -> None:
    made = plan(changed(gateway="host1"), host1=host(103, "hypervisors", "vpn_gateways"), vpn1=None)
    assert made.model.hosts["host1"].roles == ("antispoof", "security_groups", "hypervisor", "vpn_gateway")
    # Those to the networks are in the other slice, and the kernel takes each only once.
    assert state(made, "host1")["route"] == {"4 254 10.20.0.0/16": DISCARD}
    assert state(made, "host1", "hypervisor")["route"]["4 254 10.10.20.0/24"] == ROUTER
    assert state(made, "router", "router")["route"]["4 254 10.20.0.0/16"] == "via 192.168.56.103 dev @underlay"


def test_a_gateway_that_is_all() -> None:
    host1 = host(103, "hypervisors", "routers", "vpn_gateways")
    made = plan(changed(gateway="host1"), host1=host1, vpn1=None, router=None)
    slices = [state(made, "host1", role) for role in ("hypervisor", "router", "vpn_gateway")]
    keys = [key for found in slices for key in found["route"]]
    assert len(keys) == len(set(keys))
    assert slices[2]["route"] == {"4 254 10.20.0.0/16": DISCARD}


def test_a_gateway_without_a_router_or_a_hypervisor() -> None:
    made = plan(host1=None, router=None, guests=[])
    assert state(made, "vpn1")["route"] == {"4 254 10.20.0.0/16": DISCARD}


def test_a_hypervisor_of_flat_networks_only_needs_the_routes() -> None:
    flat = {"name": "flat", "cidr": "192.0.2.0/24", "bridge": "xenbr0", "gateway": "192.0.2.1"}
    guests = [{"name": "dom", "hypervisor": "host2", "network": "flat"}, *GUESTS]
    made = plan(
        changed(gateway="host2"),
        networks=[*NETWORKS, flat],
        guests=guests,
        vpn1=None,
        host2=host(104, "hypervisors", "vpn_gateways"),
    )
    assert state(made, "host2", "hypervisor") == {}
    assert state(made, "host2")["route"]["4 254 10.10.10.0/24"] == ROUTER
    # It is on a bridge of others: nobody here routes for it.
    assert [prefix.text for prefix in made.model.connections["aws1"].announce] == ["10.10.10.0/24", "10.10.20.0/24"]


def test_two_gateways_know_their_own_only() -> None:
    elsewhere = second(gateway="vpn2")
    elsewhere["tunnels"][0]["outside_address"] = "203.0.113.20"
    made = plan(AWS1, elsewhere, vpn2=host(106, "vpn_gateways"))
    assert [key for key, value in state(made, "vpn2")["route"].items() if value == DISCARD] == ["4 254 10.40.0.0/16"]
    routes = state(made, "router", "router")["route"]
    assert routes["4 254 10.20.0.0/16"] == VPN1
    assert routes["4 254 10.40.0.0/16"] == "via 192.168.56.106 dev @underlay"


def test_static_routes_and_single_addresses() -> None:
    static = changed(static_routes=["10.20.0.0/16", "172.16.7.7/32"])
    del static["accept"]
    made = plan(static)
    assert state(made, "vpn1")["route"]["4 254 172.16.7.7"] == DISCARD
    assert state(made, "router", "router")["route"]["4 254 172.16.7.7"] == VPN1


def test_the_default_route_is_nobodys() -> None:
    made = plan(changed(accept=["0.0.0.0/0", "10.20.0.0/16"]))
    for name, role in (("vpn1", "vpn_gateway"), ("router", "router")):
        found = json.dumps(state(made, name, role)["route"])
        assert "0.0.0.0/0" not in found
        assert "default" not in found
    assert "0.0.0.0/0" not in json.dumps(state(made, "router", "router"))


def test_a_gateway_without_a_connection_is_nothing() -> None:
    made = plan(vpn2=host(106, "vpn_gateways"))
    found = made.slice("vpn2", "vpn_gateway")
    assert (found["state"], found["underlay"], found["common"]) == ({}, None, False)
    files = dict(made.hosts())["vpn2"]["files"]["vpn_gateway"]
    assert files["files"] == files["units"] == files["validate"] == []
    assert not expect.of_host(made.summary(), "vpn2")


def test_the_kernel_keeps_the_route_that_discards(netns: Netns) -> None:
    subsystem, context = Route(), Context(VPN_GATEWAY)
    wanted = {"4 254 10.20.0.0/16": DISCARD, "4 254 172.16.7.7": DISCARD}

    def run(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
        delta = Delta.between(before, after)
        for command in (*subsystem.put(context, delta), *subsystem.drop(context, delta)):
            netns.sh(f"{' '.join(command.argv)} <<END\n{command.stdin}END\n")
        outputs = [Output(0, netns.sh(" ".join(command.argv))) for command in subsystem.read(context)]
        return subsystem.parse(context, outputs)

    assert run({}, wanted) == wanted
    # Whoever knows a way goes first.
    netns.sh("ip link set lo up; ip route add 10.20.0.0/16 dev lo metric 20 proto 186")
    assert " dev lo " in netns.sh("ip route get 10.20.0.1")
    assert run(wanted, wanted) == wanted
    assert run(wanted, {}) == {}
    assert "proto 186" in netns.sh("ip -N route show")


# Who is kept apart


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_the_other_side_is_not_natted_and_belongs_to_its_vpc(backend: str) -> None:
    router = host(101, "routers", vpc_backend=backend)
    start = "inet plainlinux_router set internal4 " if backend == "nftables" else "vpc-router-internal4 "
    sets = "nft" if backend == "nftables" else "ipset"
    one = state(plan(router=router), "router", "router")
    assert f"{start}10.20.0.0/16" in one[sets]
    assert "drop" not in json.dumps(one).lower()
    two = state(plan(router=router, networks=TWO_VPCS), "router", "router")
    own, other = (
        [key.rpartition(" ")[2] for key in two[sets] if f"{name}{identity.short(vpc)} " in key]
        for name in ["reach4_" if backend == "nftables" else "to4-"]
        for vpc in ("default", "shop")
    )
    assert own == ["10.10.10.0/24", "10.10.20.0/24", "10.20.0.0/16"]
    assert other == ["10.30.0.0/24"]


def test_a_wide_other_side_does_not_open_the_other_vpc() -> None:
    made = plan(changed(accept=["10.0.0.0/8"]), networks=TWO_VPCS)
    found = state(made, "router", "router")["nft"]
    start = "inet plainlinux_router set "
    own = [
        parse_prefix(4, key.rpartition(" ")[2])
        for key in found
        if key.startswith(f"{start}reach4_{identity.short('default')} ")
    ]
    inside, outside = (parse_prefix(4, text).base for text in ("10.30.0.0/24", "10.30.1.0/24"))
    assert not any(prefix.contains(inside) for prefix in own)
    assert any(prefix.contains(outside) for prefix in own)
    # A set takes no overlaps.
    assert [key for key in found if key.startswith(f"{start}internal4 ")] == [f"{start}internal4 10.0.0.0/8"]
    assert sum(prefix.size for prefix in own) == 2**24 - 2**8


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_the_gateways_own_backend(backend: str) -> None:
    found = state(plan(vpn1=host(105, "vpn_gateways", vpc_backend=backend)), "vpn1")
    assert ("nft" in found, "ipset" in found) == (backend == "nftables", backend == "iptables")


def test_without() -> None:
    wide, hole = parse_prefix(4, "10.0.0.0/30"), parse_prefix(4, "10.0.0.2/32")
    assert [prefix.text for prefix in without(wide, [hole])] == ["10.0.0.0/31", "10.0.0.3/32"]
    assert without(hole, [wide]) == []
    assert without(wide, []) == [wide]
    assert destination(hole) == "10.0.0.2"
    assert destination(parse_prefix(6, "2001:db8::1/128")) == "2001:db8::1"


# What it needs, and what others read


@pytest.mark.parametrize(
    "variables, modules",
    [
        ({}, ["esp4", "xfrm_interface"]),
        ({"vpn_gateway_ipsec_backend": "userland"}, ["tun"]),
        ({"vpn_gateway_provider": "racoon_quagga"}, ["af_key", "esp4"]),
    ],
)
def test_modules_and_programs(variables: dict[str, str], modules: list[str]) -> None:
    made = plan(legacy(), vpn1=host(105, "vpn_gateways", **variables))
    assert sorted(state(made, "vpn1")["module"]) == modules
    assert ("xfrm" in state(made, "vpn1")) is ("xfrm_interface" in modules)
    ((name, content),) = (
        (name, item["files"]["vpn_gateway"]) for name, item in made.hosts() if "vpn_gateway" in item["files"]
    )
    known = made.summary()["hosts"]["vpn1"]["vpn"]
    assert (name, content["id"], content["host"]) == ("vpn1", "id", "vpn1")
    assert known == {"provider": content["provider"], "ipsec_backend": content["ipsec"]}
    assert content["tunnels"] == [
        {
            "name": f"aws1-{number}",
            "path": f"vpc_vpn_connections[0].tunnels[{number - 1}]",
            "psk_variable": f"psk{number}",
        }
        for number in (1, 2)
    ]
    text = json.dumps(content)
    assert "@psk aws1-1@" in text
    assert "@hostname@" in text
    assert ("@racoon@/psk.txt" in text) is (content["provider"] == "racoon_quagga")
    assert ("@no ipv6 forwarding@" in text) is (content["provider"] == "strongswan_frr")
    assert [item["dest"] for item in content["files"] if item["secret"]] == [
        item["dest"] for item in content["files"] if "@psk " in item["content"]
    ]
    assert json.loads(text) == content


def test_the_summary() -> None:
    found = plan(AWS1, second()).summary()
    assert json.loads(json.dumps(found)) == found
    assert list(found["connections"]) == ["aws1", "aws2"]
    aws1 = found["connections"]["aws1"]
    assert {key: aws1[key] for key in ("gateway", "vpc", "announce", "accept", "remote", "mode", "lab_host")} == {
        "gateway": "vpn1",
        "vpc": "default",
        "announce": ["10.10.10.0/24", "10.10.20.0/24"],
        "accept": ["10.20.0.0/16"],
        "remote": ["10.20.0.0/16"],
        "mode": "active_active",
        "lab_host": "10.20.0.10",
    }
    assert aws1["bgp"] == {"customer_asn": 65000, "amazon_asn": 64512, "hold_time": 30}
    tunnel = aws1["tunnels"][1]
    assert (tunnel["name"], tunnel["inside_address"], tunnel["peer_inside_address"]) == (
        "aws1-2",
        "169.254.252.6",
        "169.254.252.5",
    )
    assert (tunnel["mtu"], tunnel["mss"], tunnel["ike"]["dh"]) == (1438, 1398, [20, 14])
    assert "vpn" not in found["hosts"]["router"]
    assert plan(guests=[]).summary()["hosts"]["vpn1"]["roles"] == ["vpn_gateway"]


@pytest.mark.parametrize(
    "remote, expected",
    [
        (["10.20.0.0/16"], "10.20.0.10"),
        (["0.0.0.0/0", "10.20.0.7/32", "10.20.0.16/28"], "10.20.0.26"),
        (["10.20.0.16/29"], "10.20.0.17"),
        (["10.20.0.16/31"], "10.20.0.16"),
        (["10.20.0.7/32"], None),
        ([], None),
        # Ours is in it.
        (["10.10.0.0/16"], "10.10.0.10"),
        (["10.10.10.0/23"], "10.10.11.9"),
    ],
)
def test_the_lab_host(remote: list[str], expected: str | None) -> None:
    ours = [parse_prefix(4, "10.10.10.0/24")]
    assert lab_host([parse_prefix(4, text) for text in remote], ours) == expected


# Who reaches whom


def test_guests_ask_the_other_side() -> None:
    guests = [*GUESTS, {"name": "vm9", "hypervisor": "host1", "network": "shop"}]
    probes = expect.of_guests(plan(changed(announce=["10.10.10.0/25"]), networks=TWO_VPCS, guests=guests).summary())
    assert [probe for probe in probes if probe.target == "VPN aws1"] == [
        Probe("vm1", "VPN aws1", "10.20.0.10", "ping", "reach"),
        Probe("vm9", "VPN aws1", "10.20.0.10", "ping", "blocked"),
    ]


def test_not_all_of_many_guests_ask_the_other_side() -> None:
    guests = [{"name": f"g{number:03}", "hypervisor": "host1", "network": "net1"} for number in range(200)]
    probes = [probe for probe in expect.of_guests(plan(guests=guests).summary()) if probe.target == "VPN aws1"]
    assert len(probes) == expect.HOST_PROBES


def test_a_gateway_asks_guests() -> None:
    summary = plan().summary()
    assert {probe.address for probe in expect.of_host(summary, "vpn1")} == {"10.10.10.10", "10.10.20.10"}
