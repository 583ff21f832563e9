# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of its own for a benchmark: private network, /etc and /run, so that nothing of this machine is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Namespaces of whoever started the sandbox: what runs inside must not be in them.
_OUTSIDE = "VPC_BENCHMARK_OUTSIDE"
_KINDS = ("net", "mnt")
# An empty folder, which becomes a mount point inside.
_FOLDER = "VPC_BENCHMARK_FOLDER"

# These mounts are seen from inside only. /run is without systemd's folder: no unit is touched.
_PREPARE = """
mount -t tmpfs tmpfs "$1"
mkdir "$1/etc" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
rm -rf /etc/plainlinux-vpc
mount -t tmpfs tmpfs /run
mount -t sysfs sysfs /sys
ip link set lo up
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
ip link add eth0 type veth peer name wire
ip link set wire up
ip link set eth0 up
"""


def _namespaces() -> list[str]:
    return [os.readlink(f"/proc/self/ns/{kind}") for kind in _KINDS]


def call(program: Path, *arguments: str) -> Any:
    """Run a Python program in a fresh sandbox; gives the JSON that it prints. Its messages go to standard error."""
    argv = ("unshare", "--mount", "--net", "--propagation", "private", sys.executable, str(program), *arguments)
    with tempfile.TemporaryDirectory(prefix="plainlinux-vpc-benchmark-") as folder:
        environment = {**os.environ, _OUTSIDE: json.dumps(_namespaces()), _FOLDER: folder}
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{program.name} {' '.join(arguments)}: status {done.returncode}")
    return json.loads(done.stdout)


def enter() -> Path:
    """Make this process's namespaces a host with an interface eth0; gives a folder for what it writes."""
    outside = json.loads(os.environ.get(_OUTSIDE, "[]"))
    if len(outside) != len(_KINDS) or any(here == there for here, there in zip(_namespaces(), outside)):
        raise SystemExit("not in a sandbox: nothing was done")
    folder = os.environ[_FOLDER]
    subprocess.run(("sh", "-euc", _PREPARE, "sh", folder), check=True)
    return Path(folder) / "root"


def address(*addresses: str) -> None:
    """Give eth0 these addresses instead of those that it has."""
    lines = ["addr flush dev eth0", *(f"addr add {text} dev eth0" for text in addresses)]
    subprocess.run(("ip", "-batch", "-"), input="\n".join(lines) + "\n", text=True, check=True)
