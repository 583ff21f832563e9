# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make test` runs its targets with, and a make that does what the name of the target says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "run_steps.py"
# Each target writes down that it runs; those that wait do so until another one has begun, or for ever.
MAKE = """#!/bin/sh
cd "${0%/*}"
target=$2
touch "running-$target"
set -- running-*
echo $# >>together
touch "began-$target"
echo "first line of $target"
case $target in
  fail*) rm "running-$target"; exit 3 ;;
  pytest) echo '== 1 failed, 4 passed, 2 skipped in 0.50s =='; rm "running-$target"; exit 1 ;;
  counted) echo '== 7 passed in 0.50s ==' ;;
  await-*) while [ ! -e "began-${target#await-}" ]; do sleep 0.01; done ;;
  hang) sleep 60 & wait ;;
esac
echo "last line of $target"
rm "running-$target"
"""


@pytest.fixture
def make(tmp_path: Path) -> Path:
    path = tmp_path / "make"
    path.write_text(MAKE)
    path.chmod(0o755)
    return path


def start(make: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        env={**os.environ, "MAKE": str(make)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(make: Path, *arguments: str, status: int = 0) -> list[str]:
    process = start(make, *arguments)
    output, _errors = process.communicate()
    assert process.returncode == status, output
    return output.splitlines()


def began(make: Path) -> set[str]:
    return {path.name.removeprefix("began-") for path in make.parent.glob("began-*")}


def test_each_output_is_in_one_piece_and_the_last_line_counts(make: Path) -> None:
    lines = run(make, "--lanes", "2", "await-one", "one", "counted")
    for target in ("await-one", "one", "counted"):
        at = lines.index(f"== {target}")
        assert lines[at + 1] == f"first line of {target}"
        assert f"last line of {target}" in lines[at + 2 : at + 4]
    assert lines[-1] == "9 passed, 0 failed"
    assert re.fullmatch(r"counted   ok +7 passed +0 failed +[\d.]+ s", lines[-2])


def test_so_many_at_a_time_and_in_order(make: Path) -> None:
    run(make, "--lanes", "2", "await-b", "b", "await-d", "d", "e")
    together = (make.parent / "together").read_text().split()
    assert len(together) == 5
    assert max(together) == "2"
    for path in make.parent.glob("began-*"):
        path.unlink()
    lines = run(make, "--lanes", "1", "c", "a", "b")
    assert [line for line in lines if line.startswith("--")] == ["-- c begins", "-- a begins", "-- b begins"]


def test_nothing_is_started_after_a_failure_and_what_runs_goes_on(make: Path) -> None:
    lines = run(make, "--lanes", "1", "one", "fail", "two", status=1)
    assert began(make) == {"one", "fail"}
    assert "== fail failed, status 3 after" in "\n".join(lines)
    assert lines[-2] == "two  not started"
    assert lines[-1] == "1 passed, 1 failed"


def test_pytest_counts(make: Path) -> None:
    assert run(make, "pytest", status=1)[-1] == "4 passed, 1 failed, 2 skipped"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_and_shows_how_far_they_came(make: Path, number: signal.Signals) -> None:
    process = start(make, "--lanes", "2", "hang", "await-never", "one")
    said = ""
    while said.count(" begins") < 2 or len(list(make.parent.glob("began-*"))) < 2:
        said += process.stdout.readline() if process.stdout and said.count(" begins") < 2 else ""
    process.send_signal(number)
    output, _errors = process.communicate()
    assert process.returncode == 128 + number
    for target in ("hang", "await-never"):
        assert f"== {target} was stopped after" in output
    assert began(make) == {"hang", "await-never"}
    assert not re.search(rf"\b{make.parent}\b", processes())


def processes() -> str:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
