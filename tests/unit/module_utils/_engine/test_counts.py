# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a run does, counted: what is fast here is fast on any machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Result, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.grouped_host import Host as GroupedHost
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

HOSTS = {"router": ("routers", 101), "hypervisor": ("hypervisors", 103)}
ROLES = pytest.mark.parametrize("role", HOSTS)
BACKENDS = pytest.mark.parametrize("backend", ["nftables", "iptables"])
# Guests and networks of two inventories, the second ten times the first.
SMALL, LARGE = (20, 2), (200, 20)
# One process for each question that a role asks of its host.
READS_AT_MOST = 20


def content(role: str, guests: int, networks: int, backend: str) -> dict[str, Any]:
    """The slice of the one host of that role, with every guest on the one hypervisor."""
    raw = {
        "vpc_networks": [
            {"name": f"n{index}", "cidr": f"10.{index}.0.0/24", "cidr6": f"2001:db8:{index + 1:x}::/64", "nat": True}
            for index in range(networks)
        ],
        "vpc_instances": [
            {
                "name": f"vm{index}",
                "hypervisor": "hypervisor",
                "network": f"n{index % networks}",
                "address": f"10.{index % networks}.0.{index // networks + 10}",
                "address6": f"2001:db8:{index % networks + 1:x}::{index // networks + 10:x}",
            }
            for index in range(guests)
        ],
        "hosts": {
            name: {
                "groups": [group],
                "vpc_underlay_address": f"192.168.56.{number}",
                "vpc_underlay_address6": None,
                "vpc_backend": backend,
            }
            for name, (group, number) in HOSTS.items()
        },
    }
    return Plan(parse(raw), "test").slice(role, role)


class Host:
    """A host that counts the processes that a run starts on it."""

    def __init__(self, role: str, root: Path) -> None:
        self.role = role
        self.options = Options(root=str(root), lock=str(root / "lock"), removal_limit=None)
        self.netns = Netns()
        self.programs: list[str] = []
        number = HOSTS[role][1]
        self.netns.sh(
            f"""
            echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
            ip link add eth0 type veth peer name wire
            ip link set wire up
            ip link set eth0 up
            ip addr add 192.168.56.{number}/24 dev eth0
            ip addr add fe80::c0a8:38{number:02x}/64 dev eth0 nodad
            """
        )

    def run(self, command: Command) -> Output:
        self.programs.append(" ".join(command.argv[:3]))
        return self.netns.run(command)

    def apply(self, slice_: dict[str, Any]) -> Result:
        self.programs.clear()
        return Transaction(SCOPES[self.role], slice_, self.options, self.run).apply()


def lines_written(done: Result) -> int:
    return sum(int(number) for text in done.commands for number in re.findall(r"\((\d+) lines\)$", text))


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    found = Host(request.getfixturevalue("role"), tmp_path)
    yield found
    found.netns.remove()


@ROLES
@BACKENDS
def test_a_run_that_changes_nothing_asks_the_same_of_ten_times_the_guests(host: Host, role: str, backend: str) -> None:
    asked = []
    for guests, networks in (SMALL, LARGE):
        slice_ = content(role, guests, networks, backend)
        host.apply(slice_)
        assert not host.apply(slice_).changed
        asked.append(list(host.programs))
    assert asked[0] == asked[1]
    assert 0 < len(asked[0]) <= READS_AT_MOST


@ROLES
@BACKENDS
def test_a_first_run_writes_with_the_same_processes_for_ten_times_the_guests(
    host: Host, role: str, backend: str
) -> None:
    written = []
    for guests, networks in (SMALL, LARGE):
        done = host.apply(content(role, guests, networks, backend))
        written.append([re.sub(r" \(\d+ lines\)$", "", text) for text in done.commands])
        host.apply({})
    assert written[0]
    assert [text.split()[:3] for text in written[0]] == [text.split()[:3] for text in written[1]]


@ROLES
@BACKENDS
def test_one_guest_more_writes_the_same_few_lines_whatever_is_there(host: Host, role: str, backend: str) -> None:
    counts = []
    for guests, networks in (SMALL, LARGE):
        host.apply(content(role, guests, networks, backend))
        done = host.apply(content(role, guests + 1, networks, backend))
        assert {name for name, delta in done.deltas.items() if delta} == {"route", "file"}
        counts.append((len(done.commands), lines_written(done), len(host.programs)))
    # A route of each family on the router; on a hypervisor one more in the table of the guest's bridge.
    assert counts == [(2, 2 if role == "router" else 4, counts[0][2])] * 2


@BACKENDS
def test_swapping_one_rule_of_a_group_writes_one_rule_whatever_is_there(tmp_path: Path, backend: str) -> None:
    written = []
    for count in (10, 500):
        host = GroupedHost(tmp_path / str(count), backend)
        try:
            numbers = list(range(1000, 1000 + 2 * count, 2))
            for chosen in (numbers, [*numbers[: count // 2], 9, *numbers[count // 2 + 1 :]]):
                rules = [{"protocol": "tcp", "ports": number, "from": "app"} for number in chosen]
                groups = [{"name": "web", "ingress": rules}, {"name": "app"}]
                done = host.apply(host.plan(groups, vm1=["web"], vm2=["app"]), "security_groups")
            written.append(done.commands)
        finally:
            host.close()
    assert written[0] == written[1]
    # Two families; a restore has two lines of its own.
    assert lines_written(done) == (4 if backend == "nftables" else 6)
