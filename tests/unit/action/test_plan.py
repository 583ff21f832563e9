# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reads and who writes the lock file, by the playbooks. No host of the inventory exists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
NAME = "vpc-lock.txt"
GUESTS: list[dict[str, Any]] = [
    {"name": name, "hypervisor": "host1", "network": "net1"} for name in ("vm1", "vm2", "vm3")
]
VARIABLES: dict[str, Any] = {"vpc_networks": [{"name": "net1", "cidr": "10.10.10.0/24"}], "vpc_instances": GUESTS}
INVENTORY = {
    "hypervisors": {"hosts": {"host1": {"ansible_host": "192.0.2.1"}}},
    "routers": {"hosts": {"router": {"ansible_host": "192.0.2.2"}}},
}


class Site:
    """An inventory, and what playbooks do to the files beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / NAME
        (folder / "hosts.yml").write_text(yaml.safe_dump(INVENTORY))
        (folder / "group_vars").mkdir()
        self.say()

    def say(self, **variables: Any) -> None:
        (self.folder / "group_vars" / "all.yml").write_text(yaml.safe_dump({**VARIABLES, **variables}))

    def play(self, playbook: str, *words: str, **extra: Any) -> tuple[int, str]:
        """(status, output) of one of our playbooks, or of a path."""
        path = TOP / "playbooks" / f"{playbook}.yml"
        environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".build"),
            "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "COLUMNS": "1000",
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            [
                str(BIN / "ansible-playbook"),
                "-i",
                str(self.folder),
                str(path if path.exists() else playbook),
                "-e",
                json.dumps({"vpc_plan_dir": str(self.folder / ".plan")} | extra),
                *words,
            ],
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.folder,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / ".plan" / "plan.json").read_text())
        return found

    def addresses(self) -> dict[str, str]:
        return {name: item["interfaces"][0]["address"] for name, item in self.plan()["instances"].items()}

    def tasks(self, text: str) -> Path:
        """A playbook of somebody who uses one module only."""
        path = self.folder / "own.yml"
        path.write_text(f"- hosts: hypervisors\n  gather_facts: false\n  tasks:\n    - {text}\n")
        return path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def counted(said: str, what: str) -> int:
    """How often a change stands in the table of allocations."""
    return sum(line.startswith(f"{what} ") for line in said.partition("Allocations for ")[2].splitlines())


def test_plan_says_what_would_be_allocated_and_lock_writes_it(site: Site) -> None:
    status, said = site.play("plan")
    assert status == 0, said
    assert counted(said, "new") == 4
    assert not site.file.exists()
    planned = site.addresses()
    status, said = site.play("lock")
    assert status == 0, said
    assert f"{site.file} was written: 4 new. Commit it with the inventory" in said
    assert "changed=1" in said
    text = site.file.read_text()
    assert len([line for line in text.splitlines() if line.startswith("guest")]) == 3
    assert site.addresses() == planned
    status, said = site.play("lock")
    assert "has all that is allocated" in said
    assert "changed=0" in said
    status, said = site.play("plan")
    assert "Allocations" not in said
    assert site.file.read_text() == text


def test_a_plan_that_is_known_is_not_made_again_and_the_file_is_a_part_of_it(site: Site) -> None:
    site.play("lock")
    own = str(site.tasks("plainlinux.vpc.plan:"))
    before = (site.folder / ".plan" / "plan.json").stat()
    status, said = site.play(own)
    assert status == 0, said
    assert (site.folder / ".plan" / "plan.json").stat().st_ino == before.st_ino
    first = site.plan()
    word = site.addresses()["vm2"].partition("/")[0]
    site.file.write_text(site.file.read_text().replace(f" {word} ", " 10.10.10.77 "))
    site.play(own)
    assert site.addresses()["vm2"] == "10.10.10.77/24"
    assert site.plan()["id"] != first["id"]


def test_what_is_written_is_what_was_planned_before(site: Site) -> None:
    """The roles after site's first task find the plan that it made."""
    site.play("plan")
    before = site.plan()["id"]
    site.play("lock")
    assert site.plan()["id"] == before


@pytest.mark.parametrize(
    "words, extra, changed", [(("--check",), {}, 1), ((), {"lab": True}, 0), (("--check",), {"lab": True}, 0)]
)
def test_a_rehearsal_reads_the_file_and_does_not_write_it(
    site: Site, words: tuple[str, ...], extra: dict[str, Any], changed: int
) -> None:
    status, said = site.play("lock", *words, **extra)
    assert status == 0, said
    # What the same run would change without check mode: in a lab, nothing.
    assert f"changed={changed} " in said
    assert f"does not write {site.file}: 4 new" in said
    assert not site.file.exists()
    site.play("lock")
    text = site.file.read_text()
    site.say(vpc_instances=[*GUESTS, {"name": "vm4", "hypervisor": "host1", "network": "net1"}])
    status, said = site.play("lock", *words, **extra)
    assert f"does not write {site.file}: 1 new" in said
    assert site.file.read_text() == text
    # The same run without that would write.
    status, said = site.play("lock")
    assert f"{site.file} was written: 1 new" in said
    assert len(site.file.read_text().splitlines()) == len(text.splitlines()) + 1


