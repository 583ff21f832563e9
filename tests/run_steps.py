# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run targets of the Makefile and count what passed: run_steps.py TARGET... [then TARGET...]...

The targets of a group run side by side, and the output of each is shown in one piece when it ends; a group of one is
shown as it goes. A failure stops nothing that was started, but no later group. The last line counts every target as
one, except where its output ends in pytest's own count.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NoReturn

# pytest's closing line, as in "== 2 failed, 5 passed, 1 skipped in 0.12s ==".
CLOSING = re.compile(r"^=+ (?:\d+ \w+, )*\d+ \w+ in [\d.]+s.* =+$", re.MULTILINE)

_running: list[subprocess.Popen[str]] = []
_show = threading.Lock()


@dataclass(frozen=True)
class Result:
    """How a target ended. seconds: wall time."""

    target: str
    passed: int
    failed: int
    skipped: int
    seconds: float


def count(output: str, status: int) -> tuple[int, int, int]:
    """Passed, failed and skipped, such that a status that is no success always has a failure."""
    lines = CLOSING.findall(output)
    if not lines:
        return (1, 0, 0) if status == 0 else (0, 1, 0)
    found = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", lines[-1])}
    failed = sum(found.get(word, 0) for word in ("failed", "error", "errors"))
    if status != 0:
        failed = max(failed, 1)
    return found.get("passed", 0), failed, found.get("skipped", 0)


def run(target: str, live: bool) -> Result:
    start = time.monotonic()
    # A session of its own: one signal then reaches all that the target started.
    process = subprocess.Popen(
        [os.environ.get("MAKE", "make"), "--no-print-directory", target],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _running.append(process)
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if live:
            print(line, end="", flush=True)
    status = process.wait()
    output = "".join(lines)
    result = Result(target, *count(output, status), time.monotonic() - start)
    with _show:
        if not live:
            print(f"== {target}\n{output}", end="", flush=True)
        if status != 0:
            print(f"== {target} failed, status {status}", flush=True)
    return result


def stop(number: int, _frame: object) -> NoReturn:
    for process in _running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    for process in _running:
        process.wait()
    # Not sys.exit: it would wait for the threads.
    os._exit(128 + number)


def groups(arguments: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for argument in arguments:
        if argument == "then":
            found.append([])
        else:
            found[-1].append(argument)
    return [group for group in found if group]


def main() -> int:
    # Inside `make -jN`, the targets have no part in its job server.
    os.environ.pop("MAKEFLAGS", None)
    # Their output is read here, and with colours some draw frames that break lines at 80 characters.
    os.environ["NO_COLOR"] = "1"
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    results: list[Result] = []
    for group in groups(sys.argv[1:]):
        if len(group) == 1:
            print(f"== {group[0]}", flush=True)
            results.append(run(group[0], live=True))
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                results += pool.map(lambda target: run(target, live=False), group)
        if any(result.failed for result in results):
            break
    print()
    for result in results:
        word = "FAILED" if result.failed else "ok"
        print(f"{result.target:18} {word:6} {result.passed:5} passed {result.failed:3} failed {result.seconds:7.1f} s")
    skipped = sum(result.skipped for result in results)
    failed = sum(result.failed for result in results)
    more = f", {skipped} skipped" if skipped else ""
    print(f"{sum(result.passed for result in results)} passed, {failed} failed{more}", flush=True)
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
