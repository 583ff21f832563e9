# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks plan and reach with expectations. No host of the inventory exists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
RIGHT = {"from": "web1", "to": "db1", "port": "tcp/5432", "expect": "accept"}
WRONG = {"from": "web1", "to": "db1", "port": "tcp/5433", "expect": "accept"}
VARIABLES: dict[str, Any] = {
    "vpc_networks": [{"name": "net1", "cidr": "10.10.10.0/24"}],
    "vpc_instances": [
        {"name": "web1", "hypervisor": "host1", "network": "net1", "security_groups": ["web"]},
        {"name": "db1", "hypervisor": "host1", "network": "net1", "security_groups": ["db"]},
        {"name": "vm1", "hypervisor": "host1", "network": "net1"},
    ],
    "vpc_security_groups": [
        {"name": "web"},
        {"name": "db", "ingress": [{"protocol": "tcp", "ports": 5432, "from": "web"}]},
    ],
}
HOSTS = {"vpc_underlay_address": "192.0.2.1", "ansible_host": "192.0.2.1", "vpc_antispoof": False}
INVENTORY = {
    "hypervisors": {"hosts": {"host1": HOSTS}},
    "routers": {"hosts": {"router": {"ansible_host": "192.0.2.2"}}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(INVENTORY))
    return tmp_path


def play(folder: Path, playbook: str, expectations: list[dict[str, str]], **extra: str) -> tuple[int, str]:
    """(status, output) of one of our playbooks."""
    (folder / "group_vars").mkdir(exist_ok=True)
    (folder / "group_vars" / "all.yml").write_text(yaml.safe_dump({**VARIABLES, "vpc_expectations": expectations}))
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".build"),
        "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"),
        "ANSIBLE_FORCE_COLOR": "0",
        "COLUMNS": "1000",
        "LC_ALL": "C.UTF-8",
    }
    words = [str(BIN / "ansible-playbook"), "-i", str(folder), str(TOP / "playbooks" / f"{playbook}.yml")]
    done = subprocess.run(
        [*words, "-e", json.dumps({"vpc_plan_dir": str(folder / "plan"), **extra})],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_plan_shows_expectations_and_what_somebody_may_not_expect(folder: Path) -> None:
    status, text = play(folder, "plan", [RIGHT])
    assert status == 0, text
    assert (
        "web1  db1  tcp/5432  accept    accept   yes        vpc_security_groups[1].ingress[0]: rule of group db" in text
    )
    assert "1 guest is in no security group, and open: vm1" in text
    assert "vpc_antispoof is off on host1" in text


def test_plan_fails_where_an_expectation_is_not_fulfilled_and_shows_the_table_all_the_same(folder: Path) -> None:
    status, text = play(folder, "plan", [RIGHT, WRONG])
    assert status != 0
    assert "web1  db1  tcp/5433  accept    drop     WRONG" in text
    wanted = (
        "vpc_expectations[1]: web1 to db1 tcp/5433 is expected to be accept, but is drop: vpc_security_groups[1].in"
    )
    assert wanted in " ".join(text.split())
    # A plan that was written before is refused in the same way; a single question is answered.
    assert play(folder, "plan", [RIGHT, WRONG])[0] != 0
    status, text = play(folder, "reach", [RIGHT, WRONG], vpc_from="web1", vpc_to="db1", vpc_port="tcp/5432")
    assert status == 0, text


def test_reach(folder: Path) -> None:
    status, text = play(folder, "reach", [], vpc_from="web1", vpc_to="db1", vpc_port="tcp/5433")
    assert status == 0, text
    assert "web1 to db1 tcp/5433: drop\ndecided by vpc_security_groups[1].ingress: no ingress rule of group db" in text
    assert "egress of web1: accept (vpc_security_groups[0])" in text


@pytest.mark.parametrize(
    "extra, message",
    [
        ({"vpc_port": "tcp/5433", "vpc_expect": "accept"}, "is expected to be accept, but is drop"),
        ({"vpc_port": "tcp"}, "port: tcp is not allowed: tcp/N or udp/N"),
        ({"vpc_to": "db"}, "to: db is not allowed: a guest, `guest.N` for its interface N, a host, internet"),
        ({"vpc_expect": "maybe"}, "value of expect must be one of: accept, drop"),
    ],
)
def test_reach_fails_where_it_should(folder: Path, extra: dict[str, str], message: str) -> None:
    status, text = play(folder, "reach", [], **{"vpc_from": "web1", "vpc_to": "db1", **extra})
    assert status != 0
    assert message in " ".join(text.split())
