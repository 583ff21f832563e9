# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this machine's kernel lets so many more hosts boot.

Each daemon of systemd takes inotify instances, which a kernel counts for each user. Without one, units hang or fail
with messages that name no limit.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Sequence
from pathlib import Path

from .host import Host
from .system import LabError

LIMIT = "fs.inotify.max_user_instances"
# What a host that has booted was seen to hold, and one that is the other end of a VPN connection.
_HOST, _DOUBLE = 8, 4
_ENOUGH = 1024
# Other open files of this process.
_FILES = 256


def needed(hosts: Sequence[Host]) -> int:
    """How many instances these hosts take."""
    return sum(_DOUBLE if host.files else _HOST for host in hosts)


def free(most: int) -> int:
    """How many instances could be had now, but not more than `most`.

    They are made, and closed at once: processes that this one cannot see may count, too.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _FILES
    if before[0] != resource.RLIM_INFINITY and before[0] < wanted:
        hard = before[1] if before[1] == resource.RLIM_INFINITY else max(before[1], wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    made: list[int] = []
    try:
        while len(made) < most:
            instance = libc.inotify_init1(os.O_CLOEXEC)
            if instance < 0:
                # A kernel without inotify has no limit either.
                return len(made) if ctypes.get_errno() == errno.EMFILE else most
            made.append(instance)
    finally:
        for instance in made:
            os.close(instance)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    return most


def demand(hosts: Sequence[Host]) -> None:
    """Raise LabError if the hosts, which are about to start, cannot all have what they need."""
    need = needed(hosts)
    there = free(need)
    if there < need:
        limit = int(Path("/proc/sys", *LIMIT.split(".")).read_text(encoding="ascii"))
        more = max(_ENOUGH, 2 * (limit + need - there))
        raise LabError(
            f"{LIMIT} is {limit} on this machine, and {there} are free: too few for {len(hosts)} lab hosts"
            f" ({', '.join(host.name for host in hosts)}), which need {need}; raise it: sysctl -w {LIMIT}={more}"
        )
