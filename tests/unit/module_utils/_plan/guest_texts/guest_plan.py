# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan whose guests are of every kind that a text may have to describe."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan

NETWORKS: list[dict[str, Any]] = [
    {
        "name": "net1",
        "cidr": "10.10.10.0/24",
        "cidr6": "2001:db8:10::/64",
        "dns": ["10.10.10.2", "2001:db8:10::2"],
        "search": ["net1.internal", "example.com"],
        "mtu": 1400,
    },
    {
        "name": "net2",
        "cidr": "10.10.20.0/24",
        "cidr6": "2001:db8:20::/64",
        "local_switching": "bridged",
        "routes": [
            {"to": "198.51.100.0/24", "via": "10.10.20.10"},
            {"to": "2001:db8:f::/48", "via": "2001:db8:20::10"},
        ],
    },
    {"name": "net4", "cidr": "10.10.40.0/24"},
    {"name": "net6", "cidr6": "2001:db8:60::/64"},
    {
        "name": "flat",
        "cidr": "10.10.50.0/24",
        "cidr6": "2001:db8:50::/64",
        "bridge": "xenbr0",
        "uplinks": ["peth0"],
        "gateway": "10.10.50.1",
        "gateway6": "2001:db8:50::1",
    },
]


def _at(network: int, last: int, *families: int) -> dict[str, Any]:
    found = {4: ("address", f"10.10.{network}.{last}"), 6: ("address6", f"2001:db8:{network}::{last}")}
    return dict(found[family] for family in families or (4, 6))


GUESTS: list[dict[str, Any]] = [
    {"name": "vm1", "network": "net1", **_at(10, 10)},
    {"name": "vm2", "network": "net1", **_at(10, 11)},
    {"name": "vm3", "network": "net2", **_at(20, 10)},
    {"name": "four", "network": "net4", **_at(40, 10, 4)},
    {"name": "six", "network": "net6", **_at(60, 10, 6)},
    {"name": "only4", "network": "net1", **_at(10, 14, 4), "address6": "none"},
    {"name": "plain", "network": "flat", **_at(50, 10)},
    {"name": "two", "interfaces": [{"network": "net1", **_at(10, 12)}, {"network": "net2", **_at(20, 12)}]},
    {"name": "twin", "interfaces": [{"network": "net2", **_at(20, 13)}, {"network": "net2", **_at(20, 14)}]},
    # The default route of each family is another interface's.
    {"name": "split", "interfaces": [{"network": "net4", **_at(40, 11, 4)}, {"network": "net1", **_at(10, 13)}]},
    {"name": "mixed", "interfaces": [{"network": "flat", **_at(50, 11)}, {"network": "net6", **_at(60, 11, 6)}]},
]


def variables(
    networks: list[dict[str, Any]] | None = None, guests: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "vpc_networks": NETWORKS if networks is None else networks,
        "vpc_instances": [{"hypervisor": "host1", **guest} for guest in (GUESTS if guests is None else guests)],
        "hosts": {
            "host1": {
                "groups": ["hypervisors"],
                "vpc_underlay_address": "192.168.56.103",
                "vpc_underlay_address6": "2001:db8:56::103",
            },
            "router": {
                "groups": ["routers"],
                "vpc_underlay_address": "192.168.56.101",
                "vpc_underlay_address6": "2001:db8:56::101",
            },
        },
    }


def plan(networks: list[dict[str, Any]] | None = None, guests: list[dict[str, Any]] | None = None) -> Plan:
    return Plan(parse(variables(networks, guests)), "test")


def summary(networks: list[dict[str, Any]] | None = None, guests: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """As it is read from plan.json."""
    found: dict[str, Any] = json.loads(json.dumps(plan(networks, guests).summary()))
    return found
