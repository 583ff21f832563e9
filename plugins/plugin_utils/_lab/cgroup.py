# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups: every process of a lab host is in one that bears its name, so that none can be overlooked.

A host's group has two leaves, because a group with controllers may not have processes of its own: `keeper` for our
supervisor, `machine` for systemd-nspawn, which makes further groups below it. Works with a pure version 2 hierarchy
(systemd as first process or not) and with the hybrid one, where each process is in several hierarchies.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from .system import LabError

ROOT = Path("/sys/fs/cgroup")
OURS = "plainlinux-vpc-lab"


def hierarchies(root: Path = ROOT) -> list[Path]:
    """The hierarchies that systemd-nspawn looks at: one if pure version 2, else those of the hybrid layout."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return [root / name for name in ("systemd", "unified", "memory", "pids") if (root / name / "cgroup.procs").exists()]


def leaves(lab: str, host: str, leaf: str) -> list[Path]:
    """Make a leaf of a host's group in every hierarchy. Returns the files that take the pids to be moved there."""
    files = []
    for root in hierarchies():
        path = root / OURS / lab / host / leaf
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LabError(f"{path}: cannot make a control group: {error.strerror}") from error
        files.append(path / "cgroup.procs")
    if not files:
        raise LabError(f"{ROOT}: no control group hierarchy that systemd-nspawn could use is mounted")
    return files


def enter(lab: str, host: str, leaf: str) -> None:
    """Move the calling process to a leaf of a host's group."""
    for path in leaves(lab, host, leaf):
        path.write_text(str(os.getpid()), encoding="ascii")


def hosts(lab: str) -> set[str]:
    """Names of the hosts (and services) of a lab that have a group."""
    found = set()
    for root in hierarchies():
        if (root / OURS / lab).is_dir():
            found |= {path.name for path in (root / OURS / lab).iterdir() if path.is_dir()}
    return found


def processes(lab: str, host: str, leaf: str = "") -> set[int]:
    """Pids of all processes in a host's group, or in one leaf of it, and below."""
    found: set[int] = set()
    for group in _groups(lab, host, leaf):
        try:
            found |= {int(pid) for pid in (group / "cgroup.procs").read_text(encoding="ascii").split()}
        except OSError:
            continue
    return found


def destroy(lab: str, host: str, timeout: float = 120.0) -> set[int]:
    """Kill every process of a host and remove its group. Returns their pids. timeout in seconds."""
    deadline = time.monotonic() + timeout
    killed: set[int] = set()
    while True:
        groups = list(_groups(lab, host))
        pids = processes(lab, host)
        killed |= pids
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not pids:
            for group in groups:
                _remove(group)
            if not list(_groups(lab, host)):
                break
        if time.monotonic() > deadline:
            raise LabError(f"processes of lab host {host} do not end: {sorted(pids) or 'its control group is busy'}")
        time.sleep(0.01)
    for root in hierarchies():
        _remove(root / OURS / lab)
        _remove(root / OURS)
    return killed


def _groups(lab: str, host: str, leaf: str = "") -> Iterator[Path]:
    """Directories of a host's group, the innermost first."""
    for root in hierarchies():
        for path, _directories, _files in os.walk(root / OURS / lab / host / leaf, topdown=False):
            yield Path(path)


def _remove(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:
        pass
