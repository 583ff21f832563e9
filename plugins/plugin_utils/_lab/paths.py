# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a lab keeps its things. Everything of a lab is below two directories and one control group of its own."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RUN = Path("/run/plainlinux-vpc-lab")
VAR = Path("/var/lib/plainlinux-vpc-lab")
NETNS = Path("/run/netns")


@dataclass(frozen=True)
class Paths:
    """Files of one lab."""

    lab: str

    @property
    def run(self) -> Path:
        """State of the running lab."""
        return RUN / self.lab

    @property
    def var(self) -> Path:
        """Disks of the hosts."""
        return VAR / self.lab

    @property
    def hosts(self) -> Path:
        """Directory of the hosts' state files."""
        return self.run / "hosts"

    @property
    def netns(self) -> Path:
        """Directory with an empty file for each network namespace that this lab made or was about to make."""
        return self.run / "netns"

    def spec(self, host: str) -> Path:
        """What the supervisor of a host is told to run."""
        return self.hosts / f"{host}.json"

    def pid(self, host: str) -> Path:
        """Identity of the host's first process; exists while the host is up. Read by the connection plugin."""
        return self.hosts / f"{host}.pid"

    def supervisor(self, host: str) -> Path:
        """Identity of the host's supervisor."""
        return self.hosts / f"{host}.supervisor"

    def lock(self, host: str) -> Path:
        """Name of the lock file that systemd-nspawn keeps for the host."""
        return self.hosts / f"{host}.lock"

    def log(self, host: str) -> Path:
        """What supervisor and console of a host say."""
        return self.hosts / f"{host}.log"

    def control(self, host: str) -> Path:
        """The supervisor's socket. A digest, because the path of a socket has at most 107 bytes."""
        return self.run / f"{hashlib.sha256(host.encode()).hexdigest()[:12]}.socket"

    def disk(self, host: str) -> Path:
        """Directory of a host's overlay: upper, work, root (the mount) and layers (what it lies upon)."""
        return self.var / host

    def make(self) -> None:
        """Create the directories of the running lab."""
        for directory in (RUN, self.run, self.hosts, self.netns):
            directory.mkdir(mode=0o700 if directory == self.run else 0o755, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one program at a time builds or removes this lab."""
        RUN.mkdir(mode=0o755, exist_ok=True)
        path = RUN / f"{self.lab}.lock"
        while True:
            with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "w", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                # whoever held it before may have removed the file
                if not path.exists() or os.stat(path).st_ino != os.fstat(lock.fileno()).st_ino:
                    RUN.mkdir(mode=0o755, exist_ok=True)
                    continue
                try:
                    yield
                finally:
                    if not self.run.exists():
                        path.unlink(missing_ok=True)
                        remove_if_empty(RUN)
                return


def remove_if_empty(directory: Path) -> None:
    """Remove a directory unless something is in it, or it is gone already."""
    try:
        directory.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT, errno.EBUSY):
            raise
