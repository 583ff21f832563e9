# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's helper where the backend is iptables: real rules of ports that come and go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import vif as helper
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.template import bind
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import VIF, Guest, template
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import IPTABLES, TABLE
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import (
    ONE,
    OPEN,
    POLICY,
    STRANGER,
    THREE,
    TWO,
    Host,
    opened,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

CHAINS = iptables.chains(POLICY)
ADDRESS = "2001:db8:10::40"


class IptablesHost(Host):
    def __init__(self, netns: Netns, folder: Path) -> None:
        super().__init__(netns, folder, IPTABLES)
        self.write({f"{helper.HOME}/chains{family}": text for family, text in CHAINS.items()})

    def rules(self, family: str) -> list[str]:
        """What the kernel has, table after table."""
        tool = {"4": "iptables-save", "6": "ip6tables-save"}[family]
        return [line for table in ("raw", "filter") for line in self.lines(f"{tool} -t {table}")]

    def lines(self, command: str) -> list[str]:
        return [line for line in self.netns.lines(command) if line.startswith("-A vpc-")]

    def passes(self, guests: Mapping[str, Guest] | None = None, **more: Guest) -> None:
        """These guests are what nft and iptables have, in order of their ports' names."""
        named = {**(guests or {}), **{name.replace("_", "."): guest for name, guest in more.items()}}
        self.has(named)
        for family, text in CHAINS.items():
            places: dict[str, list[str]] = {}
            for name, guest in sorted(named.items()):
                address = ADDRESS if guest == opened(ADDRESS) else ""
                for place, rule in bind(template(OPEN if address else guest, IPTABLES), name, address).rules:
                    places.setdefault(place, []).append(rule)
            expected = []
            for line in text.splitlines():
                expected += places.get(f"{family} {line[1:-1]}", []) if line.startswith("@") else [line]
            found = self.rules(family)
            # The kernel lists chains by name or by age; within a chain the order counts.
            assert sorted(found, key=chain) == sorted((one for one in expected if one.startswith("-A")), key=chain)


def chain(rule: str) -> str:
    return rule.split()[1]


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> IptablesHost:
    return IptablesHost(netns, tmp_path)


def test_ports_come_and_go(host: IptablesHost) -> None:
    host.ok("add", "vif10.0", ONE.mac)
    host.passes(vif10_0=ONE)
    host.ok("add", "vif2.0", THREE.mac)
    host.ok("add", "vif10.0-emu", ONE.mac)
    host.passes({"vif10.0": ONE, "vif10.0-emu": ONE, "vif2.0": THREE})
    host.ok("del", "vif10.0")
    host.passes({"vif10.0-emu": ONE, "vif2.0": THREE})
    host.ok("add", "vif2.0", ONE.mac)
    host.passes({"vif10.0-emu": ONE, "vif2.0": ONE})
    assert host.vif("add", "vif2.0", STRANGER).status == 3
    host.passes({"vif10.0-emu": ONE})


def test_an_address_of_the_start(host: IptablesHost) -> None:
    host.ok("add", "vif1.0", OPEN.mac, ADDRESS)
    host.passes(vif1_0=opened(ADDRESS))
    host.ok("sync")
    host.passes(vif1_0=opened(ADDRESS))
    output = host.vif("add", "vif1.0", OPEN.mac, "2001:db8:10::1")
    assert "gateway" in output.stderr
    host.passes(vif1_0=OPEN)


def test_names_of_the_plan(host: IptablesHost) -> None:
    host.declare([ONE, TWO, THREE], {"vif2.0": TWO.mac, "vif1.0": ONE.mac})
    host.write({f"{helper.HOME}/chains{family}": text for family, text in CHAINS.items()})
    host.ok("add", "vif10.0", THREE.mac)
    # Only nft does not know the others yet; the engine tells it.
    rules = [rule.partition(" --physdev-in ")[2] for rule in host.rules("4") if rule.endswith("-g vpc-antispoof-own")]
    assert [rule.split()[0] for rule in rules if rule] == ["vif1.0", "vif10.0", "vif10.0", "vif2.0"]
    host.ok("sync")
    host.passes({"vif1.0": ONE, "vif10.0": THREE, "vif2.0": TWO})
    host.ok("add", "vif1.0", THREE.mac)
    host.passes({"vif1.0": THREE, "vif10.0": THREE, "vif2.0": TWO})
    host.declare([ONE, TWO], {"vif1.0": ONE.mac})
    host.write({f"{helper.HOME}/chains{family}": text for family, text in CHAINS.items()})
    host.age("vif2.0", "vif10.0")
    host.ok("sync")
    host.passes({"vif1.0": ONE})


def test_sync_repairs(host: IptablesHost) -> None:
    host.ok("add", "vif1.0", ONE.mac)
    host.netns.sh("iptables -t raw -F; ip6tables -t filter -F")
    host.ok("sync")
    host.passes(vif1_0=ONE)


@pytest.mark.parametrize("seconds", [number / 60 for number in range(8)])
def test_killed_in_the_middle(host: IptablesHost, seconds: float) -> None:
    host.ok("add", "vif1.0", THREE.mac)
    host.ok("add", "vif2.0", THREE.mac)
    host.killed(seconds, "add", "vif1.0", ONE.mac)
    host.ok("add", "vif1.0", TWO.mac)
    host.passes(vif1_0=TWO, vif2_0=THREE)
    host.killed(seconds, "add", "vif1.0", ONE.mac)
    host.ok("del", "vif1.0")
    host.passes(vif2_0=THREE)


def test_many_at_once(host: IptablesHost) -> None:
    guests = {
        f"vnet{number}": Guest(f"02:00:00:00:00:{number:02x}", ((4, 0x0A000000 + number),)) for number in range(9)
    }
    host.declare(guests.values())
    assert host.at_once(host.argv("add", name, guest.mac) for name, guest in guests.items()) == {0}
    host.passes(guests)


@pytest.mark.parametrize("before", [TWO, None])
def test_what_iptables_refuses(host: IptablesHost, before: Guest | None) -> None:
    host.port("vif1.0")
    if before:
        host.ok("add", "vif1.0", before.mac)
    file = next(host.home.glob(f"guests/{ONE.mac.replace(':', '-')}"))
    file.write_text(file.read_text() + "# 6 FROM -A vpc-antispoof-from --imagined\n")
    output = host.vif("add", "vif1.0", ONE.mac)
    assert output.status == 1
    host.passes({"vif1.0": before} if before else {})
    assert host.records() == (["vif1.0"] if before else [])
    assert host.fdb("vif1.0") == ([f"{before.mac} sticky master br0 static"] if before else [])


@pytest.mark.parametrize("before", [TWO, None])
def test_what_nft_refuses(host: IptablesHost, before: Guest | None) -> None:
    if before:
        host.ok("add", "vif1.0", before.mac)
    file = next(host.home.glob(f"guests/{ONE.mac.replace(':', '-')}"))
    file.write_text(file.read_text() + f'add element {TABLE} nothing {{ "{VIF}" }}\n')
    assert host.vif("add", "vif1.0", ONE.mac).status == 1
    host.passes({"vif1.0": before} if before else {})


def test_a_name_that_changes_hands_is_shut_meanwhile(host: IptablesHost) -> None:
    """nft lets alone what neither it nor the form of its name tells: such a name must not be unknown for a moment."""
    host.ok("add", "web0", TWO.mac)
    probe = host.folder / "probe"
    probe.mkdir()
    # What nft has whenever iptables is changed.
    for tool in ("iptables-restore", "ip6tables-restore"):
        (probe / tool).write_text(
            f'#!/bin/sh\nnft list table {TABLE} >>{probe}/seen\nPATH=/usr/sbin:/sbin:/usr/bin:/bin exec {tool} "$@"\n'
        )
        (probe / tool).chmod(0o755)
    text = host.program.read_text()
    host.program.write_text(text.replace("\nPATH=", f"\nPATH={probe}:", 1))
    host.ok("add", "web0", ONE.mac)
    seen = (probe / "seen").read_text()
    assert ONE.mac not in seen
    assert TWO.mac not in seen
    assert seen.count('"web0"') == seen.count("table bridge") == 2
    host.passes(web0=ONE)


@pytest.mark.parametrize("before", [TWO, None])
@pytest.mark.parametrize("tool", ["iptables-restore", "ip6tables-restore"])
def test_killed_before_iptables_knows_the_port(host: IptablesHost, before: Guest | None, tool: str) -> None:
    """Whoever repeats the call must not let nft know a port that iptables lets alone, or takes for another guest's."""
    host.table(["web0"])
    if before:
        host.ok("add", "web0", before.mac)
    probe = host.folder / "probe"
    probe.mkdir()
    (probe / tool).write_text("#!/bin/sh\nkill -9 $PPID\n")
    (probe / tool).chmod(0o755)
    text = host.program.read_text()
    host.program.write_text(text.replace("\nPATH=", f"\nPATH={probe}:", 1))
    assert host.vif("add", "web0", ONE.mac).status == -9
    host.program.write_text(text)
    host.ok("add", "web0", ONE.mac)
    host.netns.sh(f"nft delete element {TABLE} planned '{{ \"web0\" }}'")
    host.passes(web0=ONE)
