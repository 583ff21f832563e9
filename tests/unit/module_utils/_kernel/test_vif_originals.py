# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a port was like before the guard first touched it comes back, whoever has been bound to it since."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import (
    ONE,
    STRANGER,
    THREE,
    TWO,
    Host,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> Host:
    return Host(netns, tmp_path)


def odd(host: Host, name: str) -> None:
    """A port whose settings are not those of a new one."""
    host.port(name)
    host.netns.sh(
        f"""
        bridge link set dev {name} learning off flood on guard on
        echo 0x4000 >/sys/class/net/{name}/brport/group_fwd_mask
        echo 1 >/proc/sys/net/ipv6/conf/{name}/disable_ipv6
        """
    )


def values(host: Host, name: str) -> list[str]:
    keys = ("learning", "unicast_flood", "bpdu_guard", "group_fwd_mask")
    return [*(host.setting(name, key) for key in keys), host.ipv6(name)]


def closed(host: Host, name: str) -> bool:
    return values(host, name) == ["0", "0", "1", "0xfffd", "1"]


def originals(host: Host) -> list[str]:
    return sorted(path.name for path in host.run.glob("was/*"))


@pytest.mark.parametrize("make", [Host.port, odd])
def test_del_then_release(host: Host, make: object) -> None:
    assert callable(make)
    make(host, "vnet0")
    before = host.settings()
    host.ok("add", "vnet0", ONE.mac)
    assert closed(host, "vnet0")
    host.ok("del", "vnet0")
    # A port of nobody stays closed, but nothing of the guest is left.
    assert closed(host, "vnet0")
    assert host.fdb("vnet0") == []
    host.ok("release")
    assert host.settings() == before


@pytest.mark.parametrize("words", [("sync",), ("add", "vnet0", STRANGER)])
def test_undeclared_then_release(host: Host, words: tuple[str, ...]) -> None:
    odd(host, "vnet0")
    host.port("vnet1")
    before = host.settings()
    for name, guest in (("vnet0", ONE), ("vnet1", TWO)):
        host.ok("add", name, guest.mac)
    host.declare([TWO])
    host.vif(*words)
    assert host.records() == ["vnet1"]
    assert closed(host, "vnet0")
    assert host.fdb("vnet0") == []
    assert host.fdb("vnet1") == [f"{TWO.mac} sticky master br0 static"]
    host.ok("sync")
    host.ok("release")
    assert host.settings() == before


def test_another_guest_then_release(host: Host) -> None:
    odd(host, "vnet0")
    before = host.settings()
    host.ok("add", "vnet0", THREE.mac)
    host.ok("del", "vnet0")
    host.ok("add", "vnet0", ONE.mac)
    host.ok("add", "vnet0", TWO.mac)
    assert host.fdb("vnet0") == [f"{TWO.mac} sticky master br0 static"]
    host.ok("release")
    assert host.settings() == before


def test_a_name_of_the_plan_that_its_guest_gets_back(host: Host) -> None:
    """By `sync`, because nobody declares the other guest any more."""
    host.declare([ONE, TWO], {"vif1.0": ONE.mac})
    odd(host, "vif1.0")
    before = host.settings()
    host.ok("add", "vif1.0", TWO.mac)
    host.declare([ONE], {"vif1.0": ONE.mac})
    host.ok("sync")
    assert host.fdb("vif1.0") == [f"{ONE.mac} sticky master br0 static"]
    host.ok("release")
    assert host.settings() == before


@pytest.mark.parametrize("word", ["add", "sync"])
def test_an_interface_of_the_same_name_has_originals_of_its_own(host: Host, word: str) -> None:
    host.declare([ONE], {"tap0": ONE.mac})
    call = ("sync",) if word == "sync" else ("add", "tap0", ONE.mac)
    first = host.port("tap0")
    host.ok(*call)
    assert originals(host) == [first]
    host.netns.sh("ip link del tap0")
    odd(host, "tap0")
    before = host.settings()
    host.ok(*call)
    assert closed(host, "tap0")
    host.ok("release")
    assert host.settings() == before


def test_an_interface_that_gets_another_name(host: Host) -> None:
    odd(host, "vnet0")
    host.ok("add", "vnet0", ONE.mac)
    host.ok("del", "vnet0")
    host.netns.sh("ip link set vnet0 down; ip link set vnet0 name vnet1 up")
    host.ok("add", "vnet1", TWO.mac)
    host.ok("release")
    assert values(host, "vnet1") == ["0", "1", "1", "0x4000", "1"]


def test_a_port_that_left_its_bridge(host: Host) -> None:
    host.port("vnet0")
    host.ok("add", "vnet0", ONE.mac)
    host.netns.sh("ip link set vnet0 nomaster")
    host.ok("release")
    assert host.ipv6("vnet0") == "0"


def test_originals_go_with_their_interface(host: Host) -> None:
    numbers = [host.port(name) for name in ("vnet0", "web0", "web1")]
    for name, guest in (("vnet0", ONE), ("web0", TWO), ("web1", THREE)):
        host.ok("add", name, guest.mac)
        host.ok("add", name, guest.mac)
    assert originals(host) == sorted(numbers)
    host.ok("del", "web1")
    for name in ("vnet0", "web0"):
        host.netns.sh(f"ip link del {name}")
    host.ok("gone", "vnet0", numbers[0])
    assert originals(host) == sorted(numbers[1:])
    # Nobody said a word; the record may stay for a while.
    host.ok("sync")
    assert originals(host) == numbers[2:]
    host.netns.sh("ip link del web1")
    host.ok("sync")
    assert originals(host) == []


def test_release_of_some(host: Host) -> None:
    """Only these ports are given back, and forgotten; the others keep their guard."""
    for name in ("vnet0", "vnet1"):
        odd(host, name)
    numbers = [host.netns.sh(f"cat /sys/class/net/{name}/ifindex").strip() for name in ("vnet0", "vnet1")]
    before = host.settings()
    for name, guest in (("vnet0", ONE), ("vnet1", TWO)):
        host.ok("add", name, guest.mac)
    host.ok("del", "vnet0")
    host.ok("release", numbers[0], "999999")
    assert not closed(host, "vnet0")
    assert closed(host, "vnet1")
    assert originals(host) == numbers[1:]
    assert host.records() == ["vnet1"]
    assert host.vif("release", "../was").status == 2
    host.ok("release")
    assert host.settings() == before
    assert not host.run.exists()


@pytest.mark.parametrize("seconds", [number / 100 for number in range(1, 9)])
def test_killed_in_the_middle(host: Host, seconds: float) -> None:
    host.declare([ONE, TWO, THREE], {"vif3.0": THREE.mac})
    for name in ("vnet0", "vif3.0"):
        odd(host, name)
    before = host.settings()
    for words in (
        ("add", "vnet0", ONE.mac),
        ("add", "vnet0", TWO.mac),
        ("sync",),
        ("del", "vnet0"),
        ("add", "vnet0", ONE.mac),
        ("release",),
    ):
        host.killed(seconds, *words)
    host.declare([TWO])
    host.killed(seconds, "sync")
    host.ok("release")
    assert host.settings() == before
    host.ok("add", "vnet0", TWO.mac)
    assert closed(host, "vnet0")
    assert host.fdb("vnet0") == [f"{TWO.mac} sticky master br0 static"]
