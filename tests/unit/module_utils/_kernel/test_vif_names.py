# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of ports that come and go, and interfaces that nobody reports to the guard's helper."""

from __future__ import annotations

import fcntl
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import NFTABLES, TABLE
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import (
    ONE,
    OPEN,
    STRANGER,
    THREE,
    TWO,
    Host,
    of_ports,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> Host:
    return Host(netns, tmp_path)


def test_record(host: Host) -> None:
    host.ok("add", "vnet0", ONE.mac)
    assert host.record("vnet0") == ["# guest 00-16-3e-00-00-01", "# ifindex none"]
    index = host.port("vnet0")
    host.ok("add", "vnet0", ONE.mac)
    assert host.record("vnet0") == ["# guest 00-16-3e-00-00-01", f"# ifindex {index}"]


def test_del_spares_another_guest(host: Host) -> None:
    """libvirt says that a guest stopped when its name may already be another guest's."""
    host.ok("add", "vnet0", TWO.mac)
    host.ok("del", "vnet0", ONE.mac)
    host.has(vnet0=TWO)
    host.ok("del", "vnet0", TWO.mac)
    host.has()


def test_a_name_of_the_plan_is_its_guests_for_ever(host: Host) -> None:
    host.declare([ONE, TWO], {"vif1.0": ONE.mac})
    host.ok("sync")
    host.port("vif1.0")
    host.ok("add", "vif1.0", TWO.mac)
    host.has(vif1_0=TWO)
    host.netns.sh(f"nft add element {TABLE} dropped_arp '{{ \"vif1.0\" }}'")
    for _turn in range(2):
        host.ok("del", "vif1.0")
        assert host.elements() == of_ports({"vif1.0": ONE}, (), NFTABLES)
        assert host.record("vif1.0")[-1] == "# ifindex none"
        assert "vif1.0" not in host.netns.sh(f"nft list set {TABLE} dropped_arp")
    # The other port of a guest does not take the guest's MAC and addresses with it.
    host.ok("sync")
    host.has(vif1_0=ONE)
    host.ok("add", "vif1.0-emu", ONE.mac)
    host.ok("del", "vif1.0-emu")
    host.has(vif1_0=ONE)


def test_the_caller_has_the_lock(host: Host) -> None:
    host.run.mkdir(parents=True)
    with (host.run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(
            ["ip", "netns", "exec", host.netns.name, *host.argv("add", "vnet0", ONE.mac)], stdin=subprocess.DEVNULL
        )
        mine = ["env", "PLAINLINUX_VPC_LOCKED=1", *host.argv("add", "vnet1", TWO.mac)]
        assert host.at_once([mine]) == {0}
        assert waiting.poll() is None
        host.has(vnet1=TWO)
        # What holds the lock may take the guard away; who waited for it must not bring anything back.
        mine = ["env", "PLAINLINUX_VPC_LOCKED=1", *host.argv("release")]
        assert host.at_once([mine]) == {0}
        assert [path.name for path in host.run.iterdir()] == ["lock"]
        host.program.unlink()
    assert waiting.wait() == 1
    assert not host.run.exists()


def test_nobody_else_can_hold_the_lock(host: Host) -> None:
    host.ok("add", "vnet0", ONE.mac)
    assert (host.run / "lock").stat().st_mode & 0o777 == 0o600


def test_who_waits_for_a_lock_that_was_replaced_waits_on(host: Host) -> None:
    host.run.mkdir(parents=True)
    path = host.run / "lock"
    with path.open("w") as first, (host.run / "other").open("w") as second:
        for lock in (first, second):
            fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(
            ["ip", "netns", "exec", host.netns.name, *host.argv("add", "vnet0", ONE.mac)], stdin=subprocess.DEVNULL
        )
        time.sleep(0.5)
        (host.run / "other").replace(path)
        fcntl.flock(first, fcntl.LOCK_UN)
        time.sleep(0.5)
        assert waiting.poll() is None
        host.has()
    assert waiting.wait() == 0
    host.has(vnet0=ONE)


def libvirts(guest: Guest) -> str:
    """What libvirt makes of a guest's MAC for the tap."""
    return f"{'fa' if guest.mac.startswith('fe') else 'fe'}{guest.mac[2:]}"


def test_found_by_the_address_of_libvirt(host: Host) -> None:
    special = Guest("fe:16:3e:00:00:05", ((4, 0x0A0A0A32),))
    host.declare([ONE, TWO, special])
    for name, guest in (("vnet0", ONE), ("vnet1", special)):
        host.port(name, libvirts(guest))
        host.ok("found", name)
    host.has(vnet0=ONE, vnet1=special)
    assert host.setting("vnet0", "learning") == "0"


@pytest.mark.parametrize(
    "address", ["52:16:3e:00:00:01", "fe:16:3e:00:00:99", "fa:16:3e:00:00:01", "fe:16:3e:00:00:05"]
)
def test_found_nobody(host: Host, address: str) -> None:
    host.declare([ONE, TWO, Guest("fe:16:3e:00:00:05")])
    host.port("tap7", address)
    started = time.monotonic()
    host.ok("found", "tap7")
    assert 1.5 < time.monotonic() - started < 5
    host.has()


def test_found_two(host: Host) -> None:
    """Nobody knows which of two guests a tap is whose MACs differ in the first octet only."""
    twin = Guest("02" + ONE.mac[2:], ((4, 0x0A0A0A33),))
    host.declare([ONE, twin])
    host.port("vnet0", libvirts(ONE))
    host.ok("found", "vnet0")
    host.has()


def test_found_waits_for_the_port(host: Host) -> None:
    host.interface("vnet0", libvirts(ONE))
    finding = subprocess.Popen(["ip", "netns", "exec", host.netns.name, *host.argv("found", "vnet0")])
    time.sleep(0.5)
    host.plug("vnet0")
    assert finding.wait() == 0
    host.has(vnet0=ONE)
    assert host.setting("vnet0", "learning") == "0"


def test_found_believes_the_hooks(host: Host) -> None:
    host.port("vnet0", libvirts(ONE))
    host.ok("add", "vnet0", TWO.mac)
    host.ok("found", "vnet0")
    host.has(vnet0=TWO)
    # Rules that were there before the port: from now on they are for this interface.
    host.ok("add", "vnet1", THREE.mac)
    index = host.port("vnet1", "52:00:00:00:00:01")
    host.ok("found", "vnet1")
    assert host.record("vnet1")[-1] == f"# ifindex {index}"
    assert host.setting("vnet1", "bpdu_guard") == "1"


def test_found_by_the_plan(host: Host) -> None:
    host.declare([ONE], {"tap100i0": ONE.mac})
    host.port("tap100i0", "52:00:00:00:00:01")
    host.ok("found", "tap100i0")
    host.has(tap100i0=ONE)
    assert host.setting("tap100i0", "learning") == "0"


@pytest.mark.parametrize("word", ["found", "sync"])
@pytest.mark.parametrize("address", [libvirts(TWO), f"fe{STRANGER[2:]}"])
def test_an_interface_that_took_a_known_name(host: Host, word: str, address: str) -> None:
    host.port("vnet0", libvirts(ONE))
    host.ok("found", "vnet0")
    host.has(vnet0=ONE)
    host.netns.sh("ip link del vnet0")
    host.port("vnet0", address)
    host.ok(*(["found", "vnet0"] if word == "found" else ["sync"]))
    expected = {"vnet0": TWO} if address == libvirts(TWO) else {}
    host.has(expected)
    assert host.setting("vnet0", "learning") == ("0" if expected else "1")


def test_gone(host: Host) -> None:
    first = host.port("vnet0", libvirts(ONE))
    host.ok("add", "vnet0", ONE.mac)
    host.ok("gone", "vnet0", first)
    host.has(vnet0=ONE)
    host.netns.sh("ip link del vnet0")
    host.ok("gone", "vnet0", str(int(first) + 1000))
    assert host.records() == ["vnet0"]
    assert host.elements() == of_ports({"vnet0": ONE}, ["vnet0"], NFTABLES)
    # The name is back, and its guest was told: the news of the first interface is late.
    second = host.port("vnet0", libvirts(TWO))
    assert second != first
    host.ok("add", "vnet0", TWO.mac)
    host.ok("gone", "vnet0", first)
    host.has(vnet0=TWO)
    host.netns.sh("ip link del vnet0")
    host.ok("gone", "vnet0", second)
    host.has()
    assert host.records() == []


@pytest.mark.parametrize("words", [("gone", "vnet0", "x"), ("gone", "vnet0"), ("found", "a/b"), ("found", "")])
def test_wrong_words(host: Host, words: tuple[str, ...]) -> None:
    assert host.vif(*words).status == 2


def test_list_prints_names_as_they_are(host: Host) -> None:
    host.ok("add", "vif1.0-emu", OPEN.mac)
    assert host.vif("list").stdout == f"vif1.0-emu {OPEN.mac}\n"
