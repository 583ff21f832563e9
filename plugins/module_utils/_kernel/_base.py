# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every subsystem of the kernel has in common.

A subsystem describes itself as a flat mapping of text to text: the key names one object, the value says all that we
decide about it. Current and desired state have the same form, so one comparison serves every subsystem, check mode,
diff, apply, undo and verify. A subsystem only knows how its tool spells those texts. It runs nothing and reads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import Scope

State = dict[str, str]

# Folder of what is forgotten at a boot.
RUNTIME = "/run/plainlinux-vpc"

# `ip -batch` keeps every line in memory: 100,000 lines peak at 400 MiB.
BATCH_LINES = 10_000

# Where each program names the line of its standard input that it refused.
_LINE = re.compile(r"(?:Command failed -:|/dev/stdin:|line:? |-:)(\d+)")


class KernelError(Exception):
    """A tool printed something that this collection cannot read; the message says which tool and which line."""


@dataclass(frozen=True)
class Command:
    """One process to run. stdin: text for standard input. ok: exit statuses that are no failure."""

    argv: tuple[str, ...]
    stdin: str | None = None
    ok: tuple[int, ...] = (0,)

    def __str__(self) -> str:
        """For whoever reads what was run: without the text of a script."""
        return " ".join("..." if "\n" in word else word for word in self.argv)


@dataclass(frozen=True)
class Output:
    """What a Command gave. status 127: the program is not installed."""

    status: int
    stdout: str
    stderr: str = ""


@dataclass(frozen=True)
class Context:
    """What a subsystem may know when it reads or writes.

    desired: the state that is wanted.
    recorded: the state that this scope applied last, for kernels and tools that cannot mark an object as ours.
    root: folder that stands for / where our files are.
    """

    scope: Scope
    desired: Mapping[str, str] = field(default_factory=dict)
    recorded: Mapping[str, str] = field(default_factory=dict)
    root: str = ""

    @property
    def runtime(self) -> str:
        return f"{self.root}{RUNTIME}"


@dataclass(frozen=True)
class Delta:
    """The difference between two states: keys whose values differ. A key missing on one side does not exist there."""

    before: State
    after: State

    @classmethod
    def between(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Delta:
        # Most are equal most of the time: that is seen in a tenth of the time of a comparison by key.
        if before == after:
            return cls({}, {})
        return cls(
            {key: value for key, value in before.items() if after.get(key) != value},
            {key: value for key, value in after.items() if before.get(key) != value},
        )

    def inverse(self) -> Delta:
        """The way back."""
        return Delta(self.after, self.before)

    def __bool__(self) -> bool:
        return bool(self.before or self.after)

    @property
    def added(self) -> list[str]:
        return sorted(self.after.keys() - self.before.keys())

    @property
    def changed(self) -> list[str]:
        return sorted(self.after.keys() & self.before.keys())

    @property
    def removed(self) -> list[str]:
        return sorted(self.before.keys() - self.after.keys())

    @property
    def put(self) -> list[str]:
        """Keys to write, in order: what is new and what changes."""
        return sorted(self.after)


class Subsystem:
    """One kind of kernel object. Subclasses override what differs; all methods are pure.

    name: the key of this subsystem in a slice of the plan.
    prunable: what is no longer desired is removed; where false it is left (kernel modules).
    """

    name = ""
    prunable = True

    def read(self, context: Context) -> list[Command]:
        """Commands whose outputs parse() takes, in this order."""
        raise NotImplementedError

    def parse(self, context: Context, outputs: Sequence[Output]) -> State:
        """The objects that this scope owns now. Foreign objects never appear."""
        raise NotImplementedError

    def lost(self, state: State, deltas: Mapping[str, Delta]) -> Collection[str]:
        """Keys of what goes by itself when subsystems before this one are written; it is written again.

        state: what is there. deltas: by name of the subsystem.
        """
        return ()

    def put(self, context: Context, delta: Delta) -> list[Command]:
        """Commands that create delta.added and rewrite delta.changed; safe to run after a part of them was run."""
        raise NotImplementedError

    def drop(self, context: Context, delta: Delta) -> list[Command]:
        """Commands that remove delta.removed."""
        raise NotImplementedError

    def finish(self, context: Context, changed: Collection[str]) -> list[Command]:
        """Commands that need the files of scopes; run after these are written, in a run that changes anything.

        changed: names of the subsystems that differed. What was put or dropped before this must not depend on it.
        """
        return []

    def boot(self, context: Context) -> dict[str, str]:
        """Files (name in the scope's folder -> text) from which boot_shell restores context.desired without Python."""
        raise NotImplementedError

    # POSIX shell that applies the files of boot(); runs in the scope's folder, under `set -eu`, any number of times.
    boot_shell = ""


def batches(lines: Iterable[str]) -> Iterator[str]:
    """Join lines to texts of at most BATCH_LINES lines, each ending in a newline."""
    chunk: list[str] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == BATCH_LINES:
            yield "\n".join(chunk) + "\n"
            chunk = []
    if chunk:
        yield "\n".join(chunk) + "\n"


def forced(lines: Iterable[str], *options: str) -> list[Command]:
    """Commands for `ip -batch` that go on after a line that fails: what it is about may be gone already.

    What is left wrong is seen when the state is read back. options: before the others, such as `-6`.
    """
    return [Command(("ip", *options, "-force", "-batch", "-"), text, ok=(0, 1)) for text in batches(lines)]


def failing_line(command: Command, output: Output) -> str:
    """The line of the command's standard input that the program refused, or "" where it names none."""
    match = _LINE.search(output.stderr) or _LINE.search(output.stdout)
    if command.stdin is None or match is None:
        return ""
    lines = command.stdin.splitlines()
    number = int(match.group(1))
    return lines[number - 1] if 0 < number <= len(lines) else ""
