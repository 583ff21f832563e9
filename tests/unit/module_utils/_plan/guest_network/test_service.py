# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit, and the script that decides what becomes of leases."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network import paths, service

SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>"$CALLS"
[ "$1 $2" != "-q is-active" ] || [ "$ACTIVE" = yes ]
"""


@pytest.mark.parametrize(
    "before, now, active, calls",
    [
        ("a\nb\n", "a\nb\nc\n", "yes", ["reload"]),
        ("a\nb\n", "a\nb\n", "yes", ["reload"]),
        ("a\nb\n", "a\nc\n", "yes", ["restart"]),
        ("a\nb\n", "a\n", "yes", ["restart"]),
        ("a\nab\n", "ab\n", "yes", ["restart"]),
        ("", "a\n", "yes", ["reload"]),
        (None, "a\n", "yes", ["reload"]),
        ("a\n", "b\n", "no", []),
    ],
)
def test_take_up(tmp_path: Path, before: str | None, now: str, active: str, calls: list[str]) -> None:
    script = _script(tmp_path)
    (tmp_path / "hosts").write_text(now)
    if before is not None:
        (tmp_path / "known").write_text(before)
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CALLS": str(tmp_path / "calls"), "ACTIVE": active}
    subprocess.run(["sh", script, "take-up"], env=environment, check=True)
    found = (tmp_path / "calls").read_text().splitlines()
    assert found == [f"-q is-active {paths.SERVICE}", *(f"{call} {paths.SERVICE}" for call in calls)]


def test_prune(tmp_path: Path) -> None:
    """Leases of IPv4 whose line is what it was stay; also where there is nothing yet."""
    script = _script(tmp_path)
    one, two, three = (
        f"52:54:00:00:00:0{number},id:*,10.0.0.{number},[2001:db8::{number}],vm{number}" for number in "123"
    )
    (tmp_path / "hosts").write_text(f"# head\n{one}\n{three}\n{two.replace('10.0.0.2', '10.0.0.9')}\n")
    subprocess.run(["sh", script, "prune"], check=True)
    assert not (tmp_path / "leases").exists()
    assert (tmp_path / "known").read_text() == (tmp_path / "hosts").read_text()

    (tmp_path / "known").write_text(f"# head\n{one}\n{two}\n10.0.0.4\n")
    (tmp_path / "leases").write_text(
        "".join(f"1795414877 52:54:00:00:00:0{number} 10.0.0.{number} vm{number} *\n" for number in (1, 2, 3, 9, 4))
        + "duid 00:02:00:00\n1795414877 16777216 2001:db8::1 vm1 00:03:00:01\n"
    )
    subprocess.run(["sh", script, "prune"], check=True)
    assert (tmp_path / "leases").read_text() == "1795414877 52:54:00:00:00:01 10.0.0.1 vm1 *\n"
    assert (tmp_path / "known").read_text() == (tmp_path / "hosts").read_text()


def _script(folder: Path) -> str:
    text = service.SCRIPT_TEXT
    for path, name in ((paths.HOSTS, "hosts"), (paths.KNOWN, "known"), (paths.LEASES, "leases")):
        text = text.replace(f"={path}", f"={folder}/{name}")
    script = folder / "script"
    script.write_text(text)
    return str(script)


def test_the_unit(tmp_path: Path) -> None:
    """systemd knows all of its settings."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / paths.SERVICE
    script = tmp_path / "leases"
    script.touch(mode=0o755)
    unit.write_text(service.UNIT_TEXT)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if paths.SERVICE in line], done.stderr
