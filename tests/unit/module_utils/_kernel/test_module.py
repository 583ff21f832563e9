# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel modules: only what can be asked without loading one here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Delta, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.module import Module, unloadable
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context, texts

MODULE = Module()
MISSING = "vpc_no_such_module"


def test_parse() -> None:
    wanted = context({"br_netfilter": "loaded", "bridge": "loaded"})
    assert MODULE.parse(wanted, texts("bridge\n")) == {"bridge": "loaded"}
    found = MODULE.parse(wanted, texts("bridge\nbr_netfilter missing modprobe: no br_netfilter\n"))
    assert found == {"bridge": "loaded", "br_netfilter": "missing modprobe: no br_netfilter"}
    assert unloadable(found) == {"br_netfilter": "modprobe: no br_netfilter"}
    # Nobody can undo what was not there.
    assert MODULE.put(wanted, Delta.between({}, {"br_netfilter": "missing because"})) == []
    assert MODULE.parse(context(), []) == {}
    assert MODULE.read(context()) == []


def test_never_removed() -> None:
    assert not MODULE.prunable
    assert MODULE.drop(context(), Delta.between({"bridge": "loaded"}, {})) == []


@pytest.fixture
def present(netns: Netns) -> str:
    """A module that this kernel has now, built in or loaded."""
    netns.sh("ip link add br-a type bridge")
    return "bridge"


def test_read(netns: Netns, present: str) -> None:
    found = netns.read(MODULE, context({present: "loaded", MISSING: "loaded"}))
    assert found.pop(present) == "loaded"
    assert list(found) == [MISSING]
    assert f"Module {MISSING} not found" in unloadable(found)[MISSING]


class Programs:
    """Programs that stand in for those of a host: modprobe, which knows what it is told, and ip."""

    def __init__(self, netns: Netns, folder: Path) -> None:
        self.netns = netns
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >>{self.folder}/log\n{text}\n')
        path.chmod(0o755)

    def run(self, command: Command) -> Output:
        argv = ("env", f"PATH={self.folder}:/usr/sbin:/usr/bin:/sbin:/bin", *command.argv)
        return self.netns.run(Command(argv, command.stdin))

    def read(self, wanted: Mapping[str, str]) -> dict[str, str]:
        return MODULE.parse(context(wanted), [self.run(command) for command in MODULE.read(context(wanted))])

    def log(self) -> str:
        path = self.folder / "log"
        found = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return found


@pytest.fixture
def programs(netns: Netns, tmp_path: Path) -> Programs:
    return Programs(netns, tmp_path)


NO_LIST = "echo modprobe: FATAL: no directory >&2; exit 1"


def test_one_that_can_be_loaded_is_neither(programs: Programs) -> None:
    programs.write("modprobe", '[ "$1" = --dry-run ]')
    assert programs.read({MISSING: "loaded", "xfrm_interface": "loaded"}).get(MISSING) is None


@pytest.mark.parametrize("name", ["xfrm_interface", "esp4"])
@pytest.mark.parametrize("able", [True, False])
def test_what_a_container_can_have_is_seen_by_its_use(programs: Programs, name: str, able: bool) -> None:
    """It has no list of modules, and what it uses is loaded for it."""
    programs.write("modprobe", NO_LIST)
    programs.write("ip", "exit 0" if able else "exit 2")
    wanted = {name: "loaded"}
    found = programs.read(wanted)
    (command,) = MODULE.put(context(wanted), Delta.between({}, wanted))
    written = programs.run(command)
    if able or found == wanted:
        assert (found, written) == (wanted, Output(0, ""))
    else:
        assert unloadable(found) == {name: "modprobe: FATAL: no directory"}
        assert written == Output(1, "", "modprobe: FATAL: no directory\n")


def test_nothing_is_used_where_modprobe_knows_better(programs: Programs) -> None:
    programs.write("modprobe", "exit 0")
    programs.write("ip", "exit 0")
    programs.read({"xfrm_interface": "loaded", "esp4": "loaded"})
    assert "ip " not in programs.log()


