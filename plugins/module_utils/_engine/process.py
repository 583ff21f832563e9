# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the tools of the kernel."""

from __future__ import annotations

import os
import subprocess

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output, failing_line

NOT_INSTALLED = 127
# Tools in sbin are not on every account's path.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandError(Exception):
    """A program ended with a status that is a failure; the message names program, status, message and input line."""

    def __init__(self, command: Command, output: Output) -> None:
        text = output.stderr.strip() or output.stdout.strip() or "no message"
        message = f"{command}: status {output.status}: {text[:2000]}"
        line = failing_line(command, output)
        if line:
            message += f"; refused line: {line[:500]}"
        if output.status == NOT_INSTALLED:
            message = f"{command.argv[0]} is not installed"
        super().__init__(message)
        self.command = command
        self.output = output


def run(command: Command) -> Output:
    """Run a command and wait for its end, whatever its status."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": PATH}
    try:
        done = subprocess.run(
            list(command.argv), input=command.stdin or "", capture_output=True, text=True, env=environment, check=False
        )
    except FileNotFoundError:
        return Output(NOT_INSTALLED, "", f"{command.argv[0]}: not found")
    return Output(done.returncode, done.stdout, done.stderr)
