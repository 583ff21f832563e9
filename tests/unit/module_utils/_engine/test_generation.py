# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that nobody has changed are not read again; all others are."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import generation, process
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Result, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SECURITY_GROUPS
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

T = f"inet {SECURITY_GROUPS.table}"
NFT = {
    T: "table",
    f"{T} set s": "type ipv4_addr",
    f"{T} set s 192.0.2.1": "element",
    f"{T} chain c": "ip saddr @s accept",
}
P = SECURITY_GROUPS.prefix
IPTABLES = {f"4 filter {P}c": "-s 192.0.2.1/32 -j ACCEPT", f"4 filter FORWARD -> {P}c": "first"}
ASK = (
    "import sys; sys.path[:] = {!r}; "
    "from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.generation import current; "
    "print(current() or '')"
)


class Host:
    """A namespace and the listings that were made in it."""

    def __init__(self, netns: Netns, root: Path) -> None:
        self.netns = netns
        self.root = root
        self.listed: list[str] = []

    @property
    def path(self) -> Path:
        return self.root / "run/plainlinux-vpc/security_groups.generation.json"

    def number(self) -> str | None:
        return self.netns.run(Command((sys.executable, "-c", ASK.format(sys.path)))).stdout.strip() or None

    def run(self, command: Command) -> Output:
        if ("list" in command.argv and SECURITY_GROUPS.table in command.argv) or command.argv[0].endswith("-save"):
            self.listed.append(command.argv[0])
        return self.netns.run(command)

    def apply(self, state: dict[str, Any], counter: Callable[[], str | None] | None = None, **options: Any) -> Result:
        self.listed.clear()
        content = {"id": "test", "state": state} if state else {}
        folders = {"root": str(self.root), "lock": str(self.root / "lock")}
        chosen = Options(**{**folders, "removal_limit": None, **options})
        return Transaction(SECURITY_GROUPS, content, chosen, self.run, counter or self.number).apply()


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> Host:
    return Host(netns, tmp_path)


def test_the_kernel_counts_changes_of_nft_and_iptables(host: Host) -> None:
    numbers = [host.number()]
    for change in (
        "nft add table inet x",
        "iptables -N x",
        "nft add set inet x s '{ type mark; }'",
        "nft flush ruleset",
    ):
        host.netns.sh(change)
        numbers.append(host.number())
    assert None not in numbers
    assert len(set(numbers)) == len(numbers)
    host.netns.sh("nft list ruleset; iptables-save; nft -c add table inet y")
    assert host.number() == numbers[-1]


def test_other_namespaces_count_by_themselves(host: Host) -> None:
    before = generation.current()
    host.netns.sh("nft add table inet x")
    assert before is not None
    assert generation.current() == before != host.number()


@pytest.mark.parametrize("name, state", [("nft", NFT), ("iptables", IPTABLES)])
def test_a_second_run_lists_nothing(host: Host, name: str, state: dict[str, str]) -> None:
    program = "nft" if name == "nft" else "iptables-save"
    assert host.apply({name: state}).changed
    assert program in host.listed
    for check in (True, False):
        assert not host.apply({name: state}, check=check).changed
        assert program not in host.listed


@pytest.mark.parametrize(
    "name, state, change",
    [
        ("nft", NFT, f"nft add element {T} s '{{ 192.0.2.9 }}'"),
        ("nft", NFT, f"nft flush chain {T} c"),
        ("nft", NFT, f"nft delete table {T}"),
        ("nft", NFT, "nft flush ruleset"),
        ("iptables", IPTABLES, f"iptables -F {P}c"),
        ("iptables", IPTABLES, "iptables -F FORWARD"),
        ("iptables", IPTABLES, f"iptables -A FORWARD -j {P}c"),
    ],
)
def test_what_somebody_changed_is_seen_and_repaired(host: Host, name: str, state: dict[str, str], change: str) -> None:
    host.apply({name: state})
    host.apply({name: state})
    host.netns.sh(change)
    assert host.apply({name: state}, check=True).changed
    assert host.apply({name: state}).changed
    assert not host.apply({name: state}).changed


def test_foreign_changes_cost_one_reading(host: Host) -> None:
    host.apply({"nft": NFT})
    host.netns.sh("nft add table inet foreign")
    assert not host.apply({"nft": NFT}).changed
    assert "nft" in host.listed
    assert not host.apply({"nft": NFT}).changed
    assert "nft" not in host.listed


def test_another_plan_is_compared_with_the_kernel(host: Host) -> None:
    host.apply({"nft": NFT})
    other = {**NFT, f"{T} set s 192.0.2.2": "element"}
    assert host.apply({"nft": other}).deltas["nft"].added == [f"{T} set s 192.0.2.2"]
    assert not host.apply({"nft": other}).changed
    assert host.apply({"nft": NFT}).deltas["nft"].removed == [f"{T} set s 192.0.2.2"]


@pytest.mark.parametrize("what", ["another boot", "no answer", "nothing remembered"])
def test_without_a_number_all_is_read(host: Host, what: str) -> None:
    host.apply({"nft": NFT})
    if what == "nothing remembered":
        host.path.unlink()
    counter = {"another boot": lambda: "elsewhere 1 5", "no answer": lambda: None}.get(what)
    assert not host.apply({"nft": NFT}, counter).changed
    assert "nft" in host.listed


def test_a_change_while_it_reads_is_not_taken_for_read(host: Host) -> None:
    numbers = iter("abcdefgh")
    assert host.apply({"nft": NFT}, lambda: next(numbers)).changed
    assert not host.path.exists()


def test_check_mode_writes_nothing_and_the_last_run_takes_it_away(host: Host) -> None:
    host.apply({"nft": NFT})
    host.path.unlink()
    host.apply({"nft": NFT}, check=True)
    assert not host.path.exists()
    host.apply({"nft": NFT})
    assert host.path.exists()
    host.apply({})
    assert not host.path.parent.exists()


def test_legacy_iptables_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nftables = Path(os.path.realpath(shutil.which("iptables-save") or "")).name == "xtables-nft-multi"
    assert generation.counted("iptables") == nftables
    (tmp_path / "xtables-legacy-multi").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "xtables-legacy-multi").chmod(0o755)
    (tmp_path / "iptables-save").symlink_to("xtables-legacy-multi")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not generation.counted("iptables")
    assert generation.counted("nft")
    assert not generation.counted("ipset")


def test_the_real_runner_asks_this_namespace(tmp_path: Path) -> None:
    """Only who runs its commands here may ask here."""

    def elsewhere(command: Command) -> Output:
        return Output(0, command.argv[0])

    options = Options(root=str(tmp_path), lock=str(tmp_path / "lock"))
    asked = []
    for run in (process.run, elsewhere):
        reader = Transaction(SECURITY_GROUPS, {}, options, run).reader
        reader.generation.begin()
        asked.append(reader.generation.known)
    assert asked == [True, False]
