# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the kernel layer share: a private network namespace, and one round through a subsystem."""

from __future__ import annotations

import itertools
import os
import random
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    Output,
    State,
    Subsystem,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import HYPERVISOR, Scope

_NUMBERS = itertools.count()


class Netns:
    """A network namespace of one test. run() and sh() execute inside it."""

    def __init__(self) -> None:
        self.name = f"vpc-unit-{os.getpid()}-{next(_NUMBERS)}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.sh("ip link set lo up")

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def run(self, command: Command, cwd: Path | None = None) -> Output:
        """Run one command of a subsystem and give its output, whatever its exit status."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *command.argv],
            input=command.stdin or "",
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        return Output(done.returncode, done.stdout, done.stderr)

    def apply(self, commands: Sequence[Command]) -> None:
        """Run the commands in order; the first failure fails the test."""
        for command in commands:
            output = self.run(command)
            assert output.status in command.ok, (command.argv, (command.stdin or "")[:500], output)

    def sh(self, script: str, cwd: Path | None = None) -> str:
        """Run a POSIX shell script and give its standard output; a failure fails the test."""
        output = self.run(Command(("dash", "-euc", script)), cwd)
        assert output.status == 0, (script, output)
        return output.stdout

    def read(self, subsystem: Subsystem, context: Context) -> State:
        """The state that the subsystem finds in this namespace."""
        return subsystem.parse(context, [self.run(command) for command in subsystem.read(context)])

    def converge(self, subsystem: Subsystem, context: Context) -> Delta:
        """Put and drop what differs; gives the difference found before."""
        delta = Delta.between(self.read(subsystem, context), context.desired)
        self.apply(subsystem.put(context, delta))
        self.apply(subsystem.drop(context, delta))
        return delta

    def boot(self, subsystem: Subsystem, context: Context, folder: Path) -> Output:
        """Write the boot files to the folder and run the boot shell there, as the boot unit does."""
        for name, text in subsystem.boot(context).items():
            (folder / name).write_text(text)
        return self.run(Command(("dash", "-euc", subsystem.boot_shell)), folder)

    def lines(self, command: str) -> list[str]:
        """Standard output of one command, line by line."""
        output = self.run(Command(tuple(shlex.split(command))))
        assert output.status == 0, (command, output)
        return output.stdout.splitlines()


def context(
    desired: Mapping[str, str] | None = None, recorded: Mapping[str, str] | None = None, scope: Scope = HYPERVISOR
) -> Context:
    """A Context with the defaults that most tests want."""
    return Context(scope, dict(desired or {}), dict(recorded or {}))


def texts(*outputs: str) -> list[Output]:
    """Outputs of commands that succeeded."""
    return [Output(0, text) for text in outputs]


def mixed(rules: Sequence[str], chance: random.Random, make: Callable[[], str]) -> list[str]:
    """The rules with others, or none, in some places."""
    found = list(rules)
    for count in chance.choices(range(4), k=chance.randint(0, 4)):
        at = chance.randint(0, len(found))
        found[at : at + count] = [make() for each in range(chance.randint(0, 3))]
    return found
