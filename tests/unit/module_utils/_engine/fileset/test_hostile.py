# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of files in bad company: an account that owns a folder, odd file systems, programs without measure."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset import programs, result
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.transaction import RefusedError
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.fileset.hosts import (
    JSON,
    PSK,
    SECRET,
    SHELL,
    Host,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")

# An account of no use.
NOBODY = 65534


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """What an account would like to read or have."""
    path = tmp_path / "shadow"
    path.write_text("root:hash\n")
    path.chmod(0o600)
    return path


def rights(path: Path) -> tuple[int, int, int, str]:
    info = path.stat()
    return (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode), path.read_text())


@pytest.mark.parametrize("event", ["os.chmod", "os.chown", "os.rename"])
def test_links_put_in_the_way_meanwhile_lead_nowhere(host: Host, victim: Path, event: str) -> None:
    """The owner of a folder replaces whatever we have just made in it by a link, right before the next act."""
    folder = host.path("/srv/daemon")
    folder.mkdir(parents=True)
    os.chown(folder, NOBODY, NOBODY)
    before = rights(victim)
    swapped = host.root.parent / "swapped"

    def swap(name: str, _arguments: tuple[Any, ...]) -> None:
        if name == event and not swapped.exists():
            for path in [*folder.glob(".plainlinux-vpc-*"), *folder.glob("new*")]:
                swapped.touch()
                path.rmdir() if path.is_dir() else path.unlink()
                path.symlink_to(victim)

    file = {**JSON, "dest": "/srv/daemon/new/a", "owner": "nobody", "mode": "0666", "folder_mode": "0777"}
    host.apart(lambda: host.apply(file), swap)
    swapped.unlink(missing_ok=True)
    host.apart(lambda: host.apply({**file, "dest": "/srv/daemon/a"}), swap)
    assert swapped.exists()
    assert rights(victim) == before


def test_a_folder_has_its_mode_from_the_first_moment(host: Host) -> None:
    seen = host.root.parent / "seen"

    def look(_event: str, _arguments: tuple[Any, ...]) -> None:
        folder = host.path("/srv/secrets")
        if folder.exists() and stat.S_IMODE(folder.stat().st_mode) != 0o700:
            seen.touch()

    assert host.apart(lambda: host.apply({**SECRET, "dest": "/srv/secrets/psk", "folder_mode": "0700"}), look) == 0
    assert host.path("/srv/secrets/psk").exists()
    assert not seen.exists()


def test_nobody_else_can_read_a_file_at_any_moment(host: Host) -> None:
    """Neither the file, nor its copy that is checked, nor what is written beside it; the record has originals."""
    host.path("/etc/x").mkdir(parents=True)
    host.path(SECRET["dest"]).write_text(f"old {PSK}\n")
    host.path(SECRET["dest"]).chmod(0o600)
    seen = host.root.parent / "seen"

    def look(_event: str, _arguments: tuple[Any, ...]) -> None:
        for path in host.root.rglob("*"):
            # What is below the folder of copies cannot be reached.
            if path.is_file() and path.stat().st_mode & 0o077 and path.read_bytes():
                seen.write_text(str(path))
        if any(path.stat().st_mode & 0o077 for path in host.runtime.glob("stage-*")):
            seen.write_text("stage")

    check = {"command": ["cat", "{dest:/etc/x/psk.txt}"]}
    assert host.apart(lambda: host.apply(SECRET, validate=[check], apply=[check | {"command": ["true"]}]), look) == 0
    assert host.path(SECRET["dest"]).read_text() == SECRET["content"]
    assert not seen.exists(), seen.read_text()


def test_a_folder_named_like_our_leftovers_stops_nobody(host: Host) -> None:
    host.apply(JSON)
    trap = host.path("/etc/x/.plainlinux-vpc-trap")
    trap.mkdir()
    assert not host.apply(JSON).changed
    assert host.apply({**JSON, "content": "[]"}).changed
    trap.rmdir()


def test_a_file_system_that_is_read_only(host: Host) -> None:
    etc = host.path("/etc")
    etc.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "vpc-unit", str(etc)], check=True)
    try:
        for files in ((), (JSON,)):
            if files:
                host.apply(*files)
            subprocess.run(["mount", "-o", "remount,ro", str(etc)], check=True)
            # Not FailedError: there is nothing to put back.
            with pytest.raises(RefusedError, match="Read-only file system"):
                host.apply({**JSON, "content": "[2]"}, SHELL, apply=[host.take(JSON["dest"])])
            assert host.taken() == ""
            subprocess.run(["mount", "-o", "remount,rw", str(etc)], check=True)
            assert [path for path in host.dump() if path != "etc" and not files] == []
        assert not host.apply(JSON).changed
    finally:
        subprocess.run(["umount", str(etc)], check=True)


