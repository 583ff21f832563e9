# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the programs that check a set of files and the programs that take it up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.process import NOT_INSTALLED, PATH
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import Program

# Bytes of a program's output: it is kept in memory.
OUTPUT_MOST = 1 << 23
_LOOK = 0.2


@dataclass(frozen=True)
class Ran:
    """status: exit status, negative for a signal, None where we killed it. output: standard output and error.

    killed: why we did.
    """

    status: int | None
    output: str = ""
    killed: str = ""


def run(command: Sequence[str], timeout: float, folder: str) -> Ran:
    """Run a program and wait for its end. folder: where its output is kept meanwhile, in a file without a name."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": PATH}
    # Not a pipe: a daemon that the program leaves behind would keep it open.
    with tempfile.TemporaryFile(dir=folder) as handle:
        try:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            return Ran(NOT_INSTALLED, f"{command[0]}: {error.strerror}")
        try:
            killed = _wait(child, timeout, handle.fileno())
        except BaseException:
            _kill(child)
            raise
        handle.seek(0)
        output = handle.read(OUTPUT_MOST).decode("utf-8", "replace")
        return Ran(None if killed else child.returncode, output, killed)


def _wait(child: subprocess.Popen[bytes], timeout: float, output: int) -> str:
    """Wait for the end of the program; gives why it was killed, "" where it was not. output: file descriptor."""
    end = time.monotonic() + timeout
    while True:
        try:
            child.wait(min(_LOOK, max(end - time.monotonic(), 0)))
            return ""
        except subprocess.TimeoutExpired:
            if os.fstat(output).st_size > OUTPUT_MOST:
                reason = f"wrote more than {OUTPUT_MOST >> 20} MiB"
            elif time.monotonic() >= end:
                reason = f"not finished after {timeout:g} seconds"
            else:
                continue
            _kill(child)
            return f"{reason}, killed"


def _kill(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def missing(program: Program, ran: Ran) -> bool:
    """Whether the program is not installed; `env` and shells give the same status."""
    return ran.status == NOT_INSTALLED and NOT_INSTALLED not in program.ok


def problem(program: Program, ran: Ran) -> str:
    """What is wrong with the program's end, "" where nothing is. Not its output."""
    if ran.status is None:
        return ran.killed
    if missing(program, ran):
        return "is not installed"
    if ran.status not in program.ok:
        return f"killed by signal {-ran.status}" if ran.status < 0 else f"status {ran.status}"
    if program.refuse is not None and re.search(program.refuse, ran.output, re.MULTILINE):
        return f"status {ran.status}, but its output matches {program.refuse!r}"
    if program.expect is not None and not re.search(program.expect, ran.output, re.MULTILINE):
        return f"status {ran.status}, but its output does not match {program.expect!r}"
    return ""
