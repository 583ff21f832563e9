# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories with security groups, and a hypervisor that filters by them: namespaces inside of a sandbox."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Result, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import HYPERVISOR, SECURITY_GROUPS, Scope
from bridged import inside

HOST = "hv0"
BRIDGE = "br-n0"
PORT = 5001
# Guests on one hypervisor elsewhere.
_ELSEWHERE = 500
# The server is the first guest.
_FIRST = ipaddress.IPv4Address("10.0.0.10")
_GATEWAY = "10.0.0.1"
# Rules of one group, and every so many of them one whose peer is a group, a list, and all that there is.
_RULES = 100
_OTHERS = {3: "office", 2: "web", 1: None}
# Hypervisors that a tenant has guests on, tenants on each of them, and what their guests are for.
_TENANT_HOSTS, _TENANTS = 10, 10
_TIERS = ("web", "app", "db")
CLIENT, SERVER = "client", "server"
ADDRESS = str(_FIRST)


def members(count: int, backend: str, switching: str) -> dict[str, Any]:
    """The planner's input for two guests of hv0, of which one may talk to the other as a member of group web.

    count: members of it; the others are on other hypervisors. switching: of their network.
    """
    others = count - 1
    return {
        **fleet.NOTHING,
        "vpc_networks": [{"name": "n0", "cidr": "10.0.0.0/16", "local_switching": switching}],
        "vpc_prefix_lists": [{"name": "office", "prefixes": ["203.0.113.0/24", "198.51.100.0/25"]}],
        "vpc_security_groups": [
            {"name": "web", "ingress": [{"protocol": "tcp", "ports": [80, 443]}]},
            {
                "name": "app",
                "ingress": [
                    {"protocol": "icmp", "type": "echo-request"},
                    {"protocol": "tcp", "ports": 22, "from": "office"},
                    {"protocol": "tcp", "ports": [PORT, 8080], "from": "web"},
                ],
            },
        ],
        "vpc_instances": [
            _guest(SERVER, HOST, 0, "app"),
            _guest(CLIENT, HOST, 1, "web"),
            *(_guest(f"vm{index}", f"hv{1 + index // _ELSEWHERE}", 2 + index, "web") for index in range(others)),
        ],
        "hosts": fleet.machines(1 + -(-max(others, 1) // _ELSEWHERE), backend),
    }


def rules(count: int, backend: str, swapped: bool = False, more: int = 0) -> dict[str, Any]:
    """The planner's input for a guest of hv0 in each of so many groups as have this many rules, all of them different.

    swapped: one rule allows another port. more: members that the group named by rules has besides a hundred.
    """
    content = members(100 + more, backend, "isolated")
    groups = [
        {"name": f"g{index}", "ingress": [_rule(index, number) for number in range(_RULES)]}
        for index in range(count // _RULES)
    ]
    if swapped:
        groups[-1]["ingress"][_RULES // 2]["ports"] = 60_000
    content["vpc_security_groups"] += groups
    # Far from those of other hypervisors.
    content["vpc_instances"] += [
        _guest(f"own{index}", HOST, 30_000 + index, group["name"]) for index, group in enumerate(groups)
    ]
    return content


def _rule(group: int, number: int) -> dict[str, Any]:
    peer = next((name for step, name in _OTHERS.items() if number % step == 0), None)
    if number % 7 == 0:
        peer = f"172.16.{group}.{number}/32"
    found: dict[str, Any] = {"protocol": ("tcp", "udp")[number % 2], "ports": 1_000 + number}
    return {**found, "from": peer} if peer else found


def in_groups(content: dict[str, Any]) -> dict[str, Any]:
    """The same inventory, let to tenants: each has guests on ten hypervisors, and ten or so on each of them.

    A guest is in the group of its tenant, which lets ping in and administration, and in that of one of three tiers: the
    first is open to everybody, and each of the others to the tier before.
    """
    guests, used, tenants = [], {}, {}
    for guest in content["vpc_instances"]:
        host = guest["hypervisor"]
        used[host] = number = used.get(host, -1) + 1
        tenant = f"t{int(host[2:]) // _TENANT_HOSTS}-{number % _TENANTS}"
        tenants[tenant] = None
        tier = _TIERS[number // _TENANTS % len(_TIERS)]
        guests.append({**guest, "security_groups": [tenant, f"{tenant}-{tier}"]})
    return {
        **content,
        "vpc_instances": guests,
        "vpc_prefix_lists": [{"name": "office", "prefixes": ["203.0.113.0/24", "2001:db8:ffff::/48"]}],
        "vpc_security_groups": [group for tenant in tenants for group in _tenant(tenant)],
    }


def _tenant(name: str) -> Iterator[dict[str, Any]]:
    yield {
        "name": name,
        "ingress": [
            {"protocol": "icmp", "type": "echo-request", "from": "self"},
            {"protocol": "tcp", "ports": 22, "from": "office"},
        ],
    }
    before = None
    for tier, port in zip(_TIERS, (443, 8080, 5432), strict=True):
        source = {"from": before} if before else {}
        before = f"{name}-{tier}"
        yield {"name": before, "ingress": [{"protocol": "tcp", "ports": port, **source}]}


def _guest(name: str, hypervisor: str, number: int, group: str) -> dict[str, Any]:
    return {
        "name": name,
        "hypervisor": hypervisor,
        "network": "n0",
        "address": str(_FIRST + number),
        "security_groups": [group],
    }


def slice_of(scope: Scope, content: dict[str, Any]) -> dict[str, Any]:
    return fleet.slice_of(HOST, scope.name, content)


class World:
    """hv0 as role hypervisor makes it, with both guests. Namespaces: `host`, and one for each guest."""

    def __init__(self, name: str, content: dict[str, Any], folder: Path) -> None:
        """name: begins the names of the namespaces. folder: for the files that are written on the host."""
        self.name = name
        self.root = str(folder / name)
        self._ends = ("host", CLIENT, SERVER)
        lines = "".join(f"netns add {self.namespace(end)}\n" for end in self._ends)
        subprocess.run(("ip", "-batch", "-"), input=lines, text=True, check=True)
        self._underlay()
        self.apply(HYPERVISOR, slice_of(HYPERVISOR, content))
        isolated = content["vpc_networks"][0]["local_switching"] == "isolated"
        for guest in content["vpc_instances"][:2]:
            self._plug(guest["name"], guest["address"], isolated)

    def namespace(self, end: str) -> str:
        return f"{self.name}-{end}"

    def close(self) -> None:
        """Remove the namespaces, and with them all that is in them."""
        lines = "".join(f"netns del {self.namespace(end)}\n" for end in self._ends)
        subprocess.run(("ip", "-batch", "-"), input=lines, text=True, check=True)

    def _underlay(self) -> None:
        script = """
        echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
        ip link set lo up
        ip link add eth0 type veth peer name wire
        ip link set wire up
        ip link set eth0 up
        """
        inside(self.namespace("host"), "sh", "-euc", script)
        lines = [f"addr add {text} dev eth0" for text in fleet.underlay(HOST)]
        inside(self.namespace("host"), "ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def _plug(self, guest: str, address: str, isolated: bool) -> None:
        namespace = self.namespace(guest)
        host = self.namespace("host")
        lines = [
            f"link add {guest} type veth peer name eth0 netns {namespace}",
            f"link set {guest} master {BRIDGE} up",
        ]
        inside(host, "ip", "-batch", "-", stdin="\n".join(lines) + "\n")
        if isolated:
            inside(host, "bridge", "link", "set", "dev", guest, "isolated", "on")
        lines = [
            "link set lo up",
            "link set eth0 up",
            f"addr add {address}/16 dev eth0",
            f"route add default via {_GATEWAY}",
        ]
        inside(namespace, "ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def apply(self, scope: Scope, content: dict[str, Any], check: bool = False) -> Result:
        """Run the engine on the host."""
        options = Options(check=check, removal_limit=None, root=self.root, lock=f"{self.root}.lock")
        return Transaction(scope, content, options, self._engine).apply()

    def _engine(self, command: Command) -> Output:
        argv = ("ip", "netns", "exec", self.namespace("host"), *command.argv)
        return process.run(Command(argv, command.stdin, command.ok))

    def run(self, *argv: str, stdin: str = "") -> str:
        """Standard output of a program on the host."""
        return inside(self.namespace("host"), *argv, stdin=stdin)

    def filter(self, content: dict[str, Any]) -> None:
        """Install role security_groups; a second run finds nothing to do."""
        wanted = slice_of(SECURITY_GROUPS, content)
        self.apply(SECURITY_GROUPS, wanted)
        again = self.apply(SECURITY_GROUPS, wanted, check=True)
        if again.changed:
            raise SystemExit(f"{self.name}: a second run finds differences: {again.deltas}")

    def demand_filter(self) -> None:
        """The client reaches the port that its group may use, and not the next one."""
        for port, answer in ((PORT, "refused"), (PORT + 1, "timed out")):
            shell = f"timeout 1 bash -c '</dev/tcp/{ADDRESS}/{port}' 2>&1; [ $? != 124 ] || echo timed out"
            said = inside(self.namespace(CLIENT), "sh", "-c", shell).lower()
            if answer not in said:
                raise SystemExit(f"{self.name}: port {port} of the server: {said or 'open'}")
