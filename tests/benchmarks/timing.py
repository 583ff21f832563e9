# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs against the clock."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# Ansible's own interpreter, without the ansible-playbook that PATH may name.
ANSIBLE_PLAYBOOK = (sys.executable, "-m", "ansible", "playbook")


class Cost(NamedTuple):
    """seconds: wall clock. mebibytes: peak of the largest process. text: standard output. kernel: seconds of it."""

    seconds: float
    mebibytes: float
    text: str = ""
    kernel: float = 0.0


def run(argv: Sequence[str], stdin: str = "", environment: Mapping[str, str] | None = None) -> Cost:
    """Run a program to its end; one that fails ends the benchmark with what it said."""
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as said:
        given.write(stdin)
        given.seek(0)
        start = time.perf_counter()
        child = subprocess.Popen(argv, stdin=given, stdout=said, stderr=said, env={**os.environ, **(environment or {})})
        # Unlike RUSAGE_CHILDREN this knows of one child, and of the children that it waited for.
        _pid, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(argv)}: status {child.returncode}\n{text[-4000:]}")
    return Cost(seconds, usage.ru_maxrss / 1024, text, usage.ru_stime)


def playbook(path: Path, inventory: Path, home: Path, *arguments: str) -> Cost:
    """Run ansible-playbook as `make` does. home: folder for what Ansible itself writes."""
    environment = {
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".build"),
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_REMOTE_TEMP": str(home / "tmp"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    return run((*ANSIBLE_PLAYBOOK, str(path), "-i", str(inventory), *arguments), environment=environment)


def middle(values: Iterable[float]) -> float:
    return statistics.median(values)


def median(costs: Iterable[Cost]) -> Cost:
    listed = list(costs)
    return Cost(middle(cost.seconds for cost in listed), middle(cost.mebibytes for cost in listed))
