# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of scenarios: what they say, and commands in a lab. On PYTHONPATH by the scenario's tasks/program.yml."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.paths import Paths
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import ENVIRONMENT, recall


def say(text: str) -> None:
    """A line for people."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fail(text: str) -> NoReturn:
    """End the program: what was to be proved is not true."""
    say(f"FAILED: {text}")
    sys.exit(1)


def wait(what: str, seconds: float, is_so: Callable[[], bool]) -> None:
    """Wait until something is so; fail where it takes too long."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            fail(f"in {seconds:.0f} s it did not happen: {what}")
        time.sleep(0.05)


class Lab:
    """A lab that is there."""

    def __init__(self, name: str) -> None:
        self.lab = name

    def inside(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine in a namespace, given without the lab's name."""
        return subprocess.run(
            ["ip", "netns", "exec", f"{self.lab}-{name}", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )

    def on(self, host: str, *command: str) -> str:
        """What a command prints on a host, as root there."""
        pid = recall(Paths(self.lab).pid(host))
        if pid is None:
            fail(f"{host} does not run")
        environment = [f"{key}={value}" for key, value in ENVIRONMENT.items()]
        entered = ["nsenter", "--target", str(pid), "--all", "--", "/usr/bin/env", "-i", *environment]
        done = subprocess.run([*entered, *command], capture_output=True, text=True, check=False, errors="replace")
        if done.returncode:
            fail(f"{' '.join(command)} on {host}: {done.stdout}{done.stderr}")
        return done.stdout
