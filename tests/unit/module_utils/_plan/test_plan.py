# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner: what each host is told, and that the same inventory always gives the same plan."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan, merge
from hypothesis import given, settings
from hypothesis import strategies as st

NETWORKS = [
    {"name": "net1", "cidr": "10.10.10.0/24", "cidr6": "2001:db8:10::/64", "nat": True},
    {"name": "net2", "cidr": "10.10.20.0/24"},
    {"name": "six", "cidr6": "2001:db8:66::/64", "local_switching": "bridged"},
]
GUESTS = [
    {"name": "vm1", "hypervisor": "host1", "network": "net1", "address": "10.10.10.10", "address6": "2001:db8:10::10"},
    {"name": "vm2", "hypervisor": "host2", "network": "net1"},
    {
        "name": "vm3",
        "hypervisor": "host2",
        "interfaces": [{"network": "net2"}, {"network": "six", "mac": "52:54:00:00:00:01", "vif": "tap7"}],
    },
]


def host(number: int, *groups: str, backend: str = "nftables") -> dict[str, Any]:
    return {
        "groups": list(groups),
        "vpc_underlay_address": f"192.168.56.{number}",
        "vpc_underlay_address6": None,
        "vpc_backend": backend,
    }


def inventory(**changes: Any) -> dict[str, Any]:
    hosts = {
        "host1": host(103, "hypervisors"),
        "host2": host(104, "hypervisors"),
        "router": host(101, "routers"),
    }
    return {"vpc_networks": NETWORKS, "vpc_instances": GUESTS, "hosts": hosts, **changes}


def plan(**changes: Any) -> Plan:
    return Plan(parse(inventory(**changes)), "id")


def everything(made: Plan) -> str:
    """The whole plan as text."""
    return json.dumps([made.summary(), made.common(), list(made.hosts())])


def test_a_hypervisor_has_a_bridge_for_each_network_with_a_guest() -> None:
    state = plan().slice("host1", "hypervisor")["state"]
    assert state["link"] == {"br-net1": f"bridge address {identity.bridge_mac('net1')}"}
    assert state["address"] == {"br-net1 10.10.10.2/32": "present", "br-net1 fe80::1/64": "present"}
    table = identity.table_ids(["net1", "net2", "six"])["net1"]
    assert state["rule"] == {
        "4 20000 iif br-net1": f"lookup {table}",
        "6 20000 iif br-net1": f"lookup {table}",
    }
    router4, router6 = "via 192.168.56.101 dev @underlay", "via fe80::c0a8:3865 dev @underlay"
    assert state["route"] == {
        "4 254 10.10.10.0/24": router4,
        "6 254 2001:db8:10::/64": router6,
        "4 254 10.10.20.0/24": router4,
        "6 254 2001:db8:66::/64": router6,
        f"4 {table} 10.10.10.0/24": router4,
        f"4 {table} default": router4,
        f"6 {table} 2001:db8:10::/64": router6,
        f"6 {table} default": router6,
        "4 254 10.10.10.10": "dev br-net1",
        f"4 {table} 10.10.10.10": "dev br-net1",
        "6 254 2001:db8:10::10": "dev br-net1",
        f"6 {table} 2001:db8:10::10": "dev br-net1",
    }


def test_isolated_and_bridged_networks_differ_in_three_things() -> None:
    isolated = plan().slice("host1", "hypervisor")["state"]
    networks = [{**NETWORKS[0], "local_switching": "bridged"}, *NETWORKS[1:]]
    bridged = plan(vpc_networks=networks).slice("host1", "hypervisor")["state"]
    assert isolated["port"] == {"br-net1": "isolated on"}
    assert bridged["port"] == {"br-net1": "isolated off"}
    assert isolated["sysctl"].pop("net/ipv4/conf/br-net1/proxy_arp_pvlan") == "1"
    assert bridged["sysctl"].pop("net/ipv4/conf/br-net1/proxy_arp_pvlan") == "0"
    assert 'inet plainlinux_hypervisor set isolated "br-net1"' in isolated.pop("nft")
    assert "nft" not in bridged
    del isolated["port"], bridged["port"]
    assert isolated == bridged


def test_an_ipv6_only_network_needs_no_ipv4() -> None:
    made = plan(vpc_networks=[NETWORKS[2]], vpc_instances=[{"name": "a", "hypervisor": "host1", "network": "six"}])
    state = made.slice("host1", "hypervisor")["state"]
    assert not [key for name in ("route", "rule") for key in state[name] if key.startswith("4")]
    assert state["address"] == {"br-six fe80::1/64": "present"}
    assert not [key for key in state["sysctl"] if "proxy_arp" in key]
    router = made.slice("router", "router")["state"]
    assert router["address"] == {}
    assert not [key for key in router["nft"] if "nat4" in key]
    assert made.summary()["instances"]["a"]["interfaces"][0]["address"] is None


