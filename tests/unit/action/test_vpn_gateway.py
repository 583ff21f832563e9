# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vpn_gateway in real playbooks, which see private copies of /etc and /run (see test_render)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.action.test_render import PSK, PSK2, Controller, watched

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces need root")

FILES = [
    {"dest": "/etc/gw/one.conf", "content": "name @hostname@\n@no ipv6 forwarding@\nend\n", "secret": False},
    {"dest": "/etc/gw/racoon/two.secret", "content": 'secret = "@psk aws1-1@"\n', "mode": "0600", "secret": True},
    {"dest": "/etc/gw/racoon/three.secret", "content": 'secret = "@psk aws1-2@"\n', "mode": "0600", "secret": True},
]
PLAN = {
    "id": "7",
    "host": "localhost",
    "provider": "strongswan_frr",
    "ipsec": "kernel",
    "files": FILES,
    "validate": [{"command": ["cat", "{dest:/etc/gw/racoon/two.secret}"]}],
    "apply": [{"command": ["grep", "-rc", "secret", "/etc/gw/racoon"], "expect": "three.secret:1$"}],
    "units": ["one.service", "@unit racoon@"],
    "tunnels": [
        {"name": "aws1-1", "path": "vpc_vpn_connections[0].tunnels[0]", "psk_variable": "psk"},
        {"name": "aws1-2", "path": "vpc_vpn_connections[0].tunnels[1]", "psk_variable": None},
    ],
}
VARIABLES = {"vpc_vpn_connections": [{"tunnels": [{}, {"psk": "{{ psk2 }}"}]}]}


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    made = Controller(tmp_path)
    write_plan(made, PLAN)
    return made


def write_plan(controller: Controller, plan: dict[str, Any]) -> None:
    folder = controller.folder / "plan/hosts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "localhost.json").write_text(json.dumps({"slices": {}, "files": {"vpn_gateway": plan}}))


def gateway(name: str, **arguments: Any) -> dict[str, Any]:
    arguments = {"legacy": {"unit_racoon": "ike.service"}, "hostname": "gw7", **arguments}
    return {
        "name": name,
        "plainlinux.vpc.vpn_gateway": arguments,
        "register": "__gw_result",
        "vars": {**VARIABLES, "vpc_plan_dir": "{{ playbook_dir }}/plan"},
        "ignore_errors": True,
    }


TOLD = {"name": "Result", "ansible.builtin.debug": {"var": "__gw_result"}}


def test_tokens_and_vaulted_keys_get_into_the_files_and_nowhere_else(controller: Controller) -> None:
    tasks = [
        gateway("First"),
        TOLD,
        gateway("Second"),
        gateway("Third", forwarding6=True),
        gateway("Gone", state="absent"),
    ]
    with watched(PSK, PSK2) as seen:
        output = controller.play(tasks[:3], "-vvvvv", "--diff", ANSIBLE_DISPLAY_ARGS_TO_STDOUT="true")
    assert seen == []
    assert "kanarien" not in output
    assert "papagei" not in output
    assert not re.search(r"[A-Za-z0-9+/=]{150,}", output)
    assert "(secret, 30 bytes, changed)" in output
    assert "ike.service" in output
    assert "changed=1 " in output
    etc = controller.folder / "etc"
    assert (etc / "gw/one.conf").read_text() == "name gw7\nno ipv6 forwarding\nend\n"
    assert (etc / "gw/racoon/two.secret").read_text() == f'secret = "{PSK}"\n'
    assert (etc / "gw/racoon/three.secret").read_text() == f'secret = "{PSK2}"\n'
    assert not [path for path in (controller.folder / "plan").rglob("*.json") if "kanarien" in path.read_text()]
    output = controller.play([tasks[3]], "--diff")
    assert "-no ipv6 forwarding" in output
    assert (etc / "gw/one.conf").read_text() == "name gw7\nend\n"
    controller.play([tasks[4]])
    assert not (etc / "gw").exists()


