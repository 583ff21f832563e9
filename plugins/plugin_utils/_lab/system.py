# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: run one, start one that outlives us, tell whether one still lives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Nothing of the caller's environment reaches a program of the lab but this.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class LabError(Exception):
    """The lab cannot be built or removed; the message is for the user."""


def run(argv: Sequence[str], stdin: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return its standard output. LabError if it fails."""
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env={**ENVIRONMENT, **(environment or {})},
            check=False,
        )
    except OSError as error:
        raise LabError(f"{argv[0]}: {error.strerror or error}") from error
    if done.returncode:
        message = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"{' '.join(argv)}: exit status {done.returncode}: {message}")
    return done.stdout


def start(module: str, arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program of this package (`_lab.<module>`) in a session of its own; its output goes to `log`."""
    environment = {**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    with open(log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", f"{__package__.rpartition('.')[2]}.{module}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd="/",
            start_new_session=True,
        )


def log(text: str) -> None:
    """Write a line to the log of a program that `start` started."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} lab: {text}\n")
    sys.stdout.flush()


def start_time(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot; None if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file atomically."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
    os.replace(new, path)


def remember(path: Path, pid: int) -> None:
    """Write the identity of a process: "<pid> <start time>", which no later process with the same pid has."""
    write(path, f"{pid} {start_time(pid) or '-'}\n")


def recall(path: Path) -> int | None:
    """The pid that `remember` wrote, if that very process still lives."""
    try:
        pid, started = path.read_text(encoding="utf-8").split()
        return int(pid) if start_time(int(pid)) == started else None
    except (OSError, ValueError):
        return None
