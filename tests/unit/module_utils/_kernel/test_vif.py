# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper of the guard: real shell, real nft, real bridge ports."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import VIF, Guest, file_name
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import COUNTED, TABLE
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.state import static, whole
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import (
    NFT,
    ONE,
    POLICY,
    STRANGER,
    THREE,
    TWO,
    Host,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> Host:
    return Host(netns, tmp_path)


def test_add_and_del(host: Host) -> None:
    host.ok("add", "vnet0", ONE.mac)
    host.has(vnet0=ONE)
    host.ok("add", "vif2.0", THREE.mac.upper())
    assert host.elements() == host.of_guests({"vnet0": ONE, "vif2.0": THREE})
    assert host.vif("list").stdout == f"vif2.0 {THREE.mac}\nvnet0 {ONE.mac}\n"
    host.ok("del", "vif2.0")
    host.has(vnet0=ONE)
    host.ok("del", "vnet0")
    host.has()
    assert host.records() == []


def test_twice_is_once(host: Host) -> None:
    for _turn in range(2):
        host.ok("add", "vnet0", ONE.mac)
        host.has(vnet0=ONE)
    for _turn in range(2):
        host.ok("del", "vnet0")
        host.has()


def test_a_name_that_comes_back_carries_nothing_over(host: Host) -> None:
    host.ok("add", "vnet0", THREE.mac)
    host.netns.sh(f"nft add element {TABLE} dropped_arp '{{ \"vnet0\" }}'")
    host.ok("add", "vnet0", TWO.mac)
    host.has(vnet0=TWO)
    assert "vnet0" not in host.netns.sh(f"nft list set {TABLE} dropped_arp")
    host.ok("add", "vnet0", THREE.mac)
    host.has(vnet0=THREE)


def test_a_name_of_the_plan_that_another_guest_gets(host: Host) -> None:
    """The engine binds names that the plan knows without the helper; nothing of that may stay either."""
    host.declare([ONE, TWO], {"vif1.0": ONE.mac})
    host.netns.converge(NFT, context(whole(POLICY, {"vif1.0": ONE}), scope=ANTISPOOF))
    host.ok("add", "vif1.0", TWO.mac)
    assert host.elements() == {**host.of_guests({"vif1.0": TWO}), f'{TABLE} set planned "vif1.0"': "element"}


def test_undeclared_guest_gets_nothing(host: Host) -> None:
    assert host.vif("add", "vnet0", STRANGER).status == 3
    host.has()
    host.ok("add", "vnet0", ONE.mac)
    output = host.vif("add", "vnet0", STRANGER)
    assert output.status == 3
    assert STRANGER in output.stderr
    host.has()
    assert host.records() == []


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("add", "vnet0"),
        ("add", "vnet0", "00:16:3e:00:00:0g"),
        ("add", "vnet0", "00-16-3e-00-00-01"),
        ("add", "vnet0", "../../etc/passwd"),
        ("add", 'v" }; flush ruleset', ONE.mac),
        ("add", "a/b", ONE.mac),
        ("add", "..", ONE.mac),
        ("add", "sixteen-letters-", ONE.mac),
        ("del", ""),
        ("flush",),
    ],
)
def test_wrong_words_are_refused(host: Host, words: tuple[str, ...]) -> None:
    assert host.vif(*words).status == 2
    host.has()


def test_two_ports_of_one_guest(host: Host) -> None:
    """Xen gives an HVM guest vif1.0 and vif1.0-emu; what stands without a port must not go with the first."""
    host.ok("add", "vif1.0", ONE.mac)
    host.ok("add", "vif1.0-emu", ONE.mac)
    both = {"vif1.0": ONE, "vif1.0-emu": ONE}
    assert host.elements() == host.of_guests(both)
    host.ok("del", "vif1.0-emu")
    assert host.elements() == host.of_guests({"vif1.0": ONE})
    host.ok("add", "vif1.0-emu", ONE.mac)
    host.ok("add", "vif1.0-emu", TWO.mac)
    assert host.elements() == host.of_guests({"vif1.0": ONE, "vif1.0-emu": TWO})


def test_a_guest_that_changed(host: Host) -> None:
    host.ok("add", "vnet0", ONE.mac)
    changed = ONE._replace(addresses=((4, parse_ipv4("10.10.10.11")),))
    for words in (("add", "vnet0", ONE.mac), ("sync",)):
        host.declare([changed])
        host.ok(*words)
        host.has(vnet0=changed)
        host.declare([ONE])
        host.ok(*words)
        host.has(vnet0=ONE)
    host.declare([changed])
    host.ok("del", "vnet0")
    host.has()


