# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor's boot files, all in one folder and one shell, as the boot unit runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output, Subsystem
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.address import Address
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.link import Link
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.module import Module
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.neighbour import Neighbour
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.port import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.route import Route
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.rule import Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.sysctl import Sysctl
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context

SUBSYSTEMS: list[Subsystem] = [Module(), Link(), Port(), Address(), Neighbour(), Route(), Rule(), Sysctl()]
DESIRED: dict[str, dict[str, str]] = {
    "link": {"br-net1": "bridge address 02:11:22:33:44:01", "br-net2": "bridge address 02:11:22:33:44:02"},
    "port": {"br-net1": "isolated on", "br-net2": "isolated off"},
    "address": {"br-net1 10.10.10.2/32": "present", "br-net1 fe80::1/64": "present", "br-net2 fe80::1/64": "present"},
    "route": {
        "4 254 10.10.10.10": "dev br-net1",
        "4 101 10.10.10.0/24": "unreachable",
        "6 254 2001:db8::1": "dev br-net2",
    },
    "neighbour": {"br-net1 fe80::5054:ff:fe0a:a0a": "52:54:00:0a:0a:0a"},
    "rule": {"4 20000 iif br-net1": "lookup 101", "6 20000 iif br-net1": "lookup 101"},
    "sysctl": {"net/ipv4/conf/br-net1/proxy_arp": "1", "net/ipv4/neigh/br-net1/proxy_delay": "0"},
}
SHELL = "set -eu\n" + "".join(subsystem.boot_shell for subsystem in SUBSYSTEMS)
DAMAGE = [
    "ip link del br-net1",
    "ip link set br-net1 down",
    "ip addr flush dev br-net1",
    "ip -6 neigh flush nud permanent",
    "ip rule flush; ip -6 rule flush; ip rule add lookup main; ip -6 rule add lookup main",
    "ip route flush proto 173; ip -6 route flush proto 173; ip route flush table 101",
    "echo 0 >/proc/sys/net/ipv4/conf/br-net1/proxy_arp",
    "ip link set vif type bridge_slave isolated off",
]


def state(netns: Netns) -> dict[str, dict[str, str]]:
    return {
        subsystem.name: netns.read(subsystem, context(DESIRED[subsystem.name], DESIRED[subsystem.name]))
        for subsystem in SUBSYSTEMS
        if subsystem.name in DESIRED
    }


@pytest.fixture
def booted(netns: Netns, tmp_path: Path) -> Netns:
    for subsystem in SUBSYSTEMS:
        for name, text in subsystem.boot(context(DESIRED.get(subsystem.name))).items():
            assert not (tmp_path / name).exists()
            (tmp_path / name).write_text(text)
    assert netns.run(Command(("dash", "-c", SHELL)), tmp_path) == Output(0, "")
    netns.sh("ip link add vif type veth peer name eth0; ip link set vif master br-net1")
    netns.sh("ip link set vif type bridge_slave isolated on")
    return netns


def test_boot(booted: Netns) -> None:
    assert state(booted) == DESIRED


@pytest.mark.parametrize("damage", DAMAGE)
def test_repair(booted: Netns, tmp_path: Path, damage: str) -> None:
    booted.sh(damage)
    assert state(booted) != DESIRED
    assert booted.run(Command(("dash", "-c", SHELL)), tmp_path) == Output(0, "")
    assert state(booted) == DESIRED


def test_nothing_to_boot(netns: Netns, tmp_path: Path) -> None:
    assert [subsystem.boot(context()) for subsystem in SUBSYSTEMS] == [{}] * len(SUBSYSTEMS)
    assert netns.run(Command(("dash", "-c", SHELL)), tmp_path) == Output(0, "")
