# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook import, from files as hypervisors have them to a plan. The hypervisors are this machine's folders."""

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
NETWORKS = [
    {"name": "lan", "bridge": "xenbr0", "cidr": "192.0.2.0/24", "cidr6": "2001:db8::/64"},
    {"name": "net1", "cidr": "10.10.10.0/24"},
]
WWW = """\
name = "www"
vif = [ 'mac=00:16:3E:00:00:01, bridge=xenbr0, ip=192.0.2.10, vifname=www0' ]
#ipv6=2001:0DB8:0000:0000:0000:0000:0000:0010
"""
APP = """<domain type='kvm'><name>app</name><devices><interface type='network'>
<mac address='52:54:00:0a:0a:0a'/><source network='inside'/>
<filterref filter='clean-traffic'><parameter name='IP' value='10.10.10.10'/></filterref>
</interface><interface type='user'/></devices></domain>"""
INSIDE = "<network><name>inside</name><bridge name='br-net1'/></network>"
TABLE = """\
name,hypervisor,network,address,address6,mac,vif
www,host1,lan,192.0.2.10,2001:db8::10,00:16:3e:00:00:01,www0
app,host2,net1,10.10.10.10,,52:54:00:0a:0a:0a,
"""


class Site:
    """An inventory, and the files of its two hypervisors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory"
        (self.inventory / "group_vars").mkdir(parents=True)
        hosts = {
            name: {
                "ansible_host": f"192.0.2.{number}",
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
            }
            for number, name in enumerate(("host1", "host2"), 1)
        }
        listed = {"hypervisors": {"hosts": hosts}, "routers": {"hosts": {"router": {"ansible_host": "192.0.2.3"}}}}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(listed))
        self.write("host1/www.cfg", WWW)
        self.write("host2/app.xml", APP)
        self.write("host2/networks/inside.xml", INSIDE)
        (folder / "host1" / "auto").mkdir()
        (folder / "host1" / "auto" / "www").symlink_to("../www.cfg")
        self.vary()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def vary(self, **variables: Any) -> None:
        (self.inventory / "group_vars" / "all.yml").write_text(
            yaml.safe_dump({"vpc_networks": NETWORKS, "vpc_instances": [], **variables})
        )

    def play(self, playbook: str, *arguments: str, **extra: Any) -> str:
        """What one of our playbooks printed; its status at the end."""
        host = f"{self.folder}/{{{{ inventory_hostname }}}}"
        variables = {
            "vpc_plan_dir": str(self.folder / "plan"),
            "vpc_import_xen": [f"{host}/*.cfg", f"{host}/auto/*"],
            "vpc_import_libvirt": [f"{host}/*.xml"],
            "vpc_import_libvirt_networks": [f"{host}/networks/*.xml"],
            "ansible_become": False,
            **extra,
        }
        done = subprocess.run(
            [
                *(str(BIN / "ansible-playbook"), "-i", str(self.inventory), str(TOP / "playbooks" / f"{playbook}.yml")),
                *("-e", json.dumps(variables), *arguments),
            ],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".build"),
                "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"),
                "ANSIBLE_FORCE_COLOR": "0",
                "COLUMNS": "1000",
                "LC_ALL": "C.UTF-8",
            },
            cwd=self.folder,
            check=False,
        )
        return f"{done.stdout}{done.stderr}\nstatus={done.returncode}"

    def table(self, name: str = "group_vars/guests.csv") -> str | None:
        path = self.inventory / name
        return path.read_text() if path.exists() else None


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_guests_are_imported_and_planned(site: Site) -> None:
    file = "group_vars/guests.csv"
    said = site.play("import", "--check", "--diff", vpc_import_file=file)
    assert "status=0" in said
    assert "+www,host1,lan,192.0.2.10,2001:db8::10,00:16:3e:00:00:01,www0" in said
    assert site.table() is None
    said = site.play("import", vpc_import_file=file)
    assert "status=0" in said
    assert site.table() == TABLE
    assert f"left out {site.folder}/host2/app.xml app interface 1: is of type user, which is on no bridge" in said
    assert f"2 guests in {site.inventory}/{file}. Set vpc_instances_file: {file}" in said
    said = site.play("plan", vpc_instances_file=file)
    assert "status=0" in said
    plan = json.loads((site.folder / "plan" / "plan.json").read_text())
    assert plan["instances"].keys() == {"app", "www"}
    # What is planned is what was imported, and what it is now written in makes no difference.
    imported = [
        {
            "name": "www",
            "hypervisor": "host1",
            "network": "lan",
            "address": "192.0.2.10",
            "address6": "2001:db8::10",
            "mac": "00:16:3e:00:00:01",
            "vif": "www0",
        },
        {
            "name": "app",
            "hypervisor": "host2",
            "network": "net1",
            "address": "10.10.10.10",
            "mac": "52:54:00:0a:0a:0a",
        },
    ]
    site.vary(vpc_instances=imported)
    assert "status=0" in site.play("plan")
    again = json.loads((site.folder / "plan" / "plan.json").read_text())
    assert {**again, "id": ""} == {**plan, "id": ""}
    said = site.play("import", vpc_import_file="group_vars/more.yml")
    assert "known    host1 www: the name is that of vpc_instances[0]" in said
    assert "known    host2 app: the name is that of vpc_instances[1]" in said
    assert site.table("group_vars/more.yml") is None


def test_a_file_is_replaced_only_if_that_is_said(site: Site) -> None:
    file = "group_vars/guests.csv"
    site.vary(vpc_instances_file=file)
    assert "changed=1" in site.play("import", vpc_import_file=file)
    said = site.play("import", vpc_import_file=file)
    assert "status=0" in said
    assert "changed=1" not in said
    edited = TABLE.replace("www0", "www1")
    (site.inventory / file).write_text(edited)
    said = site.play("import", vpc_import_file=file)
    assert "status=2" in said
    assert "has other content than what was found" in said
    assert site.table() == edited
    assert "changed=1" in site.play("import", vpc_import_file=file, vpc_import_overwrite=True)
    assert site.table() == TABLE


def test_what_cannot_be_done_is_said(site: Site) -> None:
    assert "vpc_import_file is missing" in site.play("import")
    assert "guests.txt has no known ending: .csv" in site.play("import", vpc_import_file="group_vars/guests.txt")
    site.write("host2/app.xml", "<!DOCTYPE a []><domain/>")
    site.write("host1/latin.cfg", "")
    (site.folder / "host1" / "latin.cfg").write_bytes(b"# caf\xe9\nname='latin'\nvif=['ip=192.0.2.77']\n")
    (site.folder / "host1" / "gone.cfg").symlink_to("nowhere")
    said = site.play("import", vpc_import_file="group_vars/guests.yml")
    assert "app.xml: has a document type or entities, which are not read" in said
    assert "gone.cfg: cannot be read: No such file or directory" in said
    assert "look at  " in said
    assert [item["name"] for item in yaml.safe_load(site.table("group_vars/guests.yml") or "")] == ["latin", "www"]