@pytest.mark.parametrize(
    "name, answers", [("xfrm_interface", "Unknown device type"), ("esp4", "type not found|support")]
)
def test_uses_are_words_that_ip_understands(programs: Programs, name: str, answers: str) -> None:
    """On a kernel that has it there is no answer."""
    programs.write("modprobe", NO_LIST)
    programs.write("ip", f'exec {shutil.which("ip")} "$@" 2>>{programs.folder}/said')
    found = programs.read({name: "loaded"})
    said = (programs.folder / "said").read_text() if (programs.folder / "said").exists() else ""
    assert name in found
    if found[name] == "loaded":
        assert said == ""
    else:
        assert re.search(answers, said), said


def test_a_bridge_in_a_container(programs: Programs) -> None:
    programs.write("modprobe", NO_LIST)
    assert programs.read({"bridge": "loaded"}) == {"bridge": "loaded"}


def test_br_netfilter_built_in(netns: Netns) -> None:
    """It has neither parameters nor a version: its sysctls tell."""
    known = netns.sh("[ ! -d /proc/sys/net/bridge ] && [ ! -d /sys/module/br_netfilter ] || echo br_netfilter").split()
    assert sorted(netns.read(MODULE, context({"br_netfilter": "loaded"}))) == known


def test_put_and_boot(netns: Netns, present: str, tmp_path: Path) -> None:
    """What is there needs no modprobe, which fails for a module built in where /lib/modules is missing."""
    wanted = context({present: "loaded"})
    netns.apply(MODULE.put(wanted, Delta.between({}, wanted.desired)))
    assert netns.boot(MODULE, wanted, tmp_path) == Output(0, "")
    assert netns.boot(MODULE, context(), tmp_path / "..") == Output(0, "")


def test_a_missing_module_is_named(netns: Netns, present: str, tmp_path: Path) -> None:
    wanted = context({present: "loaded", MISSING: "loaded"})
    (command,) = MODULE.put(wanted, Delta.between({}, wanted.desired))
    for output in (netns.run(command), netns.boot(MODULE, wanted, tmp_path)):
        assert output.status == 1
        assert f"Module {MISSING} not found" in output.stderr


def test_helpers_built_in(netns: Netns) -> None:
    """They have neither parameters nor a version, but what they belong to has."""
    builtin = "[ -d /sys/module/nf_conntrack_ftp ] && ! grep -q '^nf_conntrack_ftp ' /proc/modules"
    found = netns.read(MODULE, context({"nf_nat_ftp": "loaded", "nf_nat_nobody": "loaded"}))
    assert found["nf_nat_nobody"].startswith("missing")
    assert found["nf_nat_ftp"] == "loaded" or not netns.sh(f"{builtin} && echo yes || true")


# What the module makes when it is loaded, with its switches on; $1 is what a host had before.
_LOADED = """\
mount -t tmpfs none /proc/sys/net
if [ -n "$1" ]; then mkdir /proc/sys/net/bridge; echo "$1" >/proc/sys/net/bridge/bridge-nf-call-iptables; fi
shift
"$@"
cd /proc/sys/net/bridge
grep -H '' *
"""


@pytest.mark.parametrize(
    "before, after",
    [
        ("", ["bridge-nf-call-arptables:0", "bridge-nf-call-ip6tables:0", "bridge-nf-call-iptables:0", "other:1"]),
        ("1", ["bridge-nf-call-iptables:1"]),
    ],
)
@pytest.mark.parametrize("boot", [False, True])
def test_br_netfilter_comes_without_its_effect_on_all_bridges(
    programs: Programs, tmp_path: Path, boot: bool, before: str, after: list[str]
) -> None:
    """Where somebody had loaded it already, it is as they want it."""
    programs.write(
        "modprobe",
        "[ $# = 2 ] || exit 1\nmkdir /proc/sys/net/bridge\ncd /proc/sys/net/bridge\n"
        "for name in bridge-nf-call-iptables bridge-nf-call-ip6tables bridge-nf-call-arptables other; do\n"
        "  echo 1 >$name\ndone",
    )
    wanted = {"br_netfilter": "loaded"}
    (command,) = MODULE.put(context(wanted), Delta.between({}, wanted))
    if boot:
        for name, text in MODULE.boot(context(wanted)).items():
            (tmp_path / name).write_text(text)
        command = Command(("dash", "-euc", f"cd {tmp_path}\n{MODULE.boot_shell}"))
    output = programs.run(
        Command(("unshare", "--mount", "dash", "-euc", _LOADED, "sh", before, *command.argv), command.stdin)
    )
    assert (output.status, output.stdout.splitlines()) == (0, after), output
