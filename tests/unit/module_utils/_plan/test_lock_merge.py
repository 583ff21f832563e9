# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people allocate on two branches: what git makes of their lock files, and what the planner says of that."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, parse_ipv4
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.allocation_world import (
    NAME,
    NET1,
    NET2,
    given_to,
    guest,
    number_of,
    refusals,
    settle,
    text_of,
    values,
)

FIRST = [guest(f"vm{number}") for number in range(40)]


class Repository:
    """A repository with the lock file of FIRST, and two branches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / NAME
        self.git("init", "-q", "-b", "main")
        self.first = text_of(FIRST)
        self.commit(self.first)

    def git(self, *words: str) -> tuple[int, str]:
        settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *who, *words],
            cwd=self.folder,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def commit(self, text: str) -> None:
        self.file.write_text(text)
        assert self.git("add", NAME)[0] == 0
        status, said = self.git("commit", "-q", "-m", "x")
        assert status == 0, said

    def merge(self, ours: str, theirs: str) -> tuple[bool, str]:
        """(whether git found no conflict, the merged file) of two successors of the first file."""
        self.git("checkout", "-q", "-b", "other")
        self.commit(theirs)
        self.git("checkout", "-q", "main")
        self.commit(ours)
        status, said = self.git("merge", "-q", "other")
        assert status in (0, 1), said
        return status == 0, self.file.read_text()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def new_guests(first: str) -> dict[str, int]:
    """What each of many guests would be given, if it came alone."""
    names = [f"new{number}" for number in range(200)]
    return {name: parse_ipv4(given_to(text_of([*FIRST, guest(name)], first), name)[2]) for name in names}


def names_with_one_address() -> tuple[str, str]:
    """Two guests who are given the same address where neither knows of the other."""
    seen: dict[int, str] = {}
    for name, address in new_guests(text_of(FIRST)).items():
        if address in seen:
            return seen[address], name
        seen[address] = name
    raise ValueError("none")


def test_one_address_on_two_branches_is_a_conflict_that_names_both(repository: Repository) -> None:
    one, two = names_with_one_address()
    first = repository.first
    ours, theirs = text_of([*FIRST, guest(one)], first), text_of([*FIRST, guest(two)], first)
    address = given_to(ours, one)[2]
    assert given_to(theirs, two)[2] == address
    clean, merged = repository.merge(ours, theirs)
    assert not clean
    block = merged.partition("<<<<<<< ")[2].partition(">>>>>>> ")[0]
    assert f" {one} " in block
    assert f" {two} " in block
    assert block.count(f" {address} ") == 2
    (message,) = refusals([*FIRST, guest(one), guest(two)], merged)
    line = number_of(merged, "<<<<<<<")
    assert message.startswith(f"vpc-lock.txt:{line}: a merge conflict is not resolved, down to line {line + 4}: ")
    assert f"HEAD has {one} in net1 {address}" in message
    assert f"other has {two} in net1 {address}" in message
    # Both sides without the marks.
    kept = "".join(item for item in merged.splitlines(keepends=True) if item[:7] not in ("<" * 7, "=" * 7, ">" * 7))
    (message,) = refusals([*FIRST, guest(one), guest(two)], kept)
    assert message.startswith(
        f"vpc-lock.txt:{line + 1}: {address} of {two} is that of {one} in line {line} too: delete the line"
    )
    # What both messages say is to be done.
    done = "".join(item for item in kept.splitlines(keepends=True) if f" {two} " not in item)
    after = values(settle([*FIRST, guest(one), guest(two)], done))
    assert after[one, "net1"][0] == parse_ipv4(address) != after[two, "net1"][0]


def test_guests_far_apart_are_merged_and_planned(repository: Repository) -> None:
    first = repository.first
    spread = new_guests(first)
    one, two = min(spread, key=lambda name: spread[name]), max(spread, key=lambda name: spread[name])
    ours, theirs = text_of([*FIRST, guest(one)], first), text_of([*FIRST, guest(two)], first)
    clean, merged = repository.merge(ours, theirs)
    assert clean
    after = values(settle([*FIRST, guest(one), guest(two)], merged))
    assert after == {
        **values(settle([*FIRST, guest(one)], ours)),
        (two, "net1"): values(settle([*FIRST, guest(two)], theirs))[two, "net1"],
    }


USED = {item.split()[2] for item in text_of(FIRST).splitlines() if item.startswith("guest")}
LOW, *REST, HIGH = [word for word in (f"10.10.10.{last}" for last in range(3, 255)) if word not in USED]


def line(address: str, address6: str, mac: str, owner: str) -> str:
    return f"guest net1 {address} {address6} {mac} {owner} 41"


MAC1, MAC2 = "02:00:00:00:00:05", "02:00:00:00:00:06"


@pytest.mark.parametrize(
    "ours, theirs, reason",
    [
        pytest.param(
            line(LOW, "2001:db8:10::5", MAC1, "new1"),
            line(HIGH, "2001:db8:10::5", MAC2, "new2"),
            "2001:db8:10::5 of new2 is that of new1 in line {} too: delete the line",
            id="address6",
        ),
        pytest.param(
            line(LOW, "-", MAC1, "new1"),
            line(HIGH, "-", MAC1, "new2"),
            f"{MAC1} of new2 is that of new1 in line {{}} too: delete the line",
            id="mac",
        ),
        pytest.param(
            line(LOW, "-", MAC1, "new1"),
            line(HIGH, "-", MAC2, "new1"),
            f"new1 is in net1 twice: here with {HIGH} {MAC2}, in line {{}} with {LOW} {MAC1}; delete the line",
            id="guest",
        ),
        pytest.param(
            "network alpha 10.1.0.0/24 - 1000000001 02:00:00:00:01:01",
            "network zeta 10.2.0.0/24 - 1000000001 02:00:00:00:01:02",
            "table 1000000001 of zeta is that of alpha in line {} too: delete the line",
            id="table",
        ),
        pytest.param(
            "network alpha 10.1.0.0/24 - 1000000001 02:00:00:00:01:01",
            "network zeta 10.2.0.0/24 - 1000000002 02:00:00:00:01:01",
            "bridge MAC 02:00:00:00:01:01 of zeta is that of alpha in line {} too: delete the line",
            id="bridge",
        ),
    ],
)
def test_what_git_cannot_see_the_planner_does(repository: Repository, ours: str, theirs: str, reason: str) -> None:
    texts = [repository.first.splitlines() for _side in range(2)]
    for text, added in zip(texts, (ours, theirs)):
        at = next(index for index, item in enumerate(text) if item.startswith("network net1"))
        last = next(index for index, item in enumerate(text) if item.startswith("network net2"))
        text.insert(
            {"alpha": at, "zeta": len(text), LOW: at + 1, HIGH: last - 1}[added.split()[1 + (added[0] == "g")]], added
        )
    clean, merged = repository.merge(*("\n".join([*text, ""]) for text in texts))
    assert clean
    first, second = number_of(merged, ours), number_of(merged, theirs)
    networks: list[dict[str, Any]] = [NET1, NET2]
    networks += [{"name": "alpha", "cidr": "10.1.0.0/24"}, {"name": "zeta", "cidr": "10.2.0.0/24"}]
    (message,) = refusals([*FIRST, guest("new1"), guest("new2")], merged, networks)
    assert message.startswith(f"vpc-lock.txt:{second}: {reason.format(first)}")


def test_the_same_guest_on_two_branches_is_the_same_line(repository: Repository) -> None:
    both = text_of([*FIRST, guest("new")], repository.first)
    clean, merged = repository.merge(both, both + "# another comment\n")
    assert clean
    (found,) = [port.address for port in settle([*FIRST, guest("new")], merged).ports if port.instance == "new"]
    assert format_ipv4(found or 0) == given_to(both, "new")[2]


def test_one_branch_frees_and_the_other_allocates(repository: Repository) -> None:
    first = repository.first
    lowest = next(item for item in first.splitlines() if item.startswith("guest net1"))
    gone, new = lowest.split()[5], max(new_guests(first).items(), key=lambda item: item[1])[0]
    left = [item for item in FIRST if item["name"] != gone]
    clean, merged = repository.merge(text_of(left, first), text_of([*FIRST, guest(new)], first))
    assert clean
    assert f"freed net1 {lowest.split()[2]}" in merged
    after = settle([*left, guest(new)], merged)
    assert values(after)[new, "net1"] == values(settle([*FIRST, guest(new)], first))[new, "net1"]
    assert after.changes == []
