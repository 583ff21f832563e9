# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_files and guest_names in real playbooks, which see private copies of /etc and /run (see test_render).

systemctl is a script that keeps a unit's state in a file; what really starts is proved in the molecule scenario.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.action import host_files
from ansible_collections.plainlinux.vpc.tests.unit.action.test_render import Controller

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces need root")

UNIT = "plainlinux-vpc-guest-network.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
HOSTS = "/etc/plainlinux-vpc/guest_network/hosts"
PLAN: dict[str, Any] = {
    "id": "7",
    "host": "localhost",
    "files": [{"dest": HOSTS, "content": "one\n"}, {"dest": UNIT_FILE, "content": "[Service]\n"}],
    "validate": [{"command": ["grep", "-q", "one", f"{{dest:{HOSTS}}}"]}],
    "apply": [{"command": ["true", "taken", "up"], "when_changed": [HOSTS]}],
    "units": [UNIT],
    # Nobody listens there.
    "questions": [{"server": "127.0.0.53", "name": "vm1.net1.internal", "family": 4, "addresses": ["10.0.0.1"]}],
}
NOTHING = {**PLAN, "files": [], "validate": [], "apply": [], "units": [], "questions": []}

SYSTEMCTL = r"""#!/bin/sh
state="@top@/state"
read -r enabled active <"$state"
for word; do :; done
case $1 in
  show)
    printf 'LoadState=loaded\nActiveState=%s\nSubState=%s\nUnitFileState=%s\n' "${active%/*}" "${active#*/}" "$enabled"
    exit 0
    ;;
  is-enabled) echo "$enabled"; [ "$enabled" = enabled ]; exit ;;
  is-active) echo "$active"; [ "$active" = active ]; exit ;;
  list-unit-files) echo "$word $enabled"; exit 0 ;;
  enable) echo "enabled $active" >"$state" ;;
  start) [ ! -e "@top@/broken" ] || { echo "it does not start" >&2; exit 1; }; echo "$enabled active" >"$state" ;;
esac
echo "$1 $word" >>"@top@/done"
"""


