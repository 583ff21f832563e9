# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces, named as `ip netns` names them. Nothing is done in the namespace of this machine itself."""

from __future__ import annotations

import ctypes
import json
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from .paths import NETNS, RUN, Paths, remove_if_empty
from .system import LabError, run

_CLONE_NEWNET = 0x40000000
_RTMGRP_LINK = 1
_MADE_DIRECTORY = RUN / ".netns"

Result = TypeVar("Result")


def exists(name: str) -> bool:
    """Whether a name stands for a network namespace (and not for a file that a killed `ip` left)."""
    return os.path.ismount(NETNS / name)


def refuse_foreign(paths: Paths, names: Iterable[str]) -> None:
    """Raise LabError if one of the names is taken by what this lab has not made."""
    foreign = [name for name in names if exists(name) and not (paths.netns / name).exists()]
    if foreign:
        raise LabError(
            f"network namespace {', '.join(foreign)} exists and was not made by this lab; "
            "remove it, choose another lab_name, or remove an old lab of that name with lab_state=absent"
        )


def add(paths: Paths, name: str) -> bool:
    """Make a namespace of this lab unless it is there. Returns whether it was made."""
    refuse_foreign(paths, [name])
    if exists(name):
        return False
    if not _is_mount(NETNS):
        # `ip` makes this directory a mount of its own; whoever made it removes it
        _MADE_DIRECTORY.touch()
    (paths.netns / name).touch()
    _unname(name)
    run(["ip", "netns", "add", name])
    run(["ip", "-n", name, "link", "set", "lo", "up"])
    return True


def attach(paths: Paths, name: str, pid: int) -> None:
    """Give the network namespace of a process its name back."""
    (paths.netns / name).touch()
    _unname(name)
    run(["ip", "netns", "attach", name, str(pid)])


def delete(paths: Paths, name: str) -> bool:
    """Remove a namespace. Returns whether there was one."""
    there = (NETNS / name).exists()
    _unname(name)
    (paths.netns / name).unlink(missing_ok=True)
    return there


def _unname(name: str) -> None:
    if exists(name):
        run(["ip", "netns", "delete", name])
    (NETNS / name).unlink(missing_ok=True)


def clear_directory() -> None:
    """Undo what the first `ip netns add` on this machine did to /run/netns, if that was ours and no lab is left."""
    if not _MADE_DIRECTORY.exists() or any(path.is_dir() for path in RUN.iterdir()):
        return
    if not any(NETNS.glob("*")):
        while _is_mount(NETNS):
            run(["umount", str(NETNS)])
        remove_if_empty(NETNS)
    _MADE_DIRECTORY.unlink()


def _is_mount(path: Path) -> bool:
    """Like os.path.ismount, which does not see that a directory is mounted on itself."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return any(line.split()[4] == str(path) for line in mounts)


def batch(name: str, lines: Iterable[str], *options: str) -> None:
    """Run lines of `ip` in a namespace, in one process."""
    text = "".join(f"{line}\n" for line in lines)
    if text:
        run(["ip", *options, "-n", name, "-batch", "-"], stdin=text)


def links(name: str) -> dict[str, dict[str, Any]]:
    """Interfaces of a namespace by name, as `ip -json link` describes them; none if the namespace is gone."""
    if not exists(name):
        return {}
    found: list[dict[str, Any]] = json.loads(run(["ip", "-n", name, "-json", "link", "show"]) or "[]")
    return {link["ifname"]: link for link in found if link}


def unlink(name: str, interfaces: Iterable[str]) -> None:
    """Remove interfaces of a namespace if they are there.

    A deleted namespace ends asynchronously, and with it the other ends of its cables: one that is there now may be gone
    in the next moment, or stay for a while.
    """
    for interface in set(interfaces) & set(links(name)):
        try:
            run(["ip", "-n", name, "link", "delete", "dev", interface])
        except LabError:
            if interface in links(name):
                raise


def inside(name: str, action: Callable[[], Result]) -> Result:
    """Call a function with the calling thread in another network namespace. Only for what makes sockets."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(there, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {name}")
        finally:
            os.close(there)
        try:
            return action()
        finally:
            if libc.setns(here, _CLONE_NEWNET):
                # never go on in the wrong namespace
                os.abort()
    finally:
        os.close(here)


def link_monitor(name: str) -> socket.socket:
    """A non-blocking rtnetlink socket that becomes readable when an interface of a namespace changes."""

    def make() -> socket.socket:
        monitor = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        monitor.bind((0, _RTMGRP_LINK))
        monitor.setblocking(False)
        return monitor

    return inside(name, make)