def test_the_canary_can_sing(controller: Controller) -> None:
    """The same output with a key that stands in a file which is not secret."""
    write_plan(
        controller, {**PLAN, "files": [*FILES, {"dest": "/etc/gw/open", "content": f"{PSK}\n", "secret": False}]}
    )
    assert f"+{PSK}" in controller.play([gateway("First")], "--diff")


@pytest.mark.parametrize("check", [True, False])
def test_all_wrong_keys_are_told_before_the_host_is_asked(controller: Controller, check: bool) -> None:
    controller.write("vars.yml", f"psk: {PSK[:7]}\npsk2: {PSK}-\nansible_python_interpreter: /no/python\n")
    for state in ("planned", "present"):
        output = controller.play([gateway("Wrong", state=state)], *(["--check"] if check else []))
        assert "psk (psk_variable of vpc_vpn_connections[0].tunnels[0]): has 7 characters" in output
        assert "vpc_vpn_connections[0].tunnels[1].psk: has a character that is not allowed" in output
        assert "/no/python" not in output
        assert "kanarien" not in output


def test_planned_asks_no_host(controller: Controller) -> None:
    controller.write("vars.yml", f"psk: {PSK}\npsk2: {PSK2}\nansible_python_interpreter: /no/python\n")
    output = controller.play([gateway("Look", state="planned"), TOLD, gateway("Write")], "-v")
    assert "one.service" in output
    assert "changed=0" in output
    # The second task shows that asking would fail.
    assert "/no/python" in output
    assert not (controller.folder / "etc/gw").exists()


def test_what_a_checker_refuses_changes_nothing(controller: Controller) -> None:
    write_plan(controller, {**PLAN, "validate": [{"command": ["false"]}]})
    output = controller.play([gateway("Refused")])
    assert "false: status 1" in output
    assert "Nothing was changed" in output
    assert not (controller.folder / "etc/gw").exists()


def test_a_gateway_without_connections_loses_its_files(controller: Controller) -> None:
    controller.play([gateway("First")])
    empty = {key: [] for key in ("files", "validate", "apply", "units", "tunnels")}
    write_plan(controller, {**PLAN, **empty})
    output = controller.play([gateway("None")], "-v")
    assert "changed=1" in output
    assert not (controller.folder / "etc/gw").exists()
    assert "changed=0" in controller.play([gateway("None")])


def test_another_plan_or_none_is_refused(controller: Controller) -> None:
    assert "is 7, not 8: did another run plan?" in controller.play([gateway("Other", plan_id="8")])
    (controller.folder / "plan/hosts/localhost.json").unlink()
    assert "is it in the group vpn_gateways" in controller.play([gateway("None")])
    assert "changed=0" in controller.play([gateway("Gone", state="absent")])


def test_differences_join_what_host_state_has_found(controller: Controller) -> None:
    path = controller.folder / "plan/verify/localhost.vpn_gateway.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"failed": False, "msg": None, "changed": True, "plan": {}, "objects": ["link x"]}))
    controller.play([gateway("Compare", differences=["unit to start one.service"])], "--check")
    found = json.loads(path.read_text())
    paths = ["/etc/gw/one.conf", "/etc/gw/racoon/two.secret", "/etc/gw/racoon/three.secret"]
    assert found["objects"] == ["link x", *(f"file {item}" for item in paths), "unit to start one.service"]
    path.unlink()
    controller.play([gateway("Write")])
    assert not path.exists()
    controller.play([gateway("Same")], "--check")
    assert json.loads(path.read_text())["changed"] is False


def test_a_lab_run_touches_no_other_host(controller: Controller) -> None:
    output = controller.play([gateway("Not here")], "-e", "lab=true")
    assert "this is a lab run (lab=true), but the connection to localhost is" in output
    assert not (controller.folder / "etc/gw").exists()
