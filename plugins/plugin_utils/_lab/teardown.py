# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove a lab, or one host of it, whatever state it is in: nothing here relies on a plan or on a complete record."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from . import cgroup, internet, machine, netns
from .host import host_from_json, port_name
from .paths import NETNS, RUN, VAR, Paths, remove_if_empty
from .system import run

# In seconds; not every first process collects orphans at once.
ZOMBIE_TIMEOUT = 2.0


def wait(condition: Callable[[], bool], timeout: float, unless: Callable[[], bool] = lambda: False) -> bool:
    """Wait up to `timeout` seconds for a condition, but no longer than until `unless` has been true for a second."""
    deadline = time.monotonic() + timeout
    hopeless: float | None = None
    while not condition():
        now = time.monotonic()
        hopeless = (hopeless or now) if unless() else None
        if now > deadline or (hopeless is not None and now - hopeless > 1.0):
            return condition()
        time.sleep(0.02)
    return True


def hosts(paths: Paths) -> set[str]:
    """Names of all hosts of a lab of which anything is left."""
    found = cgroup.hosts(paths.lab) - {internet.SERVICE}
    if paths.hosts.is_dir():
        found |= {path.name[: -len(".json")] for path in paths.hosts.glob("*.json")}
    if paths.var.is_dir():
        found |= {path.name for path in paths.var.iterdir()}
    return found


def guests(paths: Paths) -> set[str]:
    """Guests of a lab of which a network namespace is left, as vm-NAME."""
    prefix = f"{paths.lab}-"
    return {name[len(prefix) :] for name in namespaces(paths) if name.startswith(f"{prefix}vm-")}


def namespaces(paths: Paths) -> set[str]:
    """Names of the network namespaces of a lab: those that it recorded, and those that bear a name of its own."""
    found = set(os.listdir(paths.netns)) if paths.netns.is_dir() else set()
    own = {f"{paths.lab}-underlay", f"{paths.lab}-internet"} | {f"{paths.lab}-{host}" for host in hosts(paths)}
    others = {path.name for path in RUN.glob("*/netns/*") if path.parent.parent.name != paths.lab}
    there = os.listdir(NETNS) if NETNS.is_dir() else []
    found |= {name for name in there if name in own or name.startswith(f"{paths.lab}-vm-")} - others
    return found


def ports(paths: Paths, host: str) -> list[str]:
    """The underlay switch's ports for a host, as far as its specification is there and can be read."""
    try:
        known = json.loads(paths.spec(host).read_text(encoding="utf-8"))["host"]
        return [cable.port for cable in host_from_json(known).cables]
    except (OSError, ValueError, KeyError, TypeError):
        return [port_name(host)]


def remove_disk(paths: Paths, host: str) -> bool:
    """Remove the disk of a host that does not run. Returns whether there was one."""
    machine.unmount(paths, host)
    disk = paths.disk(host)
    if not disk.exists():
        return False
    run(["rm", "-rf", "--one-file-system", "--", str(disk)])
    return True


def remove_host(paths: Paths, host: str) -> set[int]:
    """Remove a host for good. Returns the pids of what was killed."""
    killed = machine.stop(paths, host)
    remove_disk(paths, host)
    for path in (paths.spec(host), paths.log(host)):
        path.unlink(missing_ok=True)
    return killed


def absent(lab: str, check: bool = False) -> list[str]:
    """Remove a lab. Returns the names of the hosts, namespaces and directories that were there."""
    paths = Paths(lab)
    names = hosts(paths)
    spaces = namespaces(paths)
    found = sorted(names | spaces | {str(path) for path in (paths.run, paths.var) if path.exists()})
    if cgroup.hosts(lab) - names:
        found.append(internet.SERVICE)
    if check or not found:
        return found
    with paths.locked():
        with ThreadPoolExecutor(max_workers=32) as pool:
            killed: set[int] = set().union(*pool.map(lambda host: remove_host(paths, host), hosts(paths)))
        killed |= cgroup.destroy(lab, internet.SERVICE)
        for name in sorted(namespaces(paths)):
            netns.delete(paths, name)
        if paths.run.exists():
            run(["rm", "-rf", "--one-file-system", "--", str(paths.run)])
        nspawn = [machine.NSPAWN_STATE / name for name in ("propagate", "unix-export", "locks", "")]
        for directory in (paths.var, VAR, *nspawn, machine.NSPAWN_STATE.parent):
            remove_if_empty(directory)
        netns.clear_directory()
    # they are dead; the first process of this machine has yet to notice
    wait(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in killed), ZOMBIE_TIMEOUT)
    return found
