# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bridges hand their packets to br_netfilter: the guard and role hypervisor may both want it of one bridge."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.grouped_host import GROUP, Host


@pytest.fixture(params=["nftables", "iptables"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    found = Host(tmp_path, request.param)
    yield found
    found.close()


def switches(host: Host, name: str) -> str:
    folder = f"/sys/class/net/{name}/bridge"
    return "".join(host.netns.sh(f"cat {folder}/nf_call_iptables {folder}/nf_call_ip6tables").split())


# Everything that one step can do from each state: (whether the guard is there, whether groups are used).
STATES = list(itertools.product((False, True), repeat=2))
WALKS = list(itertools.permutations(STATES))


@pytest.mark.parametrize("walk", WALKS[::8], ids=str)
def test_the_last_one_to_want_it_turns_it_off(host: Host, walk: tuple[tuple[bool, bool], ...]) -> None:
    grouped, open_ = host.plan([GROUP], vm3=["web"]), host.plan([GROUP])
    wrong: list[str] = []
    steady = False

    def run(command: Command) -> Output:
        output = host.run(command)
        if steady and switches(host, "br-net2") != "11":
            wrong.append(str(command))
        return output

    host.apply(open_, "hypervisor")
    number = host.netns.sh("cat /sys/class/net/br-net2/ifindex")
    before = (False, False)
    for guard, groups in (*walk, walk[0]):
        plan = grouped if groups else open_
        wanted = [guard and host.backend == "iptables", groups]
        steady = switches(host, "br-net2") == "11" and any(wanted)
        roles = ["antispoof", "security_groups", "hypervisor"]
        for role in roles if guard or not before[0] else roles[1:]:
            if guard or role != "antispoof":
                host.apply(plan, role, run)
        if before[0] and not guard:
            host.absent("antispoof")
        assert switches(host, "br-net2") == ("11" if any(wanted) else "00"), (guard, groups)
        # An isolated network needs nothing but what the guard does.
        assert switches(host, "br-net1") == ("11" if wanted[0] else "00")
        for role in roles[0 if guard else 1 :]:
            assert not host.apply(plan, role, check=True).changed, role
        before = (guard, groups)
    assert wrong == []
    assert host.netns.sh("cat /sys/class/net/br-net2/ifindex") == number


def test_the_guard_goes_first_and_the_bridge_last(host: Host) -> None:
    plan = host.plan([GROUP], vm3=["web"])
    for role in ("antispoof", "security_groups", "hypervisor"):
        host.apply(plan, role)
    host.absent("antispoof")
    assert switches(host, "br-net2") == "11"
    assert not host.apply(plan, "hypervisor", check=True).changed
    for role in ("hypervisor", "security_groups"):
        host.absent(role)
    assert host.netns.sh("ls /sys/class/net").split() == ["eth0", "lo"]
    assert not [path for path in host.root.rglob("*") if path.is_file()]


def test_a_boot_brings_it_back(host: Host) -> None:
    plan = host.plan([GROUP], vm3=["web"])
    for role in ("antispoof", "security_groups", "hypervisor"):
        host.apply(plan, role)
    host.netns.sh("ip link del br-net2; ip link del br-net1; nft flush ruleset")
    host.boot()
    assert switches(host, "br-net2") == "11"
    for role in ("security_groups", "hypervisor"):
        assert not host.apply(plan, role, check=True).changed, role
    # What the guard finds on, it knows to be ours.
    host.absent("antispoof")
    assert switches(host, "br-net2") == "11"
