# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file on the controller: where it is, and that nobody ever finds, or writes over, half of one."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _lock_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vpc-lock.txt"


def refusal(file: Path, before: str | None, after: str) -> str:
    with pytest.raises(AnsibleActionFail) as caught:
        _lock_file.replace(str(file), before, after)
    return str(caught.value)


def test_it_is_beside_the_inventory_or_where_it_is_said(tmp_path: Path) -> None:
    inventory = {"inventory_dir": "/srv/inv"}
    assert _lock_file.path(inventory, str) == "/srv/inv/vpc-lock.txt"
    assert _lock_file.path({**inventory, "vpc_lock_file": "locks/a.txt"}, str) == "/srv/inv/locks/a.txt"
    assert _lock_file.path({**inventory, "vpc_lock_file": tmp_path / "b"}, str) == str(tmp_path / "b")
    assert _lock_file.path({**inventory, "vpc_lock_file": "~/b"}, str) == os.path.expanduser("~/b")
    assert _lock_file.path({}, str) == os.path.abspath("vpc-lock.txt")


def test_ansible_takes_it_for_no_inventory(tmp_path: Path, file: Path) -> None:
    (tmp_path / "hosts").write_text("[hypervisors]\nhost1\n")
    file.write_text("[hypervisors]\nhost2\n")

    def hosts() -> list[str]:
        return [host.name for host in InventoryManager(loader=DataLoader(), sources=[str(tmp_path)]).get_hosts()]

    assert hosts() == ["host1"]
    file.rename(tmp_path / "vpc-lock")
    assert hosts() == ["host1", "host2"], "else the suffix would not matter"


def test_what_is_written_is_read_as_a_whole_and_nothing_else_is_left(tmp_path: Path, file: Path) -> None:
    assert _lock_file.read(str(file)) is None
    assert _lock_file.replace(str(file), None, "one\n")
    assert _lock_file.replace(str(file), "one\n", "two\n")
    assert _lock_file.read(str(file)) == "two\n"
    assert os.listdir(tmp_path) == ["vpc-lock.txt"]


def test_a_new_file_has_the_usual_mode_and_an_old_one_keeps_its_own(file: Path) -> None:
    before = os.umask(0o027)
    try:
        assert _lock_file.replace(str(file), None, "one\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    file.chmod(0o664)
    assert _lock_file.replace(str(file), "one\n", "two\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o664


@pytest.mark.parametrize("before", [None, "one\n"])
def test_what_another_run_wrote_is_not_written_over(file: Path, before: str | None) -> None:
    file.write_text("another\n")
    assert not _lock_file.replace(str(file), before, "mine\n")
    assert file.read_text() == "another\n"


def test_a_file_that_another_run_took_away_is_not_made_again(file: Path) -> None:
    assert not _lock_file.replace(str(file), "one\n", "mine\n")
    assert not file.exists()


def test_runs_wait_for_each_other(tmp_path: Path, file: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    done = threading.Event()

    def write() -> None:
        _lock_file.replace(str(file), None, "one\n")
        done.set()

    fcntl.flock(descriptor, fcntl.LOCK_EX)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert not done.wait(0.2)
        assert not file.exists()
    finally:
        os.close(descriptor)
        thread.join()
    assert file.read_text() == "one\n"


def test_of_many_runs_that_plan_from_the_same_file_one_writes(file: Path) -> None:
    file.write_text("old\n")
    won: list[int] = []

    def run(number: int) -> None:
        if _lock_file.replace(str(file), "old\n", f"{number}\n"):
            won.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert file.read_text() == f"{won[0]}\n"


def test_a_file_system_without_locks_is_no_obstacle(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert _lock_file.replace(str(file), None, "one\n")


def test_a_link_is_followed_and_stays_one(tmp_path: Path, file: Path) -> None:
    target = tmp_path / "shared" / "lock.txt"
    target.parent.mkdir()
    file.symlink_to(target)
    assert _lock_file.read(str(file)) is None
    assert _lock_file.replace(str(file), None, "one\n")
    assert _lock_file.replace(str(file), "one\n", "two\n")
    assert file.is_symlink()
    assert target.read_text() == "two\n"


def test_what_is_no_file_is_refused(file: Path) -> None:
    for make in (file.mkdir, lambda: os.mkfifo(file)):
        make()
        with pytest.raises(AnsibleActionFail, match=f"vpc_lock_file {file} is no regular file"):
            _lock_file.read(str(file))
        file.rmdir() if file.is_dir() else file.unlink()
    file.write_bytes(b"format 1\n\xff\n")
    with pytest.raises(AnsibleActionFail, match=r"is no text \(byte 9\): restore it"):
        _lock_file.read(str(file))


def test_what_cannot_be_written_is_told_and_stays(tmp_path: Path, file: Path) -> None:
    file.write_text("one\n")
    file.chmod(0o444)
    assert refusal(file, "one\n", "two\n").startswith(f"cannot write vpc_lock_file {file}: it is read-only. ")
    assert file.read_text() == "one\n"
    missing = tmp_path / "none" / "vpc-lock.txt"
    assert "No such file or directory" in refusal(missing, None, "one\n")
    link = tmp_path / "link.txt"
    link.symlink_to(missing)
    message = refusal(link, None, "one\n")
    assert message.startswith(f"cannot write vpc_lock_file {link}, a link to {missing}: No such file or directory. ")
    assert message.endswith("make it writable, or set vpc_lock_file to a path that is")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_folder_of_others_is_told() -> None:
    # pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        file = Path(name) / "vpc-lock.txt"
        os.seteuid(65534)
        try:
            message = refusal(file, None, "one\n")
        finally:
            os.seteuid(0)
        assert message.startswith(f"cannot write vpc_lock_file {file}: Permission denied. Nothing was changed")
        assert os.listdir(name) == []


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("one\n")

    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    assert "No space left on device" in refusal(file, "one\n", "two\n")
    assert file.read_text() == "one\n"
    assert os.listdir(tmp_path) == ["vpc-lock.txt"]
