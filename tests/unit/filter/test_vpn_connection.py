# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter vpn_connection in real runs of Ansible, where no key may show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.filter.vpn_connection import DOCUMENTATION, EXAMPLES, FilterModule
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._model.vpn_documents import (
    SECRETS,
    change,
    document,
    model,
    options,
    take,
    tunnel,
)

TOP = Path(__file__).resolve().parents[3]
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    xml: "{{ lookup('ansible.builtin.file', folder ~ '/vpn.xml') }}"
    imported: "{{ xml | plainlinux.vpc.vpn_connection(name='aws1', gateway='vpn1', accept=['10.20.0.0/16']) }}"
    bare: "{{ xml | plainlinux.vpc.vpn_connection('aws1', psk_variables=['a', 'b']) }}"
  tasks:
    - ansible.builtin.copy:
        dest: "{{ folder }}/vpn.json"
        mode: "0600"
        content: "{{ imported | to_json }}"
      no_log: true
    - ansible.builtin.debug:
        var: bare
"""


def play(folder: Path, xml: str, text: str = PLAY) -> tuple[int, str]:
    """(status, output) of a playbook at the highest verbosity that imports the document."""
    (folder / "vpn.xml").write_text(xml, encoding="utf-8")
    (folder / "ansible.cfg").write_text("", encoding="utf-8")
    (folder / "play.yml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-vvvvv",
            "-e",
            f"folder={folder}",
            str(folder / "play.yml"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".build"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_DISPLAY_TRACEBACK": "always",
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_HOME": str(folder / "home"),
        },
    )
    return done.returncode, done.stdout + done.stderr


def test_run(tmp_path: Path) -> None:
    status, output = play(tmp_path, document())
    assert status == 0, output
    assert json.loads((tmp_path / "vpn.json").read_text(encoding="utf-8")) == take(document())
    assert '"psk_variable": "b"' in output
    assert not [secret for secret in SECRETS if secret in output]


def test_refusal_in_a_run(tmp_path: Path) -> None:
    bad = change(change(tunnel(0), "ike.pre_shared_key", f"{SECRETS[0]}!"), "ike.encryption_protocol", "rot13")
    status, output = play(tmp_path, document(bad))
    assert status == 2
    path = "vpn_connection.ipsec_tunnel[0].ike"
    assert f"{path}.encryption_protocol: rot13 is unknown" in output
    assert f"{path}.pre_shared_key: has a character that is not allowed: A-Z a-z 0-9 . _" in output
    assert not [secret for secret in SECRETS if secret in output]


def test_the_examples_run(tmp_path: Path) -> None:
    (tmp_path / "vpn-0123456789abcdef0.xml").write_text(document(), encoding="utf-8")
    aws = {
        "vpn_connections": [
            {"customer_gateway_configuration": document(), "options": {"tunnel_options": [options(1), options(0)]}}
        ]
    }
    (tmp_path / "aws.json").write_text(json.dumps({"aws": aws}), encoding="utf-8")
    copy = {"dest": str(tmp_path / "facts.json"), "content": "{{ vpc_vpn_connections | to_json }}", "mode": "0600"}
    (told,) = yaml.safe_load(PLAY)
    told["vars_files"] = ["aws.json"]
    told["vars"] = {"ansible_python_interpreter": sys.executable}
    told["tasks"] = [*yaml.safe_load(EXAMPLES), {"ansible.builtin.copy": copy}]
    status, output = play(tmp_path, document(), yaml.safe_dump([told], sort_keys=False))
    assert status == 0, output
    assert not [secret for secret in SECRETS if secret in output]
    written = yaml.safe_load((tmp_path / "vpn.yml").read_text(encoding="utf-8"))
    assert written == {"vpc_vpn_connections": [take(document())]}
    (found,) = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    assert [item["psk_variable"] for item in found["tunnels"]] == ["vault_aws1_psk1", "vault_aws1_psk2"]
    assert found["internet"] is True
    assert model(found).tunnels[0].ike.version == 2


@pytest.fixture
def documentation() -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(DOCUMENTATION)
    return found


def test_documentation_knows_every_option(documentation: dict[str, dict[str, object]]) -> None:
    filters = FilterModule().filters()
    assert list(filters) == ["vpn_connection"]
    code = filters["vpn_connection"].__code__
    assert {*code.co_varnames[1 : code.co_argcount], "_input"} == set(documentation["options"])
    assert all(f"{name}=" in EXAMPLES for name in ("tunnel_options", "psk_variables", "accept", "gateway"))
    assert all(task["no_log"] for task in yaml.safe_load(EXAMPLES))
