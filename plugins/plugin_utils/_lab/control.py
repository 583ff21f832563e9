# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a lab run talks to the supervisor of a host: one line of JSON there, one back, over a Unix socket."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from .system import LabError

Message = dict[str, Any]


def listen(path: Path) -> socket.socket:
    """The supervisor's end."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    server.bind(str(path))
    os.chmod(path, 0o600)
    server.listen(8)
    server.setblocking(False)
    return server


def receive(connection: socket.socket) -> Message:
    """Read one message."""
    with connection.makefile("r", encoding="utf-8") as stream:
        message: Message = json.loads(stream.readline())
    return message


def send(connection: socket.socket, message: Message) -> None:
    """Write one message."""
    connection.sendall(json.dumps(message).encode() + b"\n")


def request(path: Path, message: Message, timeout: float = 120.0) -> Message:
    """Ask a supervisor, which may be starting. LabError if it does not answer within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(max(0.1, deadline - time.monotonic()))
                connection.connect(str(path))
                send(connection, message)
                return receive(connection)
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline:
                raise LabError(f"{path}: the supervisor of the lab host does not answer: {error}") from error
            time.sleep(0.02)