def test_an_ipv4_only_inventory_asks_for_no_ipv6() -> None:
    made = plan(vpc_networks=[NETWORKS[1]], vpc_instances=[{"name": "a", "hypervisor": "host1", "network": "net2"}])
    assert made.slice("host1", "hypervisor")["underlay6"] is None
    for name, role in (("host1", "hypervisor"), ("router", "router")):
        assert "ipv6" not in json.dumps(made.slice(name, role)["state"]["sysctl"])


def test_a_router_knows_every_guest_and_nothing_else_of_the_networks() -> None:
    state = plan().slice("router", "router")["state"]
    assert state["route"]["4 254 10.10.10.10"] == "via 192.168.56.103 dev @underlay"
    assert state["route"]["6 254 2001:db8:10::10"] == "via fe80::c0a8:3867 dev @underlay"
    for prefix in ("4 254 10.10.10.0/24", "4 254 10.10.20.0/24", "6 254 2001:db8:10::/64", "6 254 2001:db8:66::/64"):
        assert state["route"][prefix] == "unreachable"
    assert len(state["route"]) == 4 + 2 + 2 + 2
    assert state["address"] == {"lo 10.10.10.1/32": "present", "lo 10.10.20.1/32": "present"}


@pytest.mark.parametrize("backend, rule", [("nftables", "nft"), ("iptables", "iptables")])
def test_a_network_more_changes_sets_and_no_nat_rule(backend: str, rule: str) -> None:
    hosts = {**inventory()["hosts"], "router": host(101, "routers", backend=backend)}
    few = plan(hosts=hosts).slice("router", "router")["state"]
    networks = [*NETWORKS, {"name": "net9", "cidr": "10.10.90.0/24", "nat": True}]
    many = plan(hosts=hosts, vpc_networks=networks).slice("router", "router")["state"]
    sets = "nft" if backend == "nftables" else "ipset"
    assert [key for key in few[rule] if " chain " in key or "postrouting" in key]
    assert {key: many[rule][key] for key in few[rule]} == few[rule]
    assert {key.split()[-1] for key in many[sets].keys() - few[sets].keys()} == {"10.10.90.0/24"}


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_vpcs_are_kept_apart_on_the_router_and_one_vpc_costs_nothing(backend: str) -> None:
    hosts = {**inventory()["hosts"], "router": host(101, "routers", backend=backend)}
    one = json.dumps(plan(hosts=hosts).slice("router", "router"))
    assert "drop" not in one.lower()
    networks = [NETWORKS[0], {**NETWORKS[1], "vpc": "other"}, NETWORKS[2]]
    state = plan(hosts=hosts, vpc_networks=networks).slice("router", "router")["state"]
    name = identity.short("other")
    if backend == "nftables":
        forward = state["nft"]["inet plainlinux_router chain forward"].splitlines()
        assert forward[1:] == ["ip saddr vmap @from4", "ip6 saddr vmap @from6"]
        assert state["nft"]["inet plainlinux_router map from4 10.10.20.0/24"] == f"jump sent_{name}"
        assert state["nft"][f"inet plainlinux_router chain sent_{name}"].splitlines() == [
            f"ip daddr @reach4_{name} return",
            "ip daddr @internal4 drop",
            f"ip6 daddr @reach6_{name} return",
            "ip6 daddr @internal6 drop",
        ]
        assert state["nft"][f"inet plainlinux_router set reach4_{name} 10.10.20.0/24"] == "element"
    else:
        assert state["iptables"]["4 filter vpc-router-apart"].splitlines()[0] == (
            "-m set ! --match-set vpc-router-internal4 dst -j RETURN"
        )
        drops = state["iptables"]["4 filter vpc-router-apart"].splitlines()[1:]
        assert len(drops) == 2
        assert (
            f"-m set --match-set vpc-router-of4-{name} src -m set ! --match-set vpc-router-to4-{name} dst -j DROP"
            in drops
        )
        assert state["ipset"][f"vpc-router-of4-{name} 10.10.20.0/24"] == "member"
        for parent in ("FORWARD", "INPUT"):
            assert state["iptables"][f"4 filter {parent} -> vpc-router-{parent.lower()}"] == "first"