class Host(Controller):
    """A controller that is its own host, with a unit."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "bin").mkdir()
        (folder / "bin/systemctl").write_text(SYSTEMCTL.replace("@top@", str(folder)))
        (folder / "bin/systemctl").chmod(0o755)
        self.unit("disabled inactive")
        self.plan(PLAN)

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(PATH=f"{self.folder / 'bin'}:{os.environ['PATH']}", **more)

    def plan(self, plan: dict[str, Any]) -> None:
        folder = self.folder / "plan/hosts"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "localhost.json").write_text(json.dumps({"slices": {}, "files": {"guest_network": plan}}))

    def unit(self, state: str) -> None:
        (self.folder / "state").write_text(f"{state}\n")
        (self.folder / "done").write_text("")

    def done(self) -> list[str]:
        return (self.folder / "done").read_text().splitlines()

    def noted(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "plan/verify/localhost.guest_network.json").read_text())
        return found

    def etc(self, path: str) -> Path:
        return self.folder / path.lstrip("/")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def files(**arguments: Any) -> dict[str, Any]:
    return task("host_files", role="guest_network", **arguments)


def task(module: str, **arguments: Any) -> dict[str, Any]:
    return {
        "name": module,
        f"plainlinux.vpc.{module}": arguments,
        "register": "__gw_result",
        "vars": {"vpc_plan_dir": "{{ playbook_dir }}/plan"},
        "ignore_errors": True,
    }


TOLD = {"name": "Result", "ansible.builtin.debug": {"var": "__gw_result"}}


def test_files_and_unit_are_made_once(host: Host) -> None:
    output = host.play([files(plan_id="7"), TOLD])
    assert "changed=1 " in output
    assert host.etc(HOSTS).read_text() == "one\n"
    assert host.done() == [f"start {UNIT}", f"enable {UNIT}"] or host.done() == [f"enable {UNIT}", f"start {UNIT}"]
    assert "true taken up" in output
    host.unit("enabled active")
    assert "changed=0 " in host.play([files()])
    assert host.done() == []


@pytest.mark.parametrize(
    "state, todo",
    [
        ("enabled inactive", [f"start {UNIT}"]),
        ("disabled active", [f"enable {UNIT}"]),
        ("enabled failed", [f"start {UNIT}"]),
    ],
)
def test_a_unit_that_somebody_has_turned_off(host: Host, state: str, todo: list[str]) -> None:
    host.play([files()])
    host.unit(state)
    assert "changed=1 " in host.play([files()], "--check")
    assert host.done() == []
    noted = host.noted()
    assert noted["changed"] is True
    assert noted["objects"] == [f"unit to {item}" for item in todo]
    assert "changed=1 " in host.play([files()])
    assert host.done() == todo


def test_check_mode_on_a_blank_host_asks_for_no_unit(host: Host) -> None:
    output = host.play([files(), TOLD], "--check", "--diff")
    assert "+one" in output
    assert f"enable {UNIT}" in output
    assert host.done() == []
    assert not host.etc(HOSTS).exists()
    assert host.noted()["objects"] == [
        f"file {HOSTS}",
        f"file {UNIT_FILE}",
        f"unit to enable {UNIT}",
        f"unit to start {UNIT}",
    ]


def test_a_unit_that_does_not_start_fails_the_task(host: Host) -> None:
    (host.folder / "broken").touch()
    output = host.play([files()])
    assert f"{UNIT}: " in output
    assert "it does not start" in output


@pytest.mark.parametrize("check", [True, False])
def test_a_unit_that_ends_again_and_again_fails_the_task(host: Host, check: bool) -> None:
    host.play([files()])
    host.unit("enabled activating/auto-restart")
    output = host.play([files()], *(["--check"] if check else []))
    assert f"{UNIT}: ends again and again" in output
    assert host.done() == []
    assert not check or host.noted()["failed"] is True
    host.unit("enabled activating/start-post")
    assert "changed=0 " in host.play([files()])


def test_what_a_checker_refuses_starts_nothing(host: Host) -> None:
    host.plan({**PLAN, "validate": [{"command": ["false"]}]})
    assert "Nothing was changed" in host.play([files()])
    assert host.done() == []
    assert not host.etc(HOSTS).exists()


def test_planned_asks_no_host(host: Host) -> None:
    host.write("vars.yml", "ansible_python_interpreter: /no/python\n")
    output = host.play([files(state="planned"), TOLD, files()])
    assert UNIT in output
    # The second task shows that asking would fail.
    assert "/no/python" in output


@pytest.mark.parametrize("gone", ["nothing planned", "absent"])
def test_what_is_no_longer_planned_goes(host: Host, gone: str) -> None:
    kept = {**PLAN, "files": PLAN["files"][:1]}
    host.plan(kept)
    host.play([files()])
    assert host.etc(HOSTS).exists()
    host.plan(NOTHING)
    arguments = {} if gone == "nothing planned" else {"state": "absent"}
    assert "changed=1 " in host.play([files(**arguments)])
    assert not host.etc(HOSTS).exists()
    assert "changed=0 " in host.play([files(**arguments)])


def test_a_unit_whose_file_goes_is_ended(host: Host) -> None:
    host.play([files()])
    output = host.play([files(state="absent"), TOLD], "--check")
    assert f"sh {UNIT} plainlinux-vpc-guest-network" in output


def test_the_end_of_a_unit_leaves_neither_links_nor_state(tmp_path: Path) -> None:
    """In a mount namespace, where /var/lib and the units are empty folders."""
    (tmp_path / "end").write_text(host_files._END)
    script = """
    for folder in /var/lib /etc/systemd/system; do mount -t tmpfs tmpfs "$folder"; done
    mkdir -p /var/lib/private/state /var/lib/other /etc/systemd/system/multi-user.target.wants
    ln -s private/state /var/lib/state
    touch /var/lib/private/state/leases
    ln -s nowhere "/etc/systemd/system/multi-user.target.wants/$2"
    ln -s nowhere /etc/systemd/system/multi-user.target.wants/other.service
    mkdir "$1/bin"
    printf '#!/bin/sh\\nexit 1\\n' >"$1/bin/systemctl"
    chmod 755 "$1/bin/systemctl"
    PATH=$1/bin:$PATH sh "$1/end" "$2" state
    find /var/lib /etc/systemd/system
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script, "sh", str(tmp_path), UNIT],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(done.stdout.split()) == [
        "/etc/systemd/system",
        "/etc/systemd/system/multi-user.target.wants",
        "/etc/systemd/system/multi-user.target.wants/other.service",
        "/var/lib",
        "/var/lib/other",
        "/var/lib/private",
    ]


def test_another_plan_or_none_is_refused(host: Host) -> None:
    assert "is 7, not 8: did another run plan?" in host.play([files(plan_id="8")])
    (host.folder / "plan/hosts/localhost.json").unlink()
    assert "is it in the group hypervisors" in host.play([files()])


def test_a_lab_run_touches_no_other_host(host: Host) -> None:
    for state in ("planned", "present", "absent"):
        output = host.play([files(state=state)], "-e", "lab=true")
        assert "this is a lab run (lab=true), but the connection to localhost is" in output
    assert not host.etc(HOSTS).exists()


def test_names_that_nobody_knows_join_what_was_found(host: Host) -> None:
    host.play([files()])
    host.unit("enabled inactive")
    host.play([files()], "--check")
    output = host.play([task("guest_names", plan_id="7"), TOLD])
    wrong = "127.0.0.53 does not know vm1.net1.internal (Connection refused)"
    assert "failed=0" in output
    assert wrong in " ".join(output.split())
    assert host.noted()["objects"] == [f"unit to start {UNIT}", wrong]
    host.plan(NOTHING)
    assert '"asked": 0' in host.play([task("guest_names"), TOLD])
