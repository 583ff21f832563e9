# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's limit of inotify instances, in a user namespace that has one of its own."""

from __future__ import annotations

import dataclasses
import os
import re
import resource
import subprocess
import sys

import pytest
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import inotify
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.host import File, Host
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError

HOST = Host("h", "lab-h", "p-h", "02:00:00:00:00:01", ("192.0.2.1/24",), ("192.0.2.254",))
DOUBLE = dataclasses.replace(HOST, name="aws1-1", files=(File("etc/hostname", "aws1-1\n"),))
UNSHARE = ("unshare", "--user", "--map-root-user")


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


def limited(limit: int, expression: str) -> str:
    """What an expression is where so many instances can be had."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine allows no user namespaces")
    program = f"from {inotify.__name__.rpartition('.')[0]} import inotify; print({expression})"
    shell = f'echo {limit} >/proc/sys/user/max_inotify_instances && exec "$0" -c "$1"'
    done = subprocess.run(
        [*UNSHARE, "sh", "-euc", shell, sys.executable, program],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_needed() -> None:
    assert inotify.needed([HOST, HOST, DOUBLE]) == 20
    assert inotify.needed([]) == 0


def test_free() -> None:
    before = files()
    assert inotify.free(3) == 3
    assert files() == before


def test_free_is_what_the_kernel_gives() -> None:
    assert limited(5, "inotify.free(20)") == "5"
    assert limited(5, "inotify.free(4)") == "4"
    # Those of this process count.
    assert limited(5, "(inotify.ctypes.CDLL(None).inotify_init1(0), inotify.free(20))[1]") == "4"


def test_more_than_this_process_may_have_open() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = files() + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        assert inotify.free(40) == 40
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def said() -> str:
    """What is said where both are to start."""
    try:
        inotify.demand([HOST, DOUBLE])
    except LabError as error:
        return str(error)
    return ""


def test_too_few_are_said_at_once() -> None:
    own = f"__import__('{__name__}', fromlist=['said']).said()"
    assert limited(12, own) == ""
    assert re.fullmatch(
        r"fs\.inotify\.max_user_instances is \d+ on this machine, and 11 are free: too few for 2 lab hosts"
        r" \(h, aws1-1\), which need 12; raise it: sysctl -w fs\.inotify\.max_user_instances=\d+",
        limited(11, own),
    )
