# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that tell the guard's helper of ports: where they are, and the rules of udev."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatchcase

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import hooks
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif import HELPER

KEY = re.compile(r'(\w+(?:\{\w+\})?)(==|!=|\+=|:=|=)"((?:[^"\\]|\\.)*)"')


def rules() -> list[dict[str, tuple[str, str]]]:
    """Key -> operator and value of each rule; every line has to be one (udev(7))."""
    found = []
    for line in hooks.files([hooks.UDEV])[hooks.UDEV_RULES].splitlines():
        if line and not line.startswith("#"):
            keys = KEY.findall(line)
            assert ", ".join(f'{key}{operator}"{value}"' for key, operator, value in keys) == line
            found.append({key: (operator, value) for key, operator, value in keys})
    return found


def commands(action: str, name: str, index: str) -> list[list[str]]:
    """What udev runs for an event of a network interface."""
    event = {"ACTION": action, "SUBSYSTEM": "net", "KERNEL": name}
    run = []
    for rule in rules():
        assert set(rule) == {*event, "RUN"}
        if all(any(fnmatchcase(value, one) for one in rule[key][1].split("|")) for key, value in event.items()):
            assert {rule[key][0] for key in event} == {"=="}
            operator, command = rule["RUN"]
            assert operator == "+="
            run.append(command.replace("$kernel", name).replace("$env{IFINDEX}", index).split())
    return run


@pytest.mark.parametrize("name", ["vif1.0", "vif12.3-emu", "vnet0", "tap100i0"])
def test_udev_tells_of_guests_interfaces(name: str) -> None:
    # udev kills what its programs leave behind, so they ask systemd.
    detached = ["/usr/bin/systemd-run", "--quiet", "--collect", "--no-block"]
    assert commands("add", name, "7") == [[*detached, HELPER, "found", name]]
    assert commands("remove", name, "7") == [[*detached, HELPER, "gone", name, "7"]]


@pytest.mark.parametrize("action, name", [("add", "eth0"), ("add", "br-net1"), ("change", "vnet0"), ("move", "vnet0")])
def test_udev_lets_others_alone(action: str, name: str) -> None:
    assert commands(action, name, "7") == []


def test_hooks_only_for_what_is_installed() -> None:
    assert hooks.files([]) == {}
    assert set(hooks.files(hooks.FOLDERS)) == {
        hooks.XEN_HOOK,
        hooks.XEN_SCRIPT,
        hooks.LIBVIRT_HOOK,
        hooks.UDEV_RULES,
    }
    for software, folder in hooks.FOLDERS.items():
        assert all(path.startswith(f"{folder}/") for path in hooks.files([software]))


@pytest.mark.parametrize("path, text", sorted(hooks.files(hooks.FOLDERS).items()))
def test_programs_are_marked(path: str, text: str) -> None:
    # Xen and libvirt pass over what cannot be executed; who writes the files knows by the first line.
    assert text.startswith("#!") == (path != hooks.UDEV_RULES)
    if text.startswith("#!"):
        subprocess.run([text.splitlines()[0][2:], "-n"], input=text, text=True, check=True)
