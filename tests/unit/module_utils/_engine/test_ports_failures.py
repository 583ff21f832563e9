# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a host when a run fails, is killed, or meets the helper; and the hooks that call the helper."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import lock
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import (
    FailedError,
    LockedError,
    Transaction,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import hooks
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.guarded_host import (
    BRIDGES,
    EITHER,
    NAMES,
    ONE,
    THREE,
    TWO,
    Host,
    planned,
)


def failing(host: Host, word: str, before: bool) -> Callable[[Command], Output]:
    """Run commands, but let the first of the helper's with this word fail, before it or after it."""
    seen: list[str] = []

    def run(command: Command) -> Output:
        if command.argv[-1] == word and not seen:
            seen.append(word)
            if not before:
                host.netns.run(command)
            return Output(1, "", "made to fail")
        return host.netns.run(command)

    return run


@EITHER
@pytest.mark.parametrize("before", [True, False])
def test_a_first_run_that_fails_at_its_end_leaves_nothing(host: Host, before: bool) -> None:
    for name in NAMES:
        host.port(name)
    state = host.dump()
    content = host.slice([ONE, THREE], NAMES, BRIDGES)
    with pytest.raises(FailedError, match=r"made to fail\. Nothing was changed"):
        host.apply(content, run=failing(host, "sync", before))
    assert host.dump() == state
    assert host.files() == []
    assert not host.run_folder.exists()
    host.apply(content)
    assert not host.changed(content)


@EITHER
@pytest.mark.parametrize("before", [True, False])
def test_a_change_that_fails_at_its_end_leaves_the_old_state(host: Host, before: bool) -> None:
    for name in NAMES:
        host.port(name)
    host.port("vif7.0", "xenbr0")
    old = host.slice([ONE, TWO, THREE], NAMES, BRIDGES)
    host.apply(old)
    host.vif("add", "vif7.0", TWO.mac)
    host.vif("add", "vnet5", TWO.mac)
    host.age("vnet5", 50)
    state = host.dump(), host.files()
    two = TWO._replace(addresses=())
    for new in (
        host.slice([ONE, THREE], NAMES, BRIDGES),
        host.slice([ONE, two, THREE], NAMES, BRIDGES, broadcasts=7),
    ):
        with pytest.raises(FailedError, match=r"made to fail\. Nothing was changed"):
            host.apply(new, run=failing(host, "sync", before))
        assert (host.dump(), host.files()) == state
        assert not host.changed(old)


def test_absent_that_fails_leaves_the_guard(host: Host) -> None:
    host.port("vm1.0")
    content = host.slice([ONE], {"vm1.0": ONE})
    host.apply(content)
    state = host.dump()

    def run(command: Command) -> Output:
        if "delete table" in (command.stdin or "") and "chain" not in (command.stdin or ""):
            return Output(1, "", "made to fail")
        return host.netns.run(command)

    with pytest.raises(FailedError, match="made to fail"):
        host.apply({}, run=run, removal_limit=None)
    assert host.dump() == state
    assert not host.changed(content)


def test_hooks_are_written_where_their_software_is(host: Host) -> None:
    folders = ["etc/xen/scripts", "etc/libvirt", "etc/udev/rules.d"]
    for folder in folders:
        (host.root / folder).mkdir(parents=True)

    def tree() -> list[str]:
        return sorted(str(path.relative_to(host.root)) for path in host.root.rglob("*"))

    before = tree()
    content = host.slice([ONE])
    with pytest.raises(FailedError):
        host.apply(content, run=failing(host, "sync", before=False))
    assert tree() == before
    host.apply(content)
    assert not host.changed(content)
    programs = [path for path in hooks.files(hooks.FOLDERS) if not path.endswith(".rules")]
    assert len(programs) == 3
    assert [os.access(f"{host.root}{path}", os.X_OK) for path in programs] == [True] * 3
    assert (host.root / hooks.UDEV_RULES.lstrip("/")).is_file()
    (host.root / "etc/libvirt/hooks/qemu.d/another").touch()
    host.absent()
    assert tree() == sorted(
        ["etc/libvirt/hooks", "etc/libvirt/hooks/qemu.d", "etc/libvirt/hooks/qemu.d/another", *before]
    )


@EITHER
def test_killed_in_the_middle_then_run_again_or_taken_away(host: Host, tmp_path: Path) -> None:
    """A real process, killed by SIGKILL at many moments of a first run, and of a later one."""
    for name in NAMES:
        host.port(name)
    before = host.dump()
    # The second gives a port to another guest, and makes the other port nobody's.
    contents = [host.slice([ONE, THREE], NAMES), host.slice([ONE, TWO, THREE], {"vm1.0": TWO}, broadcasts=7)]
    program = tmp_path / "apply.py"
    program.write_text(
        f"""
import json, sys
sys.path[:0] = {sys.path!r}
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
print("ready", flush=True)
transaction.Transaction(ANTISPOOF, json.loads(sys.stdin.read()), transaction.Options(**{host.options!r})).apply()
"""
    )
    killed = 0
    for number, delay in enumerate(range(0, 300, 20)):
        content = contents[number // 2 % 2]
        with subprocess.Popen(
            ["ip", "netns", "exec", host.netns.name, sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            child.stdout.readline()
            child.stdin.write(json.dumps(content).encode())
            child.stdin.close()
            time.sleep(delay / 1000)
            # With its helper, as a host dies.
            os.killpg(child.pid, signal.SIGKILL)
            killed += child.wait() == -signal.SIGKILL
        if number % 2:
            host.apply(content)
            assert not host.changed(content)
        else:
            host.absent()
            assert host.dump() == before
            assert host.files() == []
    assert killed > 3


def test_the_helper_waits_for_a_transaction(host: Host) -> None:
    host.apply(host.slice([ONE, TWO]))
    started: list[subprocess.Popen[bytes]] = []

    def run(command: Command) -> Output:
        if command.argv[:2] == ("nft", "-f") and not started:
            started.append(subprocess.Popen(host.command("add", "vnet0", TWO.mac), stdin=subprocess.DEVNULL))
            time.sleep(0.5)
            assert started[0].poll() is None
            assert host.records() == []
        return host.netns.run(command)

    content = host.slice([ONE, TWO], {"vm1.0": ONE}, broadcasts=7)
    host.apply(content, run=run)
    assert started[0].wait() == 0
    assert host.of_guests(vm1_0=ONE, vnet0=TWO).items() <= host.elements().items()
    assert not host.changed(content)


def test_what_the_boot_unit_starts_calls_the_helper(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit starts inside of a transaction, and its script waits for the helper."""
    started = []

    def run(command: Command) -> Output:
        if command.argv[:2] == ("systemctl", "start"):
            started.append(host.boot())
        if command.argv[0] == "systemctl":
            return Output(0, "")
        return host.netns.run(command)

    monkeypatch.setattr(Transaction, "_systemd", lambda _self: True)
    host.apply(host.slice([ONE], {"vm1.0": ONE}), run=run)
    assert len(started) == 1
    assert host.elements() == {**host.of_guests(vm1_0=ONE), **planned("vm1.0")}


def test_a_transaction_waits_for_the_helper(host: Host) -> None:
    content = host.slice([ONE, TWO])
    host.apply(content)
    file = host.run_folder / "antispoof/lock"
    with subprocess.Popen(
        ["flock", "--no-fork", str(file), "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(LockedError, match="antispoof/lock is held"):
            host.apply(content, patience=0.2)
        holder.kill()
    assert not host.changed(content)


def test_whoever_waited_for_a_lock_that_was_removed_gets_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "folder/lock"
    found: list[bool] = []

    def wait() -> None:
        with lock.held(str(path), "second", 5):
            found.append(path.exists())

    second = threading.Thread(target=wait)
    with lock.held(str(path), "first"):
        second.start()
        time.sleep(0.2)
        path.unlink()
        path.parent.rmdir()
    second.join()
    assert found == [True]
