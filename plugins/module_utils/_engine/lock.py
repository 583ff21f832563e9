# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One transaction at a time on a host."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


class LockedError(Exception):
    """Another live process holds the lock; the message says which and since when."""


@contextmanager
def held(path: str, owner: str, patience: float = 60.0) -> Iterator[IO[str]]:
    """Hold a lock. The kernel frees it when its owner dies, however it dies.

    owner: text for whoever waits. patience: seconds to wait for another owner. Gives what paused() takes.
    """
    deadline = time.monotonic() + patience
    while True:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(path, "a+", encoding="utf-8", opener=_private) as handle:
            _wait(handle, path, deadline)
            # Its last owner may have removed it: what others lock now is another file.
            if not _is(handle, path):
                continue
            handle.seek(0)
            handle.truncate()
            handle.write(f"{owner}, process {os.getpid()}, since {time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n")
            handle.flush()
            try:
                yield handle
            finally:
                handle.seek(0)
                handle.truncate()
                handle.flush()
            return


def _private(path: str, flags: int) -> int:
    """Open a file for nobody else: whoever may read a lock can hold it, too."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


@contextmanager
def paused(handle: IO[str]) -> Iterator[None]:
    """Let others have the lock for a while."""
    fcntl.flock(handle, fcntl.LOCK_UN)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_EX)


def _wait(handle: IO[str], path: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                handle.seek(0)
                raise LockedError(f"{path} is held by {handle.read().strip() or 'an unknown process'}") from None
            time.sleep(0.05)


def _is(handle: IO[str], path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
