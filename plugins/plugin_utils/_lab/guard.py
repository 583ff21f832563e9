# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hypervisor's hooks do where role `antispoof` is installed: tell its helper which port is which guest.

Without the helper's file nothing of this happens. Whatever the helper says, the guest is plugged in.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterable, Sequence

from . import machine
from .paths import Paths
from .system import ENVIRONMENT, log
from .topology import Vif

HELPER = "/etc/plainlinux-vpc/antispoof/vif"
# In seconds: to begin with, and for each interface. The helper waits while a role changes the rules.
PATIENCE = (30.0, 0.5)


def announce(vifs: Iterable[Vif]) -> list[str]:
    """Lines of shell, one for each interface that is a port of its bridge and not yet up."""
    return [_line("add", vif.vif, vif.mac) for vif in vifs]


def withdraw(names: Iterable[str]) -> list[str]:
    """Lines of shell, one for each interface that is gone."""
    return [_line("del", name) for name in names]


def _line(*words: str) -> str:
    complain = f'echo "{words[0]} {shlex.quote(words[1])}: status $?" >&2'
    return f"{HELPER} {shlex.join(words)} </dev/null || {complain}"


class Guard:
    """The helper of one lab host."""

    def __init__(self, paths: Paths, host: str) -> None:
        self._paths = paths
        self._host = host

    def is_there(self) -> bool:
        """Whether the role is installed."""
        return (self._paths.disk(self._host) / "root" / HELPER[1:]).exists()

    def call(self, lines: Sequence[str]) -> None:
        """Run lines of shell in the host, in one process for all. What they complain about goes to the log."""
        if not lines:
            return
        pid = machine.first_process(self._paths, self._host)
        if pid is None:
            log(f"guard: the host is not up: {'; '.join(lines)}")
            return
        process = subprocess.Popen(
            ["nsenter", "-t", str(pid), "-a", "--", "/bin/sh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
        try:
            complaints = process.communicate("\n".join(lines), PATIENCE[0] + PATIENCE[1] * len(lines))[1]
        except subprocess.TimeoutExpired:
            # the shell is a child of nsenter, which is in the host's process namespace and ours
            os.killpg(process.pid, signal.SIGKILL)
            complaints = f"no answer to: {'; '.join(lines)}\n{process.communicate()[1]}"
        for line in complaints.splitlines():
            log(f"guard: {line}")