def test_sync_repeats_what_is_known(host: Host) -> None:
    host.port("vnet0")
    host.ok("add", "vnet0", ONE.mac)
    host.ok("add", "vnet1", ONE.mac)
    host.ok("add", "vnet2", TWO.mac)
    host.netns.sh(f"nft delete table {TABLE}")
    host.table(["vif3.0"])
    host.declare([ONE, THREE], {"vif3.0": THREE.mac})
    host.ok("sync")
    planned = {f'{TABLE} set planned "vif3.0"': "element"}
    assert host.elements() == {**host.of_guests({"vnet0": ONE, "vnet1": ONE, "vif3.0": THREE}), **planned}
    assert host.records() == ["vif3.0", "vnet0", "vnet1"]
    assert host.fdb("vnet0") == [f"{ONE.mac} sticky master br0 static"]
    # A port that went without a word: one of two of a guest.
    host.age("vnet0", "vnet1")
    host.ok("sync")
    assert host.elements() == {**host.of_guests({"vnet0": ONE, "vif3.0": THREE}), **planned}


def test_port_settings(host: Host) -> None:
    host.port("vnet0")
    host.declare([ONE, THREE], bridges="br0 no_linklocal_learn 1\n")
    keys = ("learning", "unicast_flood", "bpdu_guard", "group_fwd_mask", "bridge/bridge/no_linklocal_learn")
    before = [host.setting("vnet0", key) for key in keys]
    host.ok("add", "vnet0", ONE.mac)
    assert [host.setting("vnet0", key) for key in keys] == ["0", "0", "1", "0xfffd", "1"]
    assert host.fdb("vnet0") == [f"{ONE.mac} sticky master br0 static"]
    assert host.netns.sh("cat /proc/sys/net/ipv6/conf/vnet0/disable_ipv6") == "1\n"
    host.ok("add", "vnet0", THREE.mac)
    assert [host.setting("vnet0", key) for key in keys] == ["1", "1", "1", "0xfffd", "1"]
    assert host.fdb("vnet0") == [f"{THREE.mac} sticky master br0 static"]
    host.ok("release")
    assert [host.setting("vnet0", key) for key in keys] == before
    assert host.fdb("vnet0") == []
    assert host.netns.sh("cat /proc/sys/net/ipv6/conf/vnet0/disable_ipv6") == "0\n"
    assert not (host.folder / "run/antispoof").exists()


def test_rules_before_the_port(host: Host) -> None:
    host.ok("add", "vnet0", ONE.mac)
    host.has(vnet0=ONE)
    host.port("vnet0")
    host.ok("add", "vnet0", ONE.mac)
    assert host.setting("vnet0", "learning") == "0"


def test_many_at_once(host: Host) -> None:
    guests = {
        f"vnet{number}": Guest(f"02:00:00:00:00:{number:02x}", ((4, 0x0A000000 + number),)) for number in range(40)
    }
    host.declare(guests.values())
    assert host.at_once(host.argv("add", name, guest.mac) for name, guest in guests.items()) == {0}
    assert host.elements() == host.of_guests(guests)
    assert host.at_once(host.argv("del", name) for name in guests) == {0}
    host.has()


def test_a_failure_changes_nothing(host: Host) -> None:
    host.port("vnet0")
    host.ok("add", "vnet0", ONE.mac)
    assert host.fdb("vnet0") == [f"{ONE.mac} sticky master br0 static"]
    file = host.program.parent / "guests" / file_name(TWO.mac)
    file.write_text(file.read_text() + f'add element {TABLE} nothing {{ "{VIF}" }}\n')
    output = host.vif("add", "vnet0", TWO.mac)
    assert output.status == 1
    assert "nothing" in output.stderr
    host.has(vnet0=ONE)
    assert host.fdb("vnet0") == [f"{ONE.mac} sticky master br0 static"]
    # A later call cleans up after the one that failed, whatever it is.
    file.unlink()
    host.ok("del", "vnet0")
    host.has()


@pytest.mark.parametrize("seconds", [number / 200 for number in range(12)])
def test_killed_in_the_middle(host: Host, seconds: float) -> None:
    host.ok("add", "vnet0", THREE.mac)
    host.ok("add", "vnet1", THREE.mac)
    host.killed(seconds, "add", "vnet0", ONE.mac)
    host.ok("sync")
    assert host.elements() in (
        host.of_guests({"vnet0": ONE, "vnet1": THREE}),
        host.of_guests({"vnet0": THREE, "vnet1": THREE}),
    )
    host.killed(seconds, "del", "vnet0")
    host.ok("add", "vnet0", TWO.mac)
    host.has(vnet0=TWO, vnet1=THREE)
    host.killed(seconds, "add", "vnet0", ONE.mac)
    host.ok("del", "vnet0")
    host.has(vnet1=THREE)
    assert host.records() == ["vnet1"]


def test_counted_sets_exist() -> None:
    assert {f"{TABLE} set {name}" for name in COUNTED} <= static(POLICY).keys()
