# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper of the guard: real shell, real nft, real bridge ports."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import vif as helper
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import VRRP, Guest, file_name
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import COUNTED, TABLE, Policy
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.state import of_guests, static, whole
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context

NFT = Nft()
POLICY = Policy(("peth0",))
ONE = Guest("00:16:3e:00:00:01", ((4, parse_ipv4("10.10.10.10")), (6, parse_ipv6("2001:db8:10::10"))))
TWO = Guest("00:16:3e:00:00:02", ((4, parse_ipv4("10.10.10.20")),))
# Learns, because it has two MACs.
THREE = Guest(
    "00:16:3e:00:00:03",
    ((4, parse_ipv4("10.10.10.30")),),
    (("00:00:5e:00:01:07", 4, parse_ipv4("10.10.10.7")),),
    roles=frozenset((VRRP,)),
)
STRANGER = "00:16:3e:00:00:99"


class Host:
    """A namespace with the guard's table, and the helper with its files in a folder of the test."""

    def __init__(self, netns: Netns, folder: Path) -> None:
        self.netns = netns
        self.folder = folder
        self.program = folder / helper.HELPER.lstrip("/")
        self.declare([ONE, TWO, THREE])
        self.table()

    def declare(self, guests: Iterable[Guest], names: Mapping[str, str] | None = None) -> None:
        """What the role writes; files of guests that are not declared any more go."""
        for old in self.program.parent.glob("guests/*"):
            old.unlink()
        for path, text in helper.files(guests, names or {}).items():
            file = self.folder / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.program.chmod(0o755)

    def table(self, planned: Iterable[str] = ()) -> None:
        self.netns.converge(NFT, context(static(POLICY, planned), scope=ANTISPOOF))

    def vif(self, *words: str) -> Output:
        return self.netns.run(
            Command(("env", f"PLAINLINUX_VPC_RUN={self.folder}/run", str(self.program), *words), stdin="")
        )

    def ok(self, *words: str) -> None:
        output = self.vif(*words)
        assert output == Output(0, "", ""), output

    def elements(self) -> dict[str, str]:
        """What guests have in the table now."""
        found = self.netns.read(NFT, context(scope=ANTISPOOF))
        base = static(POLICY)
        assert base.items() <= found.items()
        return {key: value for key, value in found.items() if key not in base}

    def has(self, **guests: Guest) -> None:
        assert self.elements() == of_guests({name.replace("_", "."): guest for name, guest in guests.items()})

    def records(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("run/antispoof/vif/*"))

    def port(self, name: str) -> str:
        self.netns.sh(
            f"ip link show br0 >/dev/null 2>&1 || ip link add br0 up type bridge\n"
            f"ip link add {name} type veth peer name {name}-p; ip link set {name} master br0 up"
        )
        return name

    def setting(self, name: str, key: str) -> str:
        return self.netns.sh(f"cat /sys/class/net/{name}/brport/{key}").strip()

    def fdb(self, name: str) -> list[str]:
        return [line for line in self.netns.lines(f"bridge fdb show dev {name}") if "static" in line]


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> Host:
    return Host(netns, tmp_path)


def test_add_and_del(host: Host) -> None:
    host.ok("add", "vnet0", ONE.mac)
    host.has(vnet0=ONE)
    host.ok("add", "vif2.0", THREE.mac.upper())
    assert host.elements() == of_guests({"vnet0": ONE, "vif2.0": THREE})
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
    assert host.elements() == {**of_guests({"vif1.0": TWO}), f'{TABLE} set planned "vif1.0"': "element"}


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
    assert host.elements() == of_guests(both)
    host.ok("del", "vif1.0-emu")
    assert host.elements() == of_guests({"vif1.0": ONE})
    host.ok("add", "vif1.0-emu", ONE.mac)
    host.ok("add", "vif1.0-emu", TWO.mac)
    assert host.elements() == of_guests({"vif1.0": ONE, "vif1.0-emu": TWO})


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
    assert host.elements() == {**of_guests({"vnet0": ONE, "vnet1": ONE, "vif3.0": THREE}), **planned}
    assert host.records() == ["vif3.0", "vnet0", "vnet1"]
    assert host.fdb("vnet0") == [f"{ONE.mac} sticky master br0 static"]
    # Ports that went without a word: one of two of a guest.
    for name in ("vnet0", "vnet1"):
        subprocess.run(["touch", "-d", "2 minutes ago", f"{host.folder}/run/antispoof/vif/{name}"], check=True)
    host.ok("sync")
    assert host.elements() == {**of_guests({"vnet0": ONE, "vif3.0": THREE}), **planned}


def test_port_settings(host: Host) -> None:
    host.port("vnet0")
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
    command = f"ip netns exec {host.netns.name} env PLAINLINUX_VPC_RUN={host.folder}/run {host.program}"
    running = [
        subprocess.Popen([*command.split(), "add", name, guest.mac], stdin=subprocess.DEVNULL)
        for name, guest in guests.items()
    ]
    assert {process.wait() for process in running} == {0}
    assert host.elements() == of_guests(guests)
    running = [subprocess.Popen([*command.split(), "del", name], stdin=subprocess.DEVNULL) for name in guests]
    assert {process.wait() for process in running} == {0}
    host.has()


def test_a_failure_changes_nothing(host: Host) -> None:
    host.ok("add", "vnet0", ONE.mac)
    file = host.program.parent / "guests" / file_name(TWO.mac)
    file.write_text(file.read_text() + f"add element {TABLE} nothing {{ 1 }}\n")
    output = host.vif("add", "vnet0", TWO.mac)
    assert output.status == 1
    assert "nothing" in output.stderr
    host.has(vnet0=ONE)
    # A later call cleans up after the one that failed, whatever it is.
    file.unlink()
    host.ok("del", "vnet0")
    host.has()


def test_counted_sets_exist() -> None:
    assert {f"{TABLE} set {name}" for name in COUNTED} <= static(POLICY).keys()