def test_two_names_of_one_file(host: Host) -> None:
    host.path("/etc").mkdir()
    host.path("/usr/lib/units").mkdir(parents=True)
    host.path("/lib").symlink_to("usr/lib")
    old, new = ({**JSON, "dest": f"{folder}/units/a"} for folder in ("/lib", "/usr/lib"))
    before = host.dump()
    assert host.refuse(old, new) == "/usr/lib/units/a is the same file as /lib/units/a"
    host.apply(old)
    assert host.refuse(new, role="ssh_tunnel") == "/lib/units/a belongs to role vpn_gateway"
    # It is not removed under its old name.
    assert not host.apply(new).changed
    assert host.path("/usr/lib/units/a").read_text() == JSON["content"]
    host.apply({**new, "content": "[]"})
    host.apply()
    assert host.dump() == before


def test_folders_that_vanish(host: Host) -> None:
    deep = {**JSON, "dest": "/srv/x/y/a"}
    host.path("/srv").mkdir()
    before = host.dump()
    host.apply(deep, SHELL)
    subprocess.run(["rm", "-r", str(host.path("/srv/x"))], check=True)
    assert list(host.apply(deep, SHELL).after) == [deep["dest"]]
    subprocess.run(["rm", "-r", str(host.path("/srv/x"))], check=True)
    assert host.apply(deep, SHELL, apply=[host.take(deep["dest"])]).changed
    gone = {"command": ["rm", "-r", str(host.path("/srv/x"))]}
    done = host.apply({**deep, "content": "[]"}, SHELL, apply=[gone])
    assert done.warnings[0].startswith(f"{deep['dest']}: changed by what ran after the write")
    host.apply()
    assert [path for path in host.dump() if path not in before] == ["etc"]


def test_a_large_set_fits_into_a_small_host(host: Host) -> None:
    """2 MB, in a process that may have 64 MiB more than it needs for itself."""
    lines = "".join(
        f"network 10.{number >> 8}.{number & 255}.0/24 via 198.51.100.{number % 251}\n" for number in range(500)
    )
    files = [{"dest": f"/etc/x/{number}", "content": lines} for number in range(100)]

    def small() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
        for content in ("", "more\n"):
            done = host.apply(*files[:-1], {**files[-1], "content": lines + content}, SECRET)
            assert len(json.dumps(result.present(done, diff=True))) < 10 << 20

    assert sum(len(file["content"]) for file in files) > 1_900_000
    assert host.apart(small) == 0
    assert host.path("/etc/x/99").read_text().endswith("more\n")


ENDLESS = ["yes", "cat /dev/zero", "yes | tr -d '\\n'", f"yes {PSK} | tr -d '\\n'"]


@pytest.mark.parametrize("script", ENDLESS)
def test_a_program_that_never_stops_talking(host: Host, script: str) -> None:
    program = {"command": ["sh", "-c", f"f={{dest:{SECRET['dest']}}}; {script}"], "refuse": "no such word"}
    message = host.refuse({**SECRET, "content": f"{PSK}\n"}, validate=[program])
    assert f"wrote more than {programs.OUTPUT_MOST >> 20} MiB, killed" in message
    assert PSK not in message.replace(script, "")
    assert len(message) < 3000


def test_what_a_terminal_would_obey(host: Host) -> None:
    path = host.path(JSON["dest"])
    path.parent.mkdir(parents=True)
    for bad in (b"\x1b]0;title\x07", b"a\x00b", b"ok\rhidden", "\x9b31m".encode(), bytes(range(256))):
        path.write_bytes(bad)
        done = host.apply(JSON, check=True)
        (shown, *_rest) = result.present(done, diff=True)["diff"]
        assert shown["before"] == f"(not text, {len(bad)} bytes)\n"
    path.write_bytes(b"[1]\r\n\t[2]\n")
    assert result.present(host.apply(JSON, check=True), diff=True)["diff"][0]["before"] == "[1]\r\n\t[2]\n"
    check = {"command": ["printf", "\\033[31mred\\007\\n"], "refuse": "red"}
    assert host.refuse(JSON, validate=[check]).endswith(": ?[31mred?")
    # Two that are not shown and have one size.
    first, second = ({**JSON, "content": f"{letter}\x01"} for letter in "ab")
    host.apply(first)
    assert result.present(host.apply(second), diff=True)["diff"][0]["after"] == "(not text, 2 bytes, changed)\n"
