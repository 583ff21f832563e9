# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run targets of the Makefile side by side and count what passed: run_steps.py [--lanes N] TARGET...

They are started in the order given, so many at a time: write those that take long first, but after those whose failure
makes the rest not worth its time. The output of each is shown in one piece when it ends. A failure stops nothing that
was started, and nothing is started after it. The last line counts every target as one, except where its output ends in
pytest's own count.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

# pytest's closing line, as in "== 2 failed, 5 passed, 1 skipped in 0.12s ==".
CLOSING = re.compile(r"^=+ (?:\d+ \w+, )*\d+ \w+ in [\d.]+s.* =+$", re.MULTILINE)
# Half of what a target does is waiting. Three labs at a time can be more than a kernel bears by default, which is 128.
LANES = (2, 3)
INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH = 256
_PATIENCE = 0.5


@dataclass(frozen=True)
class Result:
    """How a target ended. seconds: wall time."""

    target: str
    passed: int
    failed: int
    skipped: int
    seconds: float


@dataclass
class Run:
    """A target that was started, and what it has printed."""

    target: str
    process: subprocess.Popen[str]
    start: float
    lines: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start


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


class Steps:
    """All targets of one call."""

    def __init__(self, targets: list[str], lanes: int) -> None:
        self._targets = targets
        self._lanes = lanes
        self._running: list[Run] = []
        # One at a time starts, prints, or ends all.
        self._lock = threading.RLock()
        self._failed = False

    def all(self) -> list[Result]:
        """The results of those that were started."""
        with ThreadPoolExecutor(self._lanes) as pool:
            futures = [pool.submit(self._one, target) for target in self._targets]
            # Not for ever: a signal that comes just before a wait begins is looked at when it ends.
            while wait(futures, _PATIENCE).not_done:
                pass
            return [result for future in futures if (result := future.result())]

    def _one(self, target: str) -> Result | None:
        with self._lock:
            if self._failed:
                return None
            print(f"-- {target} begins", flush=True)
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
            run = Run(target, process, time.monotonic())
            self._running.append(run)
        for line in process.stdout or ():
            run.lines.append(line)
        status = process.wait()
        result = Result(target, *count("".join(run.lines), status), run.seconds)
        with self._lock:
            self._failed |= status != 0
            self._show(run, f"failed, status {status}" if status else "passed")
            self._running.remove(run)
        return result

    @staticmethod
    def _show(run: Run, how: str) -> None:
        if run.lines:
            print(f"== {run.target}\n{''.join(run.lines)}", end="")
        print(f"== {run.target} {how} after {run.seconds:.1f} s", flush=True)

    def stop(self, number: int, _frame: object) -> NoReturn:
        """End what runs, and show how far it had come: who ends all may do it because one of them hangs."""
        with self._lock:
            for run in self._running:
                if run.process.poll() is None:
                    os.killpg(run.process.pid, signal.SIGTERM)
            for run in self._running:
                run.process.wait()
                self._show(run, "was stopped")
            # Not sys.exit: it would wait for the threads.
            os._exit(128 + number)


def lanes() -> int:
    """How many targets are run at a time on this machine."""
    least, most = LANES
    many = INSTANCES.exists() and int(INSTANCES.read_text(encoding="ascii")) >= ENOUGH
    return min(max(len(os.sched_getaffinity(0)), least), most if many else least)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lanes", type=int, help="how many at a time; by default one for each core, but two or three")
    parser.add_argument("targets", nargs="+", metavar="TARGET")
    given = parser.parse_args()
    # Inside `make -jN`, the targets have no part in its job server.
    os.environ.pop("MAKEFLAGS", None)
    # Their output is read here, and with colours some draw frames that break lines at 80 characters.
    os.environ["NO_COLOR"] = "1"
    steps = Steps(given.targets, given.lanes or lanes())
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, steps.stop)
    results = steps.all()
    width = max(len(target) for target in given.targets)
    print()
    for result in results:
        start = f"{result.target:{width}} {'FAILED' if result.failed else 'ok':6}"
        print(f"{start} {result.passed:5} passed {result.failed:3} failed {result.seconds:7.1f} s")
    for target in given.targets:
        if target not in {result.target for result in results}:
            print(f"{target:{width}} not started")
    skipped = sum(result.skipped for result in results)
    failed = sum(result.failed for result in results)
    more = f", {skipped} skipped" if skipped else ""
    print(f"{sum(result.passed for result in results)} passed, {failed} failed{more}", flush=True)
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
