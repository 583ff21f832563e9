# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of files on a real file system with real checkers: each test has a folder that stands for /."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset import result
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.transaction import (
    RefusedError,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.fileset.hosts import (
    CHECKS,
    JSON,
    SECRET,
    SHELL,
    Host,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")


def test_write_again_change_and_take_away(host: Host) -> None:
    more = {"validate": CHECKS, "apply": [host.take(JSON["dest"]), host.take(SHELL["dest"])]}
    first = host.apply(JSON, SHELL, SECRET, check=True, **more)
    assert first.changed
    assert host.dump() == {}
    first = host.apply(JSON, SHELL, SECRET, **more)
    assert len(first.checked) == len(first.applied) == 2
    assert host.taken() == '{"a": 1}\necho b\n'
    assert {path: oct(stat.S_IMODE(found[0])) for path, found in host.dump().items() if "." in path} == {
        "etc/plainlinux-vpc/vpn_gateway/files.json": "0o600",
        "etc/x/a.json": "0o644",
        "etc/x/b.sh": "0o755",
        "etc/x/psk.txt": "0o600",
    }
    before = host.dump()
    second = host.apply(JSON, SHELL, SECRET, **more)
    assert (second.changed, second.checked, second.applied) == (False, [], [])
    assert host.dump() == before
    third = host.apply({**JSON, "content": "[2]"}, SHELL, SECRET, **more)
    assert list(third.after) == ["/etc/x/a.json"]
    assert host.taken() == "[2]"
    fourth = host.apply(SHELL, apply=[host.take(SHELL["dest"])])
    assert result.present(fourth, diff=False)["files"]["removed"] == ["/etc/x/a.json", "/etc/x/psk.txt"]
    assert fourth.applied == []
    assert host.apply(check=True).changed
    assert host.path(SHELL["dest"]).exists()
    assert host.apply().changed
    assert [path for path in host.dump() if path != "etc"] == []
    assert not host.apply().changed


def test_owner_group_and_mode_are_compared(host: Host) -> None:
    file = {**JSON, "owner": "nobody", "group": "12", "mode": "0640"}
    host.apply(file)
    path = host.path(JSON["dest"])
    assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (12, 0o640)
    path.chmod(0o644)
    done = host.apply(file)
    assert result.present(done, diff=True)["diff"] == [
        {
            "before_header": "/etc/x/a.json",
            "after_header": "/etc/x/a.json",
            "before": "nobody:man 0644\n",
            "after": "nobody:man 0640\n",
        }
    ]
    os.chown(path, 0, 12)
    assert host.apply(file).changed
    assert not host.apply(file).changed


def test_an_account_that_does_not_exist(host: Host) -> None:
    file = {**JSON, "owner": "frr-of-test", "group": "frr-of-test"}
    assert host.refuse(file) == "user frr-of-test, group frr-of-test: not on this host"
    done = host.apply(file, check=True, validate=CHECKS[:1])
    assert done.changed
    assert done.warnings == ["user frr-of-test, group frr-of-test: not on this host yet"]
    assert len(done.checked) == 1


def test_what_was_there_before_comes_back(host: Host) -> None:
    conf = host.path(JSON["dest"])
    conf.parent.mkdir(parents=True, mode=0o750)
    conf.write_bytes(b"\xff of the distribution\n")
    conf.chmod(0o640)
    os.chown(conf, 65534, 12)
    (conf.parent / "other").write_text("of somebody\n")
    before = host.dump()
    host.apply(JSON, SHELL)
    host.apply({**JSON, "content": "[]"}, SHELL)
    done = host.apply(SHELL, apply=[host.take(JSON["dest"])])
    assert done.restored == [JSON["dest"]]
    assert done.applied
    host.apply(JSON, SHELL)
    host.apply()
    assert host.dump() == before


def test_a_file_that_is_already_as_wanted_is_adopted(host: Host) -> None:
    path = host.path(JSON["dest"])
    path.parent.mkdir(parents=True)
    path.write_text(JSON["content"])
    path.chmod(0o644)
    before = host.dump()
    assert not host.apply(JSON, apply=[host.take(JSON["dest"])]).changed
    host.apply({**JSON, "content": "[]"})
    host.apply()
    assert host.dump() == before


def test_folders_are_made_and_taken_away(host: Host) -> None:
    host.path("/etc").mkdir()
    before = host.dump()
    host.apply({**JSON, "folder_mode": "0750"}, {**SHELL, "dest": "/var/lib/vpc/y/b.sh"})
    assert stat.S_IMODE(host.path("/etc/x").stat().st_mode) == 0o750
    assert stat.S_IMODE(host.path("/var/lib/vpc/y").stat().st_mode) == 0o755
    host.path("/var/lib/other").write_text("of somebody\n")
    host.apply(JSON)
    assert not host.path("/var/lib/vpc").exists()
    assert host.path("/var/lib/other").exists()
    host.path("/var/lib/other").unlink()
    host.apply()
    host.path("/var/lib").rmdir()
    host.path("/var").rmdir()
    assert host.dump() == before


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe", "below a file"])
def test_what_is_no_file_is_refused(host: Host, kind: str) -> None:
    path = host.path(JSON["dest"])
    path.parent.parent.mkdir(parents=True)
    if kind == "below a file":
        path.parent.write_text("")
    else:
        path.parent.mkdir()
        (path.parent / "target").write_text("of somebody\n")
        make = {
            "link": lambda: path.symlink_to("target"),
            "dangling": lambda: path.symlink_to("nothing"),
            "folder": path.mkdir,
            "pipe": lambda: os.mkfifo(path),
        }
        make[kind]()
    message = {
        "link": "is a symbolic link",
        "dangling": "is a symbolic link",
        "folder": "is no ordinary file",
        "pipe": "is no ordinary file",
        "below a file": "a folder on the way to it is no folder",
    }
    assert message[kind] in host.refuse(JSON, SHELL)


def test_two_roles_leave_each_other_alone(host: Host) -> None:
    host.apply(JSON)
    host.apply(SHELL, role="ssh_tunnel")
    assert host.refuse(JSON, SHELL, role="ssh_tunnel") == "/etc/x/a.json belongs to role vpn_gateway"
    host.apply()
    assert host.path(SHELL["dest"]).exists()
    host.apply(role="ssh_tunnel")
    assert [path for path in host.dump() if path != "etc"] == []


# Checking


def test_every_mistake_is_told_and_nothing_written(host: Host) -> None:
    host.apply(JSON, SHELL)
    message = host.refuse(
        {**JSON, "content": '{"a": }'}, {**SHELL, "content": "echo (\n"}, validate=CHECKS, apply=[host.take("/etc/x/*")]
    )
    assert "python3 -m json.tool {dest:/etc/x/a.json}: status 1: Expecting value: line 1 column 7" in message
    # With the path that the user knows.
    assert "sh -n {folder}/etc/x/b.sh: status 2: /etc/x/b.sh: 2: Syntax error" in message
    assert host.taken() == ""
    with pytest.raises(RefusedError, match="Expecting value"):
        host.apply({**JSON, "content": '{"a": }'}, SHELL, validate=CHECKS, check=True)


def test_a_ruleset_is_checked_by_nft(host: Host, netns: Netns) -> None:
    rules = {"dest": "/etc/x/rules.nft", "content": 'include "{}"\n', "mode": "0600"}
    check = {"command": ["ip", "netns", "exec", netns.name, "nft", "-c", "-f", "{dest:/etc/x/rules.nft}"]}
    assert "/etc/x/rules.nft:1:1-13: Error: File not found" in host.refuse(rules, validate=[check])
    rules["content"] = "table inet x {\n  chain c {\n    tcp dport 179 accepted\n  }\n}\n"
    message = host.refuse(rules, validate=[check])
    assert "status 1: /etc/x/rules.nft:3:" in message
    assert "syntax error" in message
    rules["content"] = "table inet x {\n  chain c {\n    tcp dport 179 accept\n  }\n}\n"
    host.apply(rules, validate=[check])
    assert netns.sh("nft list tables") == ""


def test_copies_have_the_modes_that_checkers_look_at(host: Host, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    key = {"dest": "/etc/x/key", "content": (tmp_path / "key").read_text(), "mode": "0644"}
    check = {"command": ["ssh-keygen", "-y", "-P", "", "-f", "{dest:/etc/x/key}"], "expect": "^ssh-ed25519 "}
    assert "bad permissions" in host.refuse(key, validate=[check])
    host.apply({**key, "mode": "0600"}, validate=[check])
    cut = {**key, "mode": "0600", "secret": True, "content": key["content"][:200]}
    message = host.refuse(cut, validate=[check])
    assert "status 255" in message
    assert key["content"].splitlines()[1][:20] not in message


LIAR = {"command": ["sh", "-c", "cat {dest:/etc/x/a.json} >&2"]}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"expect": "loaded"}, "status 0, but its output does not match 'loaded': {\"a\": 1}"),
        ({"expect": '^"a"'}, "status 0, but its output does not match"),
        ({"refuse": '"a"'}, "status 0, but its output matches"),
        ({"ok": [3]}, "status 0: {"),
        ({"command": ["sh", "-c", "exit 7"]}, "sh -c exit 7: status 7"),
        ({"command": ["sh", "-c", "kill -9 $$"]}, "killed by signal 9"),
        ({"command": ["sh", "-c", "sleep 60 & sleep 60"], "timeout": 1}, "not finished after 1 seconds, killed"),
        ({"command": ["no-such-checker"]}, "no-such-checker: is not installed"),
        ({"command": ["env", "A=1", "no-such-checker"]}, "no-such-checker: is not installed"),
        ({"command": ["/etc/passwd"]}, "/etc/passwd: is not installed: /etc/passwd: Permission denied"),
    ],
)
def test_a_program_is_judged_by_status_and_output(host: Host, changes: dict[str, Any], message: str) -> None:
    started = time.monotonic()
    assert message in host.refuse(JSON, validate=[{**LIAR, **changes}])
    assert time.monotonic() - started < 10


def test_a_program_that_is_right(host: Host) -> None:
    good = {**LIAR, "expect": r'^\{"a": 1\}$', "refuse": "error"}
    third = {"command": ["sh", "-c", "exit 3"], "ok": [0, 3]}
    assert len(host.apply(JSON, validate=[good, third]).checked) == 2


def test_a_checker_that_is_not_installed(host: Host) -> None:
    check = {"command": ["no-such-checker", "{dest:/etc/x/a.json}"]}
    warning = "not checked, no-such-checker is not installed: no-such-checker {dest:/etc/x/a.json}"
    assert host.apply(JSON, validate=[check], check=True).warnings == [warning]
    assert "is not installed" in host.refuse(JSON, validate=[check])
    assert host.apply(JSON, validate=[{**check, "required": False}]).warnings == [warning]


def test_a_daemon_that_stays_does_not_hold_the_run(host: Host) -> None:
    started = time.monotonic()
    host.apply(JSON, apply=[{"command": ["sh", "-c", "sleep 4 & echo started"], "expect": "started"}])
    assert time.monotonic() - started < 3
    # Nor the lock.
    host.apply({**JSON, "content": "[]"})
