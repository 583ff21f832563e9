# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection plugin enters the namespaces of one process, and never runs anything anywhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible_collections.plainlinux.vpc.plugins.connection import lab
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import system

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="entering namespaces needs root")


def connection(state: Path, **options: str) -> Any:
    """A connection to host h of lab l, whose state is below a folder of the test."""
    values = {"lab_name": "l", "host": "h", "state_dir": str(state), "pipelining": True, **options}

    class Connection(lab.Connection):
        def get_option(self, option: str, hostvars: Any = None) -> Any:
            return values[option]

    return Connection(PlayContext(), None)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[int]:
    """The pid of a process that has all namespaces of its own, recorded as the first process of host h."""
    command = ["unshare", "--mount-proc", "-fmpnui", "--cgroup", "sh", "-c", "mount -t tmpfs x /mnt; exec sleep 60"]
    process = subprocess.Popen(command)
    (tmp_path / "l/hosts").mkdir(parents=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 10
    while not children.read_text().split() and time.monotonic() < deadline:
        time.sleep(0.01)
    pid = int(children.read_text().split()[0])
    while b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes()[:5] and time.monotonic() < deadline:
        time.sleep(0.01)
    system.remember(tmp_path / "l/hosts/h.pid", pid)
    yield pid
    process.kill()
    process.wait()
    if system.start_time(pid):
        os.kill(pid, signal.SIGKILL)


def test_commands_and_files_arrive_in_the_host(host: int, tmp_path: Path) -> None:
    there = connection(tmp_path)
    for kind in ("net", "mnt", "pid", "uts", "ipc", "cgroup"):
        status, output, _error = there.exec_command(f"readlink /proc/1/ns/{kind}")
        assert status == 0
        assert output.decode().strip() == os.readlink(f"/proc/{host}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    (tmp_path / "in").write_bytes(b"\x00\xff'\n")
    there.put_file(str(tmp_path / "in"), "/mnt/it's here")
    assert not Path("/mnt/it's here").exists()
    there.fetch_file("/mnt/it's here", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"\x00\xff'\n"
    assert there.exec_command("exit 7")[0] == 7
    assert there.exec_command("cat", in_data=b"x")[1] == b"x"


@pytest.mark.usefixtures("host")
def test_nothing_of_our_environment_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    names = {line.partition(b"=")[0] for line in connection(tmp_path).exec_command("env")[1].splitlines()}
    assert names <= {b"HOME", b"USER", b"LOGNAME", b"SHELL", b"LANG", b"PATH", b"PWD", b"SHLVL", b"_", b"OLDPWD"}


def test_host_that_ended(host: int, tmp_path: Path) -> None:
    there = connection(tmp_path)
    os.kill(host, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while system.start_time(host) and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(AnsibleConnectionFailure, match="lab host l/h cannot be entered"):
        there.exec_command(f"touch {tmp_path}/x")
    assert not (tmp_path / "x").exists()


def test_host_that_ends_during_a_command(host: int, tmp_path: Path) -> None:
    killer = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {host}"])
    with pytest.raises(AnsibleConnectionFailure, match="it went down"):
        connection(tmp_path).exec_command("sleep 20")
    killer.wait()


@pytest.mark.parametrize(
    "text, message",
    [
        ("{pid} 1\n", "its first process has ended"),
        ("{me} {start}\n", "it has no cgroup namespace of its own"),
        ("", "cannot be entered"),
        ("x y\n", "cannot be entered"),
    ],
)
def test_wrong_process(host: int, tmp_path: Path, text: str, message: str) -> None:
    record = text.format(pid=host, me=os.getpid(), start=system.start_time(os.getpid()))
    (tmp_path / "l/hosts/h.pid").write_text(record)
    with pytest.raises(AnsibleConnectionFailure, match=message):
        connection(tmp_path).exec_command(f"touch {tmp_path}/x")
    assert not (tmp_path / "x").exists()


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("options", [{"host": "x"}, {"lab_name": "x"}, {"host": "../hosts/h"}, {"lab_name": "../l"}])
def test_no_such_host(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(AnsibleConnectionFailure, match="cannot be entered"):
        connection(tmp_path, **options).exec_command(f"touch {tmp_path}/x")
    assert not (tmp_path / "x").exists()