def test_a_host_that_is_its_own_router_has_no_route_to_itself() -> None:
    hosts = {"host1": host(103, "hypervisors", "routers"), "host2": host(104, "hypervisors")}
    made = plan(hosts=hosts)
    both = merge(
        made.slice("host1", "hypervisor"), {"state": {"route": made.slice("host1", "router")["state"]["route"]}}
    )["state"]["route"]
    assert not [key for key, value in both.items() if "192.168.56.103" in value]
    hypervisor, router = (made.slice("host1", role)["state"]["route"] for role in ("hypervisor", "router"))
    assert not hypervisor.keys() & router.keys()
    assert "via 192.168.56.103 dev @underlay" in made.slice("host2", "hypervisor")["state"]["route"].values()


def test_left_out_things_are_filled_in() -> None:
    instances = plan().summary()["instances"]
    interface = instances["vm1"]["interfaces"][0]
    assert interface["mac"] == "52:54:00:0a:0a:0a"
    assert interface["vif"] == "vm1.0"
    first, second = instances["vm3"]["interfaces"]
    assert ipaddress.ip_interface(first["address"]).network == ipaddress.ip_network("10.10.20.0/24")
    assert (second["mac"], second["vif"], second["address"]) == ("52:54:00:00:00:01", "tap7", None)
    assert ipaddress.ip_address(second["address6"].partition("/")[0]) in ipaddress.ip_network("2001:db8:66::/64")


@given(
    st.lists(st.tuples(st.sampled_from(["net1", "net2", "six"]), st.booleans()), max_size=60),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_plans_are_deterministic_disjoint_and_stable(guests: list[tuple[str, bool]], random: Any) -> None:
    instances = [
        {"name": f"g{number}", "hypervisor": f"host{1 + here}", "network": network}
        for number, (network, here) in enumerate(guests)
    ]
    made = plan(vpc_instances=instances)
    shuffled = list(instances)
    random.shuffle(shuffled)
    assert everything(plan(vpc_instances=shuffled)) == everything(made)
    interfaces = [item["interfaces"][0] for item in made.summary()["instances"].values()]
    for key in ("address", "address6"):
        given_out = [interface[key] for interface in interfaces if interface[key]]
        assert len(given_out) == len(set(given_out))
    reserved = {"10.10.10.0", "10.10.10.1", "10.10.10.2", "10.10.10.255"}
    assert not reserved & {str(interface["address"]).partition("/")[0] for interface in interfaces}
    macs = [(interface["network"], interface["mac"]) for interface in interfaces]
    assert len(macs) == len(set(macs))


def test_tables_and_names_do_not_move_when_networks_come_and_go() -> None:
    names = [f"n{number}" for number in range(1000)]
    ids = identity.table_ids(names)
    assert len(set(ids.values())) == len(names)
    assert all(identity.TABLE_BASE <= value < identity.TABLE_BASE + identity.TABLE_SIZE for value in ids.values())
    assert identity.table_ids(reversed(names)) == ids
    assert {name: ids[name] for name in names[::2]} == identity.table_ids(names[::2])


def test_derived_interface_names_fit_the_kernel() -> None:
    names = [identity.vif_name(name, 12) for name in ("a", "a-very-long-guest-name", "x" * 40, "dotted.name")]
    assert all(len(name) <= 15 for name in names)
    assert len(set(names)) == len(names)


def test_derived_macs_and_names_give_way_to_chosen_ones() -> None:
    instances = [
        {"name": "a", "hypervisor": "host1", "network": "net1", "address": "10.10.10.10"},
        {
            "name": "b",
            "hypervisor": "host1",
            "network": "net1",
            "address": "10.10.10.11",
            "mac": "52:54:00:0a:0a:0a",
            "vif": "a.0",
        },
    ]
    made = plan(vpc_instances=instances).summary()["instances"]
    first, second = (made[name]["interfaces"][0] for name in "ab")
    assert (second["mac"], second["vif"]) == ("52:54:00:0a:0a:0a", "a.0")
    assert first["mac"] != second["mac"]
    assert first["vif"] != second["vif"]
    alone = plan(vpc_instances=instances[:1]).summary()["instances"]["a"]["interfaces"][0]
    assert (alone["mac"], alone["vif"]) == ("52:54:00:0a:0a:0a", "a.0")


def test_a_mac_is_unicast_and_locally_administered() -> None:
    for name in ("net1", "net2"):
        assert int(identity.bridge_mac(name)[:2], 16) & 3 == 2
    assert identity.mac_of_address(int(ipaddress.ip_address("10.10.10.10"))) == "52:54:00:0a:0a:0a"
