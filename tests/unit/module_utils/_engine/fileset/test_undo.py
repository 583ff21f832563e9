# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of files that do not get through: programs that fail, disks that are full, runs that are killed."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.transaction import (
    FailedError,
    LockedError,
    Transaction,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import parse
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.fileset.hosts import (
    JSON,
    SECRET,
    SHELL,
    Host,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")


def test_a_program_that_fails_brings_the_old_files_back(host: Host) -> None:
    host.apply(JSON, SHELL)
    good = host.take(JSON["dest"])
    bad = host.take(SHELL["dest"], status=f"$(grep -c new {host.path(SHELL['dest'])}) * 5")
    never = {"command": ["touch", str(host.root / "never")]}
    new = ({**JSON, "content": "[2]\n"}, {**SHELL, "content": "echo new\n"}, {**SECRET, "dest": "/var/new/psk"})
    message = host.refuse(*new, apply=[good, bad, never])
    assert host.taken() == '[2]\necho new\n{"a": 1}\necho b\n'
    assert "sh -c for path" in message
    assert "take /etc/x/b.sh: status 5: taken. The old files are back; run again with them: sh -c" in message
    # Nothing is left to make up for.
    assert not host.apply(JSON, SHELL, apply=[good]).changed


def test_what_was_expected_of_the_new_files_is_not_of_the_old(host: Host) -> None:
    host.apply(JSON)
    new = {**JSON, "content": "[2]\n"}
    load = {"command": ["cat", str(host.path(JSON["dest"]))], "expect": r"^\[3\]"}
    assert host.refuse(new, apply=[load]).endswith(
        "The old files are back; run again with them: " + load["command"][0] + " " + load["command"][1] + "."
    )


def test_an_undo_that_fails_is_told_and_made_up_for(host: Host) -> None:
    host.apply(JSON)
    broken = host.root.parent / "broken"
    broken.touch()
    program = {"command": ["sh", "-c", f"echo ran >>{host.log}; ! test -e {broken}"]}
    with pytest.raises(FailedError) as caught:
        host.apply({**JSON, "content": "[2]"}, apply=[program])
    assert "The old files are back, but with them failed: sh -c echo ran" in str(caught.value)
    assert host.path(JSON["dest"]).read_text() == JSON["content"]
    assert host.taken() == "ran\nran\n"
    with pytest.raises(FailedError):
        host.apply(JSON, apply=[program])
    broken.unlink()
    host.taken()
    assert host.apply(JSON, apply=[program], check=True).applied
    done = host.apply(JSON, apply=[program])
    assert (done.changed, len(done.applied), list(done.after)) == (True, 1, [])
    assert host.taken() == "ran\n"
    assert not host.apply(JSON, apply=[program]).changed


def test_a_write_that_fails_half_way(host: Host) -> None:
    small = host.path("/var")
    small.mkdir()
    host.path("/etc").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "vpc-unit", str(small)], check=True)
    try:
        large = {"dest": "/var/large", "content": "x" * 200_000}
        message = host.refuse(JSON, SHELL, large, apply=[host.take("/etc/x/*")])
        assert message == "[Errno 28] No space left on device. The old files are back."
        assert host.taken() == ""
        host.apply(JSON, SHELL)
        message = host.refuse({**JSON, "content": "[2]"}, {**large, "dest": "/var/a/b/large"})
        assert "No space left on device. The old files are back." in message
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_file_that_a_program_rewrites_is_named(host: Host) -> None:
    program = {"command": ["sh", "-c", f"echo more >>{host.path(JSON['dest'])}"]}
    assert host.apply(JSON, SHELL, apply=[program]).warnings == [
        "/etc/x/a.json: changed by what ran after the write, so the next run will write it again"
    ]
    assert host.apply(JSON, SHELL, apply=[program]).changed


def test_a_program_that_fails_after_removal(host: Host) -> None:
    host.apply(JSON)
    program = {"command": ["grep", "-q", "a", str(host.path(JSON["dest"]))]}
    message = host.refuse(apply=[program])
    assert message.startswith("grep -q a ")
    assert "a.json: status 2: grep: " in message
    assert "The old files are back; run again with them: grep" in message


