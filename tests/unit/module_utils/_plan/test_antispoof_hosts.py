# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's slice of a host: what follows from the inventory, and the short way to the templates of many guests."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    parse_ipv4,
    parse_ipv6,
    parse_prefix,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import forms, hosts, iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import (
    ROLES,
    Guest,
    elements,
    template,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.state import static
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import Layout
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from hypothesis import given
from hypothesis import strategies as st

VIRTUAL_MAC = "00:00:5e:00:01:07"
NETWORKS = [
    {"name": "net1", "cidr": "10.10.10.0/24", "cidr6": "2001:db8:10::/64"},
    {
        "name": "lan",
        "bridge": "xenbr0",
        "uplinks": ["peth1", "peth0"],
        "cidr": "192.168.56.0/24",
        "cidr6": "2001:db8:56::/64",
        "gateway6": "2001:db8:56::1",
        "log_drops": True,
    },
]
BACKENDS = pytest.mark.parametrize("backend", ["nftables", "iptables"])


def address(text: str) -> tuple[int, int]:
    return (6, parse_ipv6(text)) if ":" in text else (4, parse_ipv4(text))


def prefix(text: str) -> Prefix:
    return parse_prefix(6 if ":" in text else 4, text)


def plan(*instances: dict[str, Any], networks: list[dict[str, Any]] | None = None, **host1: Any) -> Plan:
    """Guests are in net1 on host1 unless they say otherwise. host1: its host variables."""
    raw = {
        "vpc_networks": networks or NETWORKS,
        "vpc_instances": [{"network": "net1", "hypervisor": "host1", **item} for item in instances],
        "hosts": {
            "host1": {"groups": ["hypervisors"], "vpc_underlay_address": "192.168.56.11", **host1},
            "host2": {"groups": ["hypervisors", "routers"], "vpc_underlay_address": "192.168.56.12"},
        },
    }
    return Plan(parse(raw), "id")


def layout(*instances: dict[str, Any]) -> Layout:
    return plan(*instances).layout


def test_the_guard_is_the_first_role_of_a_hypervisor_unless_refused() -> None:
    assert next(iter(SCOPES)) == "antispoof"
    made = plan(vpc_antispoof=False)
    assert [(name, role) for name, content in made.hosts() for role in content["slices"]] == [
        ("host1", "security_groups"),
        ("host1", "hypervisor"),
        ("host2", "antispoof"),
        ("host2", "security_groups"),
        ("host2", "hypervisor"),
        ("host2", "router"),
    ]
    assert made.summary()["hosts"]["host2"]["roles"] == ["antispoof", "security_groups", "hypervisor", "router"]


def test_guests_of_an_inventory() -> None:
    found = hosts.guests(
        layout(
            {
                "name": "vm1",
                "address": "10.10.10.10",
                "address6": "2001:db8:10::10",
                "mac": "00:16:3e:00:00:01",
                "vif": "vif1.0",
                "allowed_addresses": ["10.10.10.9", "10.20.0.0/16"],
                "allowed_pairs": [{"mac": VIRTUAL_MAC, "address": "10.10.10.7"}],
                "roles": ["vrrp"],
            },
            {
                "name": "www",
                "network": "lan",
                "address": "192.168.56.43",
                "address6": "2001:db8:56::43",
                "mac": "00:16:3e:00:00:02",
            },
            {"name": "vm2", "hypervisor": "host2"},
        ),
        "host1",
    )
    assert found == {
        "vif1.0": Guest(
            "00:16:3e:00:00:01",
            (address("10.10.10.10"), address("2001:db8:10::10")),
            (("00:16:3e:00:00:01", *address("10.10.10.9")), (VIRTUAL_MAC, *address("10.10.10.7"))),
            (prefix("10.20.0.0/16"),),
            frozenset(("vrrp",)),
        ),
        "www.0": Guest("00:16:3e:00:00:02", (address("192.168.56.43"), address("2001:db8:56::43")), logged=True),
    }


def test_a_start_may_name_the_ipv6_address_where_the_network_is_flat_and_the_inventory_names_none() -> None:
    guests = hosts.guests(
        layout(
            {"name": "routed", "address6": "none"},
            {"name": "both", "network": "lan"},
            {"name": "legacy", "network": "lan", "address6": "none"},
            {"name": "second", "network": "lan", "address6": "none", "allowed_addresses": ["2001:db8:56::9"]},
            {"name": "whole", "network": "lan", "address6": "none", "allowed_addresses": ["2001:db8:56::/80"]},
        ),
        "host1",
    )
    assert [vif for vif, guest in guests.items() if guest.open6] == ["legacy.0"]
    four = [NETWORKS[0], {"name": "lan", "bridge": "xenbr0", "cidr": "192.168.56.0/24"}]
    made = plan({"name": "old", "network": "lan"}, networks=four)
    assert hosts.guests(made.layout, "host1")["old.0"].open6


def test_gateways_and_the_host_itself_are_protected_and_uplinks_are_known() -> None:
    routed = {"name": "vm1"}
    assert hosts.policy(layout(routed), "host1") == Policy(
        protected4=(parse_ipv4("10.10.10.1"), parse_ipv4("10.10.10.2")), protected6=(parse_ipv6("fe80::1"),)
    )
    flat = {"name": "www", "network": "lan"}
    made = plan(flat, vpc_antispoof_trusted_ports=["mon1", "mon0"], vpc_underlay_address6="2001:db8:57::11")
    assert hosts.policy(made.layout, "host1") == Policy(
        uplinks=("peth0", "peth1"),
        trusted=("mon0", "mon1"),
        protected4=(parse_ipv4("192.168.56.1"), parse_ipv4("192.168.56.11")),
        protected6=(parse_ipv6("2001:db8:56::1"), parse_ipv6("2001:db8:57::11")),
        log=True,
    )
    assert hosts.policy(made.layout, "host2") == Policy()
    both = hosts.policy(layout(routed, flat), "host1")
    assert (len(both.protected4), len(both.protected6), both.uplinks) == (4, 3, ("peth0", "peth1"))


def test_a_virtual_router_of_two_hosts_is_not_local_to_one() -> None:
    pair = {"allowed_pairs": [{"mac": VIRTUAL_MAC, "address": "10.10.10.7"}], "roles": ["vrrp"]}
    one = {"name": "vm1", **pair}
    alone = {text for _name, text in elements(hosts.guests(layout(one), "host1")["vm1.0"])}
    assert {VIRTUAL_MAC, "10.10.10.7"} <= alone
    beside = hosts.guests(layout(one, {"name": "vm2", **pair}), "host1")["vm1.0"]
    assert {VIRTUAL_MAC, "10.10.10.7"} <= {text for _name, text in elements(beside)}
    twin = hosts.guests(layout(one, {"name": "vm2", "hypervisor": "host2", **pair}), "host1")["vm1.0"]
    assert not {VIRTUAL_MAC, "10.10.10.7"} & {text for _name, text in elements(twin)}


def test_addresses_that_guests_share_are_given_to_nobody() -> None:
    free = layout({"name": "vm1"}).ports[0].addresses[0][1]
    found = layout({"name": "vm1"}, {"name": "vm2", "allowed_addresses": [free]})
    assert found.ports[0].addresses[0][1] != free


@BACKENDS
def test_a_slice_has_what_a_host_needs_to_bind_ports(backend: str) -> None:
    made = plan(
        {"name": "vm1", "mac": "52:54:00:0a:0a:0a"},
        {"name": "www", "network": "lan", "vif": "vif1.0", "mac": "00:16:3e:38:b4:ac"},
        {"name": "far", "hypervisor": "host2"},
        vpc_backend=backend,
        vpc_antispoof_trusted_ports=["mon0"],
    )
    found = made.slice("host1", "antispoof")
    state, ports = found.pop("state"), found.pop("ports")
    assert found == {
        "format": 1,
        "id": "id",
        "host": "host1",
        "scope": "antispoof",
        "underlay": None,
        "underlay6": None,
        "tables": {},
        "common": False,
    }
    policy = hosts.policy(made.layout, "host1")
    by_mac = {guest.mac.replace(":", "-"): guest for guest in hosts.guests(made.layout, "host1").values()}
    assert ports.pop("guests") == {name: template(guest, backend) for name, guest in by_mac.items()}
    settings, chains = "no_linklocal_learn 1", {}
    if backend == "iptables":
        settings += " nf_call_iptables 1 nf_call_ip6tables 1"
        chains = {"chains": iptables.chains(policy)}
    assert ports == {
        "names": {"vm1.0": "52-54-00-0a-0a-0a", "vif1.0": "00-16-3e-38-b4-ac"},
        "bridges": {
            "br-net1": {"own": True, "uplinks": [], "settings": settings},
            "xenbr0": {"own": False, "uplinks": ["peth1", "peth0"], "settings": settings},
        },
        "trusted": ["mon0"],
        **chains,
    }
    assert state.pop("nft") == static(policy, ["vm1.0", "vif1.0"], backend)
    if backend == "iptables":
        assert state == {"module": {"br_netfilter": "loaded"}, "iptables": iptables.jumps()}
    else:
        assert state == {}


def test_a_host_without_guests_has_a_guard_as_well() -> None:
    found = plan().slice("host1", "antispoof")
    assert found["state"]["nft"] == static(Policy())
    assert found["ports"] == {"guests": {}, "names": {}, "bridges": {}, "trusted": []}


SHAPES = st.tuples(
    st.binary(min_size=6, max_size=6),
    st.one_of(st.none(), st.integers(1, 2**32 - 1)),
    st.one_of(st.none(), st.integers(1, 2**128 - 1), st.integers(0x2001 << 112, 0x2002 << 112)),
    st.frozensets(st.sampled_from(ROLES)),
    st.booleans(),
    st.booleans(),
)


@BACKENDS
@given(SHAPES)
def test_the_short_way_says_what_the_long_one_does(backend: str, shape: tuple[Any, ...]) -> None:
    mac, address4, address6, roles, logged, open6 = shape
    addresses = tuple((family, value) for family, value in ((4, address4), (6, address6)) if value is not None)
    guest = Guest(mac.hex(":"), addresses, roles=roles, logged=logged, open6=open6)
    assert forms.template_of(guest, backend) == template(guest, backend)


@BACKENDS
@pytest.mark.parametrize("families", [(4, 4), (6, 6), (4, 6)])
@pytest.mark.parametrize("roles", [(), ROLES])
@pytest.mark.parametrize("open6", [True, False])
def test_the_short_way_is_open(backend: str, families: tuple[int, int], roles: tuple[str, ...], open6: bool) -> None:
    """Else 100,000 guests take seconds."""
    assert forms._form(*families, frozenset(roles), False, open6, backend) is not None


def test_the_long_way_is_taken_by_guests_that_may_do_more() -> None:
    plain = Guest("52:54:00:0a:0a:0a", (address("10.10.10.10"),))
    for guest in (
        plain._replace(pairs=((VIRTUAL_MAC, *address("10.10.10.7")),)),
        plain._replace(prefixes=(prefix("10.20.0.0/16"),)),
        plain._replace(addresses=(*plain.addresses, address("10.10.10.11"), address("10.10.10.12"))),
        plain._replace(addresses=(address("10.10.10.10"), address("10.10.10.11"))),
        plain._replace(addresses=(address("2001:db8:10::10"), address("10.10.10.10"))),
        plain._replace(addresses=()),
    ):
        assert forms.template_of(guest, "nftables") == template(guest, "nftables") != template(plain, "nftables")
