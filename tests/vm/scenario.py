# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios share: a folder, playbooks, machines, and the table of what was found."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import checks
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import teardown
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError
from machine import Machine

TOP = Path(__file__).resolve().parent.parent.parent

# program, Debian package
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs", "ssh": "openssh-client"}
BOOT_TIMEOUT = 300.0


def install() -> None:
    """Install by name what is missing of the programs."""
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    subprocess.run([*apt, "update"], env=environment, capture_output=True, check=False)
    command = [*apt, "--no-install-recommends", "install", *missing]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"cannot install {' '.join(missing)}:\n{done.stdout}{done.stderr}")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Scenario(ABC):
    """One run, from an inventory to a table. lab: prefix of all names."""

    lab = "vmtest"

    def __init__(self, arguments: Namespace) -> None:
        self.inventory: str = arguments.inventory
        self.extra: list[str] = arguments.extra_vars
        words = [word for text in self.extra for word in shlex.split(text)]
        self.variables = dict(word.split("=", 1) for word in words if "=" in word)
        self.lab = self.variables.get("lab_name", self.lab)
        self.suite = self.variables.get("lab_suite", "bookworm")
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "plainlinux-vpc/lab")
        self.cache = Path(self.variables.get("lab_cache_dir", cache)).expanduser()
        self.folder = Path("/var/tmp", f"plainlinux-vpc-vm-{self.lab}")
        self.plan_dir = str(self.folder / "plan")
        self.machines: Sequence[Machine] = []
        self.results = checks.Results()

    @abstractmethod
    def run(self) -> None:
        """Raises LabError where the test cannot be made; what it finds goes to the results."""

    def clean(self) -> None:
        """Leave nothing: machines, taps (they go with the switch), lab, disks."""
        for machine in self.machines:
            machine.stop()
        found = teardown.absent(self.lab)
        if self.folder.exists() or self.folder.is_symlink():
            subprocess.run(["rm", "-rf", "--one-file-system", "--", str(self.folder)], check=True)
        if found and not self.machines:
            say(f"removed what an earlier run had left: {', '.join(found)}")

    def play(self, playbook: str, *variables: str, limit: str = "") -> str:
        """Run a playbook, on hosts of that name if there is one; gives what it printed. LabError where it fails."""
        command = ["ansible-playbook", "-i", self.inventory, str(TOP / "playbooks" / playbook)]
        if limit:
            command += ["--limit", limit]
        own = (f"lab_name={self.lab}", f"vpc_plan_dir={self.plan_dir}", *variables)
        for text in (*self.extra, *own):
            command += ["-e", text]
        environment = {"ANSIBLE_CONFIG": str(TOP / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".build")}
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            output = process.communicate()[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode:
            raise LabError(f"{playbook} failed:\n{output}")
        return output

    def each(self, action: Callable[[Machine], None]) -> None:
        """Do something with all machines at once."""
        pool = ThreadPoolExecutor(max_workers=len(self.machines))
        try:
            list(pool.map(action, self.machines))
        except BaseException:
            # the other threads wait for answers: let there be none
            for machine in self.machines:
                machine.stop()
            raise
        finally:
            pool.shutdown()