def test_a_record_that_is_none(host: Host) -> None:
    host.apply(JSON)
    for text in ("{", '{"files": 7}', '{"files": {"/etc/x/a.json": {}}}'):
        host.path("/etc/plainlinux-vpc/vpn_gateway/files.json").write_text(text)
        assert "files.json cannot be read: " in host.refuse(JSON, SHELL)


def test_the_lock_is_held_by_one(host: Host) -> None:
    holder = subprocess.Popen(
        ["flock", "-F", str(host.lock), "sh", "-c", "echo held; exec sleep 60"], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(LockedError):
        Transaction(parse({"role": "x", "files": [JSON]}), host.options(patience=0.2)).apply()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert host.apply(JSON).changed


# What changes a file system, or starts a program.
ACTS = {
    "open",
    "os.chmod",
    "os.chown",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "subprocess.Popen",
    "tempfile.mkstemp",
}


def killed(host: Host, step: int, *files: dict[str, Any], **more: Any) -> bool:
    """Apply in a process that is killed at its step-th act; False where it has fewer. What it refuses is no mistake."""
    acts = itertools.count(1)

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        reads = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in ACTS and not reads and next(acts) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return host.apart(lambda: host.apply(*files, **more), look) == -signal.SIGKILL


@pytest.mark.parametrize("fails", [False, True], ids=["writes", "puts back"])
def test_killed_at_every_moment_then_run_again(host: Host, fails: bool) -> None:
    """A real process, killed by SIGKILL: the next run brings everything to its end, and takes everything away."""
    state = host.root.parent / "state"
    broken = host.root.parent / "broken"
    ours = {"dest": "/etc/old", "content": "ours\n"}
    new = {"dest": "/etc/x/conf.d/new", "content": "new\n"}
    paths = " ".join(str(host.path(file["dest"])) for file in (ours, new, SECRET))
    load = {"command": ["sh", "-c", f"cat {paths} >{state}; ! test -e {broken}"]}
    host.path("/etc/x").mkdir(parents=True)
    host.path("/etc/old").write_text("of the distribution\n")
    before = host.dump()
    moments = 0
    interrupted = set()
    # Up to the program both are the same.
    for step in itertools.count(1, 3 if fails else 1):
        state.unlink(missing_ok=True)
        if fails:
            broken.touch()
        if not killed(host, step, ours, new, SECRET, validate=[{"command": ["true"]}], apply=[load]):
            break
        moments += 1
        broken.unlink(missing_ok=True)
        done = host.apply(ours, new, SECRET, apply=[load])
        interrupted.add((len(done.after), len(done.applied)))
        assert state.read_text() == f"ours\nnew\n{SECRET['content']}"
        assert not host.apply(ours, new, SECRET, apply=[load]).changed
        assert not [path for path in host.dump() if ".plainlinux-vpc-" in path]
        host.apply()
        assert host.dump() == before
    assert moments > (15 if fails else 25)
    # Before the first file, between the files, and after the last but before the program.
    assert fails or {(3, 1), (2, 1), (1, 1), (0, 1)} <= interrupted


@pytest.mark.parametrize("key", ["validate", "apply"])
def test_killed_while_a_program_runs(host: Host, key: str) -> None:
    once = host.root.parent / "once"
    once.touch()
    program = {"command": ["sh", "-c", f"rm {once} && kill -9 $PPID; echo ran >>{host.log}"]}
    assert killed(host, 0, JSON, SECRET, **{key: [program]})
    done = host.apply(JSON, SECRET, **{key: [program]})
    assert (len(done.after), len([*done.applied, *done.checked])) == ((2, 1) if key == "validate" else (0, 1))
    assert "ran\n" in host.taken()
    assert not host.apply(JSON, SECRET, **{key: [program]}).changed


def test_killed_while_it_takes_away(host: Host) -> None:
    host.path("/etc/x").mkdir(parents=True)
    host.path(JSON["dest"]).write_text("of the distribution\n")
    before = host.dump()
    for step in itertools.count(1):
        host.apply(JSON, SHELL, {**SECRET, "dest": "/etc/x/conf.d/more/psk"})
        if not killed(host, step):
            break
        host.apply()
        assert host.dump() == before
    assert step > 5
