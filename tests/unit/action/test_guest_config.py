# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook guests: what it prints, writes, removes and refuses. No host of the inventory exists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.filter import guest_config as filter_plugin
from ansible_collections.plainlinux.vpc.plugins.modules import guest_config as module

TOP = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
GUESTS = [
    {"name": "web1", "hypervisor": "host1", "network": "net1", "address": "10.10.10.10"},
    {"name": "vnet1", "hypervisor": "host1", "network": "net1", "address": "10.10.10.11"},
]
INVENTORY = {
    "hypervisors": {"hosts": {"host1": {"vpc_underlay_address": "192.0.2.1", "ansible_host": "192.0.2.1"}}},
    "routers": {"hosts": {"router": {"ansible_host": "192.0.2.2"}}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(INVENTORY))
    return tmp_path


def play(
    folder: Path,
    *words: str,
    guests: list[dict[str, str]] | None = None,
    playbook: Path = TOP / "playbooks" / "guests.yml",
    **extra: str,
) -> tuple[int, str]:
    """(status, output) of a playbook."""
    variables: dict[str, Any] = {
        "vpc_networks": [{"name": "net1", "cidr": "10.10.10.0/24"}],
        "vpc_instances": GUESTS if guests is None else guests,
    }
    (folder / "group_vars").mkdir(exist_ok=True)
    (folder / "group_vars" / "all.yml").write_text(yaml.safe_dump(variables))
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".build"),
        "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"),
        "ANSIBLE_FORCE_COLOR": "0",
        "COLUMNS": "1000",
        "LC_ALL": "C.UTF-8",
    }
    command = [str(BIN / "ansible-playbook"), "-i", str(folder / "hosts.yml"), str(playbook)]
    done = subprocess.run(
        [*command, "-e", json.dumps({"vpc_plan_dir": str(folder / "plan"), **extra}), *words],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def written(folder: Path) -> list[str]:
    base = folder / "plan" / "guests"
    return sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file())


def test_one_text_is_printed(folder: Path) -> None:
    status, text = play(folder, guest="web1", format="xen")
    assert status == 0, text
    wanted = """
# web1 in net1, by plainlinux.vpc
vif = [
  'mac=52:54:00:0a:0a:0a,bridge=br-net1,vifname=web1.0,ip=10.10.10.10',
]
"""
    assert wanted in text
    assert not (folder / "plan" / "guests").exists()


def test_all_texts_of_a_guest_are_printed(folder: Path) -> None:
    status, text = play(folder, guest="web1", prefix="lan")
    assert status == 0, text
    headings = [line for line in text.splitlines() if line.startswith("--- ")]
    assert headings == [
        "--- web1.cloud-init.yaml",
        "--- web1.netplan.yaml",
        "--- web1.ifupdown",
        "--- web1.systemd-networkd/10-vpc0.link",
        "--- web1.systemd-networkd/10-vpc0.network",
        "--- web1.xen.cfg",
        "--- web1.libvirt.xml",
    ]


def test_files_of_all_guests_are_written_once_and_no_others_stay(folder: Path) -> None:
    status, text = play(folder, "--check")
    assert status == 0, text
    assert "changed=1" in text
    assert "11 files would be in " in text
    assert not (folder / "plan" / "guests").exists()
    status, text = play(folder)
    assert status == 0, text
    assert "changed=1" in text
    assert f"11 files are in {folder}/plan/guests" in text
    # One format is of no use for one guest.
    assert "vnet1: libvirt drops the name vnet1.0 of interface 0" in text
    assert len(written(folder)) == 11
    assert "web1.systemd-networkd/10-vpc0.network" in written(folder)
    assert (folder / "plan/guests/web1.xen.cfg").read_text().startswith("# web1 in net1, by plainlinux.vpc\n")
    status, text = play(folder)
    assert status == 0, text
    assert "changed=0" in text
    status, text = play(folder, guests=GUESTS[:1], format="cloud-init")
    assert status == 0, text
    assert "changed=1" in text
    assert written(folder) == ["web1.cloud-init.yaml"]
    assert list((folder / "plan/guests").iterdir()) == [folder / "plan/guests/web1.cloud-init.yaml"]


def test_examples_run(folder: Path) -> None:
    """But for where they write, and the plan before them."""
    plan = [{"name": "Plan", "plainlinux.vpc.plan": {}}]
    texts = (filter_plugin.EXAMPLES, module.EXAMPLES)
    tasks = json.dumps(plan + [task for text in texts for task in yaml.safe_load(text)])
    for written_to, instead in {"/tmp": "out", "/mnt/etc/systemd/network": "image", ".vpc-plan": "plan"}.items():
        tasks = tasks.replace(written_to, str(folder / instead))
    for name in ("out/vm1", "image"):
        (folder / name).mkdir(parents=True)
    playbook = folder / "examples.yml"
    content = [{"hosts": "hypervisors", "gather_facts": False, "tasks": json.loads(tasks)}]
    playbook.write_text(yaml.safe_dump(content))
    status, text = play(folder, guests=[{**GUESTS[0], "name": "vm1"}], playbook=playbook)
    assert status == 0, text
    assert 'gateway4: "10.10.10.1"\n' in (folder / "out/vm1/network-config").read_text()
    assert "Name=lan0\n" in (folder / "image/10-vpc0.link").read_text()
    assert written(folder) == ["vm1.xen.cfg"]


@pytest.mark.parametrize(
    "extra, message",
    [
        ({"guest": "web2", "format": "xen"}, "web2 is no guest of the plan; did you mean web1?"),
        ({"guest": "web2"}, "web2 is no guest of the plan; did you mean web1?"),
        ({"guest": "web1", "format": "qemu"}, "qemu is no format; formats are cloud-init, netplan, ifupdown, "),
        ({"format": "libvrt"}, "libvrt is no format; did you mean libvirt?"),
        ({"format": "libvirt"}, "vnet1: libvirt drops the name vnet1.0 of interface 0"),
        ({"guest": "vnet1", "format": "libvirt"}, "vnet1: libvirt drops the name vnet1.0 of interface 0"),
        ({"guest": "web1", "prefix": "br-"}, "prefix: br-0 is not allowed: "),
    ],
)
def test_refusals(folder: Path, extra: dict[str, str], message: str) -> None:
    status, text = play(folder, **extra)
    assert status != 0
    assert message in " ".join(text.split())