def test_site_writes_before_it_touches_a_host(site: Site) -> None:
    """The hosts of this inventory do not answer."""
    status, said = site.play("site", "--ssh-common-args", "-o ConnectTimeout=1 -o ConnectionAttempts=1")
    assert status != 0
    assert said.index("was written: 4 new") < said.index("UNREACHABLE")
    assert site.file.exists()


def test_site_does_not_write_what_it_refuses(site: Site) -> None:
    site.say(vpc_expectations=[{"from": "vm1", "to": "vm2", "expect": "drop"}])
    status, said = site.play("site")
    assert status != 0
    assert "vpc_expectations[0]" in said
    assert not site.file.exists()


def test_others_warn_of_what_is_not_written_down(site: Site) -> None:
    own = str(site.tasks("plainlinux.vpc.plan:"))
    for _round in range(2):
        status, said = site.play(own)
        assert status == 0, said
        assert f"4 new in {site.file}: not written down yet" in said
    assert not site.file.exists()
    assert "not written down" not in site.play(own, lab=True)[1]
    site.play("lock")
    assert "not written down" not in site.play(own)[1]


def test_freed_and_taken_again(site: Site) -> None:
    site.play("lock")
    before = site.addresses()
    site.say(vpc_instances=GUESTS[:2])
    assert counted(site.play("plan")[1], "freed") == 1
    site.play("lock")
    assert f"freed net1 {before['vm3'].partition('/')[0]}" in site.file.read_text()
    site.say()
    assert counted(site.play("plan")[1], "taken again") == 1
    site.play("lock")
    assert site.addresses() == before


def test_mistakes_of_the_file_and_of_the_inventory_at_once(site: Site) -> None:
    site.play("lock")
    site.file.write_text(site.file.read_text() + "guest net1 10.10.10.300 - - vm9 1\n")
    site.say(vpc_networks=[*VARIABLES["vpc_networks"], {"name": "B"}])
    text = site.file.read_text()
    for playbook in ("lock", "plan", "site"):
        status, said = site.play(playbook)
        assert status != 0
        assert f"vpc-lock.txt:{len(text.splitlines())}: 10.10.10.300 is not an IPv4 address" in said
        assert "vpc_networks[1].name: B is not allowed" in said
        assert "UNREACHABLE" not in said
    assert site.file.read_text() == text


def test_without_anything_left_out_there_is_no_file(site: Site) -> None:
    site.say(
        vpc_networks=[{"name": "wan", "cidr": "198.51.100.0/24", "bridge": "br0"}],
        vpc_instances=[
            {
                "name": "vm1",
                "hypervisor": "host1",
                "network": "wan",
                "address": "198.51.100.7",
                "mac": "52:54:00:00:00:01",
            }
        ],
    )
    status, said = site.play("lock")
    assert status == 0, said
    assert "the inventory leaves nothing out: there is no lock file" in said
    assert not site.file.exists()


def test_a_file_that_cannot_be_written_is_told_before_any_host(site: Site) -> None:
    site.play("lock")
    site.file.chmod(0o444)
    site.say(vpc_instances=GUESTS[1:])
    status, said = site.play("site")
    assert status != 0
    assert f"cannot write vpc_lock_file {site.file}: it is read-only" in said
    assert "UNREACHABLE" not in said


def test_runs_at_the_same_time(site: Site) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(
            pool.map(lambda number: site.play("lock", vpc_plan_dir=str(site.folder / f"plan{number}")), range(3))
        )
    assert [status for status, _said in found] == [0, 0, 0], found
    assert sum("was written: 4 new" in said for _status, said in found) == 1
    assert sum("has all that is allocated" in said for _status, said in found) == 2
    assert sorted(path.name for path in site.folder.glob("*vpc-lock*")) == [NAME]


def test_another_path(site: Site) -> None:
    (site.folder / "locks").mkdir()
    site.play("lock", vpc_lock_file="locks/test.txt")
    assert (site.folder / "locks" / "test.txt").exists()
    assert not site.file.exists()


def test_a_clash_with_a_guest_of_a_file_is_told_by_line_and_column(site: Site) -> None:
    site.play("lock")
    taken = site.addresses()["vm1"].partition("/")[0]
    (site.folder / "guests.csv.txt").write_text(f"name,hypervisor,network,address\nvm8,host1,net1,{taken}\n")
    status, said = site.play("plan", vpc_instances_file="guests.csv.txt")
    assert status != 0
    assert f"guests.csv.txt:2 address: {taken} " in said
