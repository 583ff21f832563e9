# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames from an uplink may bear the MAC and the addresses of a guest that is declared here but does not run here."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import (
    ONE,
    OPEN,
    THREE,
    TWO,
    Host,
    opened,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> Host:
    return Host(netns, tmp_path)


LOCAL = ["local4 10.10.10.10", "local6 2001:db8:10::10", "local6 fe80::216:3eff:fe00:1", "local_macs 00:16:3e:00:00:01"]
TARGETS = ["local_targets 0x20010db8001000000000000000000010", "local_targets 0xfe8000000000000002163efffe000001"]


def local(host: Host) -> list[str]:
    """What frames from an uplink must not bear."""
    return sorted(key.split(" set ")[1] for key in host.elements() if " set local" in key)


def is_local(host: Host) -> bool:
    """Whether ONE is: wholly, or not at all."""
    found = local(host)
    assert found in ([], [*LOCAL, *TARGETS])
    return found != []


@pytest.mark.parametrize("words", [("add", "vnet0", ONE.mac), ("sync",)])
def test_the_interface_comes_after_the_rules(host: Host, words: tuple[str, ...]) -> None:
    host.ok("add", "vnet0", ONE.mac)
    host.has(vnet0=ONE)
    for _turn in range(2):
        assert not is_local(host)
        host.ok(*words)
    index = host.port("vnet0")
    for _turn in range(2):
        host.ok(*words)
        assert is_local(host)
        host.has(vnet0=ONE)
    assert host.record("vnet0")[-1] == f"# ifindex {index}"
    host.netns.sh("ip link del vnet0")
    host.ok(*words)
    assert not is_local(host)
    host.has(vnet0=ONE)


def test_the_interface_is_found(host: Host) -> None:
    host.declare([ONE], {"tap0": ONE.mac})
    host.ok("sync")
    assert not is_local(host)
    index = host.port("tap0")
    host.ok("found", "tap0")
    assert is_local(host)
    host.netns.sh("ip link del tap0")
    host.ok("gone", "tap0", index)
    assert not is_local(host)
    host.has(tap0=ONE)


def test_sync_sees_that_it_went_before_gone_does(host: Host) -> None:
    """The record then still says which interface it was: what comes under that name next is another one."""
    host.declare([ONE, TWO], {"tap0": TWO.mac})
    index = host.port("tap0")
    host.ok("add", "tap0", ONE.mac)
    host.netns.sh("ip link del tap0")
    for _turn in range(2):
        host.ok("sync")
        assert local(host) == []
        assert host.record("tap0")[-1] == f"# ifindex {index} gone"
    host.ok("gone", "tap0", index)
    assert host.vif("list").stdout == f"tap0 {TWO.mac}\n"
    host.ok("add", "tap0", ONE.mac)
    host.port("tap0")
    host.ok("sync")
    assert is_local(host)


@pytest.mark.parametrize("names", [{}, {"vif1.0": ONE.mac}])
def test_del(host: Host, names: dict[str, str]) -> None:
    """Also of a name that the plan has, and while the interface is still there: a guest that stops has a moment."""
    host.declare([ONE], names)
    host.port("vif1.0")
    host.ok("add", "vif1.0", ONE.mac)
    assert is_local(host)
    host.ok("del", "vif1.0")
    assert not is_local(host)
    assert host.records() == list(names)


def test_one_of_two_ports_of_a_guest_is_there(host: Host) -> None:
    host.port("vif1.0")
    for name in ("vif1.0", "vif1.0-emu"):
        host.ok("add", name, ONE.mac)
    assert is_local(host)
    host.ok("del", "vif1.0-emu")
    assert is_local(host)
    host.ok("add", "vif1.0-emu", ONE.mac)
    host.ok("add", "vif1.0-emu", TWO.mac)
    assert is_local(host)
    host.ok("add", "vif1.0-emu", ONE.mac)
    host.netns.sh("ip link del vif1.0")
    host.ok("sync")
    assert not is_local(host)
    host.port("vif1.0-emu")
    host.ok("sync")
    assert is_local(host)
    host.ok("del", "vif1.0")
    assert is_local(host)


def test_what_two_guests_share_stays_for_the_second(host: Host) -> None:
    """A virtual router's MAC and address, of which both routers are here."""
    twin = TWO._replace(pairs=THREE.pairs)
    host.declare([ONE, twin, THREE], {"vif3.0": THREE.mac})
    guests = {"vif2.0": twin, "vif3.0": THREE}
    for name, guest in guests.items():
        host.port(name)
        host.ok("add", name, guest.mac)
    host.has(guests)
    host.ok("add", "vif2.0", ONE.mac)
    host.has({"vif2.0": ONE, "vif3.0": THREE})
    host.ok("add", "vif2.0", twin.mac)
    host.netns.sh("ip link del vif3.0")
    host.ok("del", "vif3.0")
    host.has(guests)
    assert "local_macs 00:00:5e:00:01:07" in local(host)
    host.ok("del", "vif2.0")
    assert local(host) == []


def test_a_name_changes_hands_before_its_interface_comes(host: Host) -> None:
    host.port("vnet1")
    host.ok("add", "vnet1", TWO.mac)
    for guest in (ONE, THREE, ONE):
        host.ok("add", "vnet0", guest.mac)
        assert local(host) == ["local4 10.10.10.20", f"local_macs {TWO.mac}"]
        host.has(vnet0=guest, vnet1=TWO)


def test_an_address_that_the_start_names(host: Host) -> None:
    host.ok("add", "vif1.0", OPEN.mac, "2001:db8:10::40")
    assert local(host) == []
    host.port("vif1.0")
    host.ok("add", "vif1.0", OPEN.mac, "2001:db8:10::40")
    assert "local6 2001:db8:10::40" in local(host)
    host.has(vif1_0=opened("2001:db8:10::40"))
    host.netns.sh("ip link del vif1.0")
    host.ok("sync")
    assert local(host) == []
    host.has(vif1_0=opened("2001:db8:10::40"))


@pytest.mark.parametrize("seconds", [number / 200 for number in range(1, 11)])
def test_killed_in_the_middle(host: Host, seconds: float) -> None:
    host.declare([ONE], {"vif1.0": ONE.mac})
    host.ok("sync")
    host.port("vif1.0")
    host.killed(seconds, "add", "vif1.0", ONE.mac)
    host.ok("sync")
    assert is_local(host)
    host.netns.sh("ip link del vif1.0")
    host.killed(seconds, "del", "vif1.0")
    host.ok("sync")
    assert not is_local(host)


def test_the_first_sync_of_an_empty_table(host: Host) -> None:
    """As after a boot: a port that is there already, and one that will come."""
    host.declare([ONE, TWO], {"vif1.0": ONE.mac, "vif2.0": TWO.mac})
    host.port("vif1.0")
    host.ok("sync")
    assert is_local(host)
    host.has(vif1_0=ONE, vif2_0=TWO)
