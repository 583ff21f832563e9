# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify asks a hypervisor's daemon."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import GUEST_NETWORK

NETWORKS = [
    {"name": "dual", "cidr": "10.1.0.0/24", "cidr6": "2001:db8:1::/64", "dhcp": True},
    {"name": "four", "cidr": "10.2.0.0/24", "dhcp": True, "domain": "four.example"},
    {"name": "six", "cidr6": "2001:db8:3::/64", "dhcp": True},
    {"name": "plain", "cidr": "10.4.0.0/24"},
]


def questions(*instances: dict[str, Any]) -> dict[str, list[tuple[str, str, int, list[str]]]]:
    """(server, name, family, addresses) of each hypervisor."""
    hosts = {
        name: {"groups": [group], "vpc_underlay_address": f"192.168.0.{number}"}
        for number, (name, group) in enumerate([("r", "routers"), ("h1", "hypervisors"), ("h2", "hypervisors")], 1)
    }
    plan = Plan(parse({"vpc_networks": NETWORKS, "vpc_instances": list(instances), "hosts": hosts}), "id")
    return {
        host: [
            tuple(item[key] for key in ("server", "name", "family", "addresses"))
            for item in found["files"][GUEST_NETWORK]["questions"]
        ]
        for host, found in plan.hosts()
        if GUEST_NETWORK in found["files"]
    }


def guest(name: str, host: str, network: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "hypervisor": host, "network": network, **more}


def test_each_bridge_is_asked_in_each_family_for_a_guest_that_may_be_elsewhere() -> None:
    found = questions(
        guest("b", "h1", "dual", address="10.1.0.11", address6="2001:db8:1::11"),
        guest("a", "h2", "dual", address="10.1.0.10", address6="2001:db8:1::10"),
        guest("c", "h2", "four", address="10.2.0.10"),
        guest("d", "h2", "six", address6="2001:db8:3::10"),
        guest("e", "h2", "plain"),
    )
    dual = [
        ("10.1.0.2", "a.dual.internal", 4, ["10.1.0.10"]),
        ("2001:db8:1::2", "a.dual.internal", 6, ["2001:db8:1::10"]),
    ]
    assert found["h1"] == dual
    assert found["h2"] == [
        *dual,
        ("10.2.0.2", "c.four.example", 4, ["10.2.0.10"]),
        ("2001:db8:3::2", "d.six.internal", 6, ["2001:db8:3::10"]),
    ]


def test_a_guest_with_two_interfaces_in_a_network_has_two_addresses() -> None:
    cards = [{"network": "four", "address": "10.2.0.10"}, {"network": "four", "address": "10.2.0.11"}]
    found = questions({"name": "a", "hypervisor": "h1", "interfaces": cards})
    assert found == {"h1": [("10.2.0.2", "a.four.example", 4, ["10.2.0.10", "10.2.0.11"])], "h2": []}


def test_nothing_is_asked_where_nothing_is_served() -> None:
    assert questions(guest("a", "h1", "plain")) == {"h1": [], "h2": []}
