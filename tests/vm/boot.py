# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot scenario: the disks of converged lab hosts on Debian's own kernel."""

from __future__ import annotations

import json
import subprocess
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

import checks
import kernel
import packets
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.systemd import UNIT
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import machine as lab_machine
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import teardown, topology
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.paths import Paths
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import ENVIRONMENT, LabError, recall
from machine import LabMachine, Machine
from scenario import BOOT_TIMEOUT, Scenario, say

OFF_TIMEOUT = 60.0


class Boot(Scenario):
    """Lab hosts become virtual machines, whose boot unit has to make what the roles made."""

    def __init__(self, arguments: Namespace) -> None:
        super().__init__(arguments)
        self.without: list[str] = arguments.without_unit
        self.paths = Paths(self.lab)

    def run(self) -> None:
        self.folder.mkdir(mode=0o700)
        say(f"building and converging lab {self.lab} ({self.suite})")
        self.play("lab.yml", "lab_state=present")
        self.play("site.yml", "lab=true")
        self.plan = json.loads(Path(self.plan_dir, _plan_dir.SUMMARY).read_text(encoding="utf-8"))
        self.topology = topology.build(self.plan, self.lab)
        # not what stands for somebody else's machines
        self.hosts = [host for host in self.topology.hosts if host.name in self.plan["hosts"]]
        unknown = set(self.without) - {host.name for host in self.hosts}
        if unknown:
            raise LabError(f"no such host: {', '.join(sorted(unknown))}")
        self.recorded = {host.name: self.dumps(host.name, self.enter(host.name)) for host in self.hosts}
        say("switching the lab hosts off, making disks of theirs")
        self.switch_off()
        debian = kernel.prepare(self.cache, self.suite, self.folder)
        self.machines = [LabMachine(host, self.topology.underlay, debian, self.folder) for host in self.hosts]
        self.each(self.make_disk)
        say(f"booting {len(self.machines)} virtual machines with Linux {debian.release}")
        for machine in self.machines:
            machine.start()
        self.each(lambda machine: machine.await_shell(BOOT_TIMEOUT))
        say("looking at what the boot unit has made")
        self.each(self.after_boot)
        self.each(self.with_guests)
        say("sending packets")
        self.each(self.packets)
        say("restarting the boot unit, and what disturbs it")
        self.each(self.again)

    def enter(self, host: str) -> Callable[[str], Output]:
        """A shell in a lab host."""
        pid = recall(self.paths.pid(host))
        if pid is None:
            raise LabError(f"lab host {host} is not running")
        command = ["nsenter", "-t", str(pid), "-a", "--", "/bin/sh", "-c"]

        def shell(text: str) -> Output:
            environment = {**ENVIRONMENT, "LC_ALL": "C"}
            done = subprocess.run([*command, text], capture_output=True, text=True, env=environment, check=False)
            return Output(done.returncode, done.stdout, done.stderr)

        return shell

    def dumps(self, host: str, shell: Callable[[str], Output]) -> dict[str, list[str]]:
        ports = [vif.vif for vif in self.topology.vifs if vif.host == host]
        return checks.dumps(shell, ports, self.plan["hosts"][host]["backend"] == "iptables")

    def switch_off(self) -> None:
        for host in self.hosts:
            self.enter(host.name)("systemctl poweroff")
        for host in self.hosts:
            if not teardown.wait(partial(self.is_off, host.name), OFF_TIMEOUT):
                raise LabError(f"lab host {host.name} does not go off")
            lab_machine.stop(self.paths, host.name)

    def is_off(self, host: str) -> bool:
        return recall(self.paths.supervisor(host)) is None

    def layers(self, host: str) -> list[str]:
        """Layers of a lab host's root file system, topmost first."""
        disk = self.paths.disk(host)
        return [str(disk / "upper"), *(disk / "layers").read_text(encoding="utf-8").splitlines()]

    def make_disk(self, machine: Machine) -> None:
        off = f"rm $root/etc/systemd/system/*.wants/{UNIT}" if machine.name in self.without else ""
        machine.make_disk(self.layers(machine.name), off)

    # What is looked at, each for one machine

    def after_boot(self, machine: Machine) -> None:
        checks.booted(machine, self.results)
        self.as_planned(machine, "")

    def as_planned(self, machine: Machine, when: str) -> None:
        for role in self.plan["hosts"][machine.name]["roles"]:
            content = _plan_dir.read_slice(self.plan_dir, machine.name, role)
            if content is None:
                raise LabError(f"{machine.name}: no slice for role {role}")
            upper = str(self.paths.disk(machine.name) / "upper")
            lock = str(self.folder / f"{machine.name}.lock")
            fault, remark = checks.as_planned(machine, role, content, upper, lock)
            self.results.add(machine.name, f"{role} as planned{when}", fault, remark)

    def with_guests(self, machine: Machine) -> None:
        try:
            packets.plug(machine, self.topology.vifs)
        except LabError as error:
            self.results.add(machine.name, "guests plugged in", str(error))
        self.compare(machine, "")

    def compare(self, machine: Machine, when: str) -> None:
        for kind, found in self.dumps(machine.name, machine.shell).items():
            wanted = self.recorded[machine.name][kind]
            fault = checks.difference(wanted, found)
            self.results.add(machine.name, f"{kind} as in the lab{when}", fault, f"{len(wanted)} lines")

    def packets(self, machine: Machine) -> None:
        for source, target, sent, wrong in packets.send(machine, self.plan):
            remark = f"{sent - len(wrong)} of {sent}"
            self.results.add(machine.name, f"packets {source} to {target}", "; ".join(wrong), remark)

    def again(self, machine: Machine) -> None:
        """The boot unit may run at any time: with all in place it changes nothing, after others it mends."""
        for what, command in checks.EVENTS.items():
            output = machine.shell(f"{command}\n{checks.SETTLED}", timeout=120)
            if output.status:
                self.results.add(machine.name, what, f"status {output.status}: {output.stderr.strip()}")
            self.as_planned(machine, f", {what}")
            if what == checks.UNIT_RESTARTED:
                self.compare(machine, f", {what}")
