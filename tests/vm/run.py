# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot the disks of converged lab hosts on Debian's own kernel: usage and scope in README.md beside this file."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path[:0] = [str(TOP / ".build"), str(HERE)]
sys.dont_write_bytecode = True

import checks  # noqa: E402
import kernel  # noqa: E402
import packets  # noqa: E402
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Output  # noqa: E402
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir  # noqa: E402
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import machine as lab_machine  # noqa: E402
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import teardown, topology  # noqa: E402
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.paths import Paths  # noqa: E402
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import (  # noqa: E402
    ENVIRONMENT,
    LabError,
    recall,
)
from machine import Machine  # noqa: E402

# program, Debian package
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs"}
BOOT_TIMEOUT = 300.0
OFF_TIMEOUT = 60.0


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


class Test:
    """One run, from an inventory to a table."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.inventory: str = arguments.inventory
        self.without: list[str] = arguments.without_unit
        self.extra: list[str] = arguments.extra_vars
        words = [word for text in self.extra for word in shlex.split(text)]
        variables = dict(word.split("=", 1) for word in words if "=" in word)
        self.lab = variables.get("lab_name", "vmtest")
        self.suite = variables.get("lab_suite", "bookworm")
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "plainlinux-vpc/lab")
        self.cache = Path(variables.get("lab_cache_dir", cache)).expanduser()
        self.paths = Paths(self.lab)
        self.folder = Path("/var/tmp", f"plainlinux-vpc-vm-{self.lab}")
        self.plan_dir = str(self.folder / "plan")
        self.machines: list[Machine] = []
        self.results = checks.Results()

    def clean(self) -> None:
        """Leave nothing: machines, taps (they go with the switch), lab, disks."""
        for machine in self.machines:
            machine.stop()
        found = teardown.absent(self.lab)
        if self.folder.exists() or self.folder.is_symlink():
            subprocess.run(["rm", "-rf", "--one-file-system", "--", str(self.folder)], check=True)
        if found and not self.machines:
            say(f"removed what an earlier run had left: {', '.join(found)}")

    def play(self, playbook: str, *variables: str) -> None:
        command = ["ansible-playbook", "-i", self.inventory, str(TOP / "playbooks" / playbook)]
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

    def run(self) -> None:
        """Raises LabError where the test cannot be made; what it finds goes to the results."""
        self.folder.mkdir(mode=0o700)
        say(f"building and converging lab {self.lab} ({self.suite})")
        self.play("lab.yml", "lab_state=present")
        self.play("site.yml", "lab=true")
        self.plan = json.loads(Path(self.plan_dir, _plan_dir.SUMMARY).read_text(encoding="utf-8"))
        self.topology = topology.build(self.plan, self.lab)
        unknown = set(self.without) - {host.name for host in self.topology.hosts}
        if unknown:
            raise LabError(f"no such host: {', '.join(sorted(unknown))}")
        self.recorded = {host.name: self.dumps(host.name, self.enter(host.name)) for host in self.topology.hosts}
        say("switching the lab hosts off, making disks of theirs")
        self.switch_off()
        debian = kernel.prepare(self.cache, self.suite, self.folder)
        self.machines = [Machine(host, self.topology.underlay, debian, self.folder) for host in self.topology.hosts]
        self.each(lambda machine: machine.make_disk(self.layers(machine.name), machine.name in self.without))
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
        for host in self.topology.hosts:
            self.enter(host.name)("systemctl poweroff")
        for host in self.topology.hosts:
            if not teardown.wait(partial(self.is_off, host.name), OFF_TIMEOUT):
                raise LabError(f"lab host {host.name} does not go off")
            lab_machine.stop(self.paths, host.name)

    def is_off(self, host: str) -> bool:
        return recall(self.paths.supervisor(host)) is None

    def layers(self, host: str) -> list[str]:
        """Layers of a lab host's root file system, topmost first."""
        disk = self.paths.disk(host)
        return [str(disk / "upper"), *(disk / "layers").read_text(encoding="utf-8").splitlines()]

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


def show(rows: Sequence[tuple[str, str, str, str]]) -> None:
    order = {host: number for number, host in enumerate(dict.fromkeys(row[0] for row in sorted(rows)))}
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for host, what, fault, remark in sorted(rows, key=lambda row: order[row[0]]):
        line = f"{host:{widths[0]}}  {what:{widths[1]}}  {'FAILED' if fault else 'ok':6}  {remark}"
        print(line.rstrip())
        if fault:
            print("".join(f"    {part}\n" for part in fault.split("; ")), end="")


def interrupted(number: int, _frame: object) -> NoReturn:
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    raise SystemExit(128 + number)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    example = os.environ.get("INVENTORY") or str(TOP / "inventories/example")
    parser.add_argument("-i", "--inventory", default=example, help="default: $INVENTORY, then inventories/example")
    parser.add_argument("-e", "--extra-vars", action="append", default=[], help="for the playbooks: lab_suite=trixie")
    parser.add_argument(
        "--without-unit",
        action="append",
        default=[],
        metavar="HOST",
        help="boot this host with its boot unit disabled, to see the test fail",
    )
    return parser.parse_args(arguments)


def main() -> int:
    test = Test(parse(sys.argv[1:]))
    if os.geteuid() != 0 or os.uname().machine != "x86_64":
        print("this test needs root, on an x86-64 machine", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    start = time.monotonic()
    try:
        install()
        test.clean()
        test.run()
    except (LabError, ValueError) as error:
        # what cannot be looked at is not as it should be
        test.results.add("test", "could be made", str(error))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        test.clean()
    rows = test.results.rows
    show(rows)
    failed = sum(1 for row in rows if row[2])
    print(f"took {time.monotonic() - start:.0f} s")
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
