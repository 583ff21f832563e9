# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories of any size: what a benchmark plans and applies."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import SECTIONS, parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan

UNDERLAY = ipaddress.IPv4Address("192.168.60.0")
ROUTER = "192.168.56.101"
FLAT = ipaddress.IPv4Address("10.64.0.0")
FLAT_GATEWAY = FLAT + 0xFFFE
FLAT6 = ipaddress.IPv6Address("2001:db8::")
GUESTS_PER_NETWORK = 100
NOTHING: dict[str, Any] = {section: [] for section in SECTIONS}


def networks(count: int, ipv6: bool) -> list[dict[str, Any]]:
    """/23 networks from 10.0.0.0 on; every other one reaches the internet."""
    found = []
    for index in range(count):
        network: dict[str, Any] = {
            "name": f"n{index}",
            "cidr": f"{ipaddress.IPv4Address((10 << 24) + index * 512)}/23",
            "nat": index % 2 == 0,
        }
        if ipv6:
            network["cidr6"] = f"2001:db8:{index + 1:x}::/64"
        found.append(network)
    return found


def guests(count: int, hypervisors: int, spread: int, ipv6: bool) -> Iterator[dict[str, Any]]:
    """Guests dealt out to networks and hypervisors in turn, each with its addresses written down."""
    for index in range(count):
        network, host = index % spread, index // spread + 10
        guest = {
            "name": f"vm{index}",
            "hypervisor": f"hv{index % hypervisors}",
            "network": f"n{network}",
            "address": str(ipaddress.IPv4Address((10 << 24) + network * 512 + host)),
        }
        if ipv6:
            guest["address6"] = f"2001:db8:{network + 1:x}::{host:x}"
        yield guest


def hosts(hypervisors: int) -> dict[str, str]:
    """Underlay address by host name, the router first."""
    return {"router": ROUTER, **{f"hv{index}": str(UNDERLAY + index) for index in range(hypervisors)}}


def raw(count: int, hypervisors: int, ipv6: bool = True) -> dict[str, Any]:
    """The planner's input for so many guests, as it comes out of an inventory."""
    spread = max(count // GUESTS_PER_NETWORK, 1)
    return {
        **NOTHING,
        "vpc_networks": networks(spread, ipv6),
        "vpc_instances": list(guests(count, hypervisors, spread, ipv6)),
        "hosts": machines(hypervisors, "nftables"),
    }


def machines(hypervisors: int, backend: str) -> dict[str, dict[str, Any]]:
    """The planner's input for a router and so many hypervisors."""
    return {
        name: {
            "groups": ["routers" if name == "router" else "hypervisors"],
            "vpc_underlay_address": address,
            "vpc_underlay_address6": None,
            "vpc_backend": backend,
        }
        for name, address in hosts(hypervisors).items()
    }


def flat(count: int, backend: str, bridge: str = "xenbr0", uplink: str = "peth0") -> dict[str, Any]:
    """The planner's input for one hypervisor whose guests, one address in each family, are on a flat bridge.

    Guest n, from 1 on, has port vif<n>.0, FLAT + n and FLAT6 + n.
    """
    return {
        **NOTHING,
        "vpc_networks": [
            {
                "name": "flat",
                "cidr": f"{FLAT}/16",
                "gateway": str(FLAT_GATEWAY),
                "cidr6": f"{FLAT6}/64",
                "bridge": bridge,
                "uplinks": [uplink],
            }
        ],
        "vpc_instances": [
            {
                "name": f"vm{number}",
                "hypervisor": "hv0",
                "network": "flat",
                "vif": f"vif{number}.0",
                "address": str(FLAT + number),
                "address6": str(FLAT6 + number),
            }
            for number in range(1, count + 1)
        ],
        "hosts": {
            "hv0": {
                "groups": ["hypervisors"],
                "vpc_underlay_address": str(UNDERLAY),
                "vpc_underlay_address6": None,
                "vpc_backend": backend,
            }
        },
    }


def slice_of(host: str, role: str, content: dict[str, Any]) -> dict[str, Any]:
    """The whole slice of one role on one host, as the module gets it."""
    return Plan(parse(content), "benchmark").slice(host, role)


def write_inventory(folder: Path, content: dict[str, Any], form: str) -> None:
    """A folder that Ansible reads as an inventory; the model in group_vars/all. form: yaml or json."""
    model = {key: content[key] for key in ("vpc_networks", "vpc_instances")}
    listed: dict[str, dict[str, Any]] = {"routers": {}, "hypervisors": {}}
    for name, host in content["hosts"].items():
        listed[host["groups"][0]][name] = {"ansible_host": host["vpc_underlay_address"]}
    groups = {"all": {"children": {group: {"hosts": members} for group, members in listed.items()}}}
    (folder / "group_vars").mkdir(parents=True)
    (folder / "hosts.yml").write_text(f"---\n{json.dumps(groups)}\n")
    if form == "json":
        (folder / "group_vars" / "all.json").write_text(json.dumps(model))
    else:
        text = yaml.dump(model, Dumper=yaml.CSafeDumper, sort_keys=False)
        (folder / "group_vars" / "all.yml").write_text(f"---\n{text}")


def underlay(*names: str) -> list[str]:
    """The underlay addresses of these hosts with prefix lengths; IPv6 as the plan gives them by default."""
    found = []
    for name in names:
        address = ipaddress.IPv4Address(hosts(1)[name])
        found += [f"{address}/16", f"{ipaddress.IPv6Address((0xFE80 << 112) + int(address))}/64"]
    return found
