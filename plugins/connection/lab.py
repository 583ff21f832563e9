# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enter a lab host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lab
short_description: Enter a lab host on this machine
version_added: 0.1.0
author:
  - plainlinux.vpc authors (@plainlinux)
description:
  - Runs commands inside a lab host that the M(plainlinux.vpc.lab) action has built, by entering its namespaces with
    C(nsenter). It needs no network and no daemon in the host, so it works whatever the host does to its network.
  - A host that is not up is a host that cannot be reached. A command is never run outside of a lab host.
  - The controller must run as root. Commands run as root in the host.
notes:
  - A host is entered once it has booted, as with a real machine and its SSH daemon. That makes
    M(ansible.builtin.reboot) and M(ansible.builtin.wait_for_connection) work.
options:
  lab_name:
    description: Name of the lab.
    type: str
    default: lab
    vars:
      - name: lab_name
      - name: ansible_lab_name
  host:
    description: Name of the host in the lab.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_lab_host
  state_dir:
    description: Where labs keep their state.
    type: path
    default: /run/plainlinux-vpc-lab
    vars:
      - name: ansible_lab_state_dir
  become_success_timeout:
    description: Number of seconds to wait for become to succeed.
    type: int
    default: 10
    vars:
      - name: ansible_lab_become_success_timeout
  become_strip_preamble:
    description: Strip the output that become prints before that of the command.
    type: bool
    default: true
    vars:
      - name: ansible_lab_become_strip_preamble
extends_documentation_fragment:
  - ansible.builtin.connection_pipelining
"""

import os
import shlex
import shutil
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager

from ansible.errors import AnsibleConnectionFailure, AnsibleFileNotFound
from ansible.plugins.connection.local import Connection as LocalConnection

# The namespaces that make a lab host and nsenter's option for each; each must be another one than ours.
NAMESPACES = {"cgroup": "cgroup", "ipc": "ipc", "mnt": "mount", "net": "net", "pid": "pid", "uts": "uts"}

ENVIRONMENT = (
    "HOME=/root",
    "USER=root",
    "LOGNAME=root",
    "SHELL=/bin/sh",
    "LANG=C.UTF-8",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)


class Connection(LocalConnection):
    """Core's local connection, with every command wrapped in nsenter."""

    transport = "plainlinux.vpc.lab"
    has_pipelining = True

    def _name(self) -> str:
        return f"{self.get_option('lab_name')}/{self.get_option('host')}"

    def _fail(self, reason: object) -> t.NoReturn:
        raise AnsibleConnectionFailure(f"lab host {self._name()} cannot be entered: {reason}")

    @contextmanager
    def _process(self) -> Iterator[str]:
        """Path of the /proc directory of the host's first process.

        An open directory of /proc belongs to one process for ever: if that process ends, nothing can be found below it,
        not even when another process gets the same pid. So there is no moment in which a wrong process is entered.
        """
        lab, host = self.get_option("lab_name"), self.get_option("host")
        if "/" in lab + host or os.path.basename(host) in ("", ".", ".."):
            self._fail("it is no name of a lab host")
        if os.geteuid() != 0:
            self._fail("ansible must run as root")
        path = os.path.join(self.get_option("state_dir"), lab, "hosts", f"{host}.pid")
        directory = None
        try:
            with open(path, encoding="ascii") as stream:
                pid, start = stream.read().split()
            directory = os.open(f"/proc/{int(pid)}", os.O_RDONLY | os.O_DIRECTORY)
            process = f"/proc/{os.getpid()}/fd/{directory}"
            with open(f"{process}/stat", encoding="utf-8", errors="replace") as stream:
                if stream.read().rpartition(")")[2].split()[19] != start:
                    raise ProcessLookupError("its first process has ended")
            for kind in NAMESPACES:
                if os.path.samefile(f"{process}/ns/{kind}", f"/proc/self/ns/{kind}"):
                    raise ProcessLookupError(f"it has no {kind} namespace of its own")
            yield process
        except (OSError, ValueError, IndexError) as error:
            self._fail(error if not isinstance(error, FileNotFoundError) else f"it is not running ({path})")
        finally:
            if directory is not None:
                os.close(directory)

    def _connect(self) -> Connection:
        with self._process():
            super()._connect()
        return self

    def reset(self) -> None:
        """There is nothing that would outlive a command."""
        self._connected = False

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command in the host."""
        with self._process() as process:
            wrapped = [
                shutil.which("nsenter") or "/usr/bin/nsenter",
                *(f"--{option}={process}/ns/{kind}" for kind, option in NAMESPACES.items()),
                f"--root={process}/root",
                f"--wd={process}/root",
                "--",
                "/usr/bin/env",
                "-i",
                *ENVIRONMENT,
                "/bin/sh",
                "-c",
                cmd,
            ]
            status, output, error = super().exec_command(f"exec {shlex.join(wrapped)}", in_data, sudoable)
            if status and not os.path.exists(f"{process}/ns/net"):
                # the command ended with the host, or was too late for it: a connection that broke
                self._fail(f"it went down: {error.decode(errors='replace').strip()}")
            return status, output, error

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the host."""
        if not os.path.exists(in_path):
            raise AnsibleFileNotFound(f"file or module does not exist: {in_path}")
        with open(in_path, "rb") as stream:
            status, _output, error = self.exec_command(f"cat > {shlex.quote(out_path)}", stream.read(), sudoable=False)
        if status:
            self._fail(f"cannot write {out_path}: {error.decode(errors='replace').strip()}")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the host."""
        status, output, error = self.exec_command(f"cat {shlex.quote(in_path)}", sudoable=False)
        if status:
            self._fail(f"cannot read {in_path}: {error.decode(errors='replace').strip()}")
        with open(out_path, "wb") as stream:
            stream.write(output)
