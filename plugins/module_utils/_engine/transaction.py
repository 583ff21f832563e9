# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one transaction: make a host's kernel equal to one role's slice of the plan, or leave it as it was."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process, refusal, store
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.files import UNIT_PATH, Files
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.flows import FILTERS, Flows
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.generation import Counter
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.lock import LockedError, held
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.originals import Originals
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.ports import Ports
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.reading import (
    ORDER,
    Reader,
    Runner,
    States,
    compare,
    recorded,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.refusal import RefusedError
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.underlay import place
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import coexistence, hooks, systemd
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Command,
    Context,
    Delta,
    KernelError,
    State,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif import RECORDS, give_back
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ROUTER, SECURITY_GROUPS, Scope

UNIT = systemd.Unit()
# Percent of what a role has on a host that one run may remove without being confirmed.
REMOVAL_LIMIT = 50


class FailedError(Exception):
    """A write failed. The message says what, and what state the host is in now."""


@dataclass
class Result:
    """deltas: what differed, by subsystem (also "file" and "unit"). warnings: what others on this host may do to us."""

    deltas: dict[str, Delta] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return any(self.deltas.values())


@dataclass(frozen=True)
class Options:
    """check: compare only. removal_limit: percent of what the host has that one run may remove, None for no limit.

    root: folder that stands for / where files are written, for tests. patience: seconds to wait for a lock.
    """

    check: bool = False
    removal_limit: int | None = REMOVAL_LIMIT
    root: str = ""
    lock: str = "/run/plainlinux-vpc.lock"
    patience: float = 60.0


class Transaction:
    """One slice applied to this host."""

    def __init__(
        self,
        scope: Scope,
        content: Mapping[str, Any],
        options: Options,
        run: Runner = process.run,
        counter: Counter | None = None,
    ) -> None:
        self.scope = scope
        self.content = content
        self.options = options
        self.run = run
        self.files = Files(scope, options.root)
        self.record_path = f"{self.files.base}/{scope.name}/record.json"
        self.reader = Reader(scope, run, options.root, counter)
        self.record = self.reader.record
        self.originals = Originals(f"{self.files.base}/sysctl-original.json", scope.name)
        self.ports = Ports(scope, content, options.root, run)
        self.flows = Flows(content.get("policy"), run)
        self.base: States = {}
        self.result = Result()

    def apply(self) -> Result:
        """Compare, and unless in check mode write. Raises RefusedError, FailedError or LockedError."""
        with held(self.options.lock, f"role {self.scope.name}", self.options.patience):
            return self._apply()

    def _apply(self) -> Result:
        with self.ports.locked(self.options.check, self.options.patience):
            return self._converge()

    def _converge(self) -> Result:
        self.record = self.reader.record = store.read_json(self.record_path)
        self.files.made.update(self.record.get("folder", {}))
        wanted = self._wanted()
        self.originals.plan(wanted["sysctl"], self.reader.raw_sysctl({**self.originals.held(), **wanted["sysctl"]}))
        before = self.reader.read(wanted)
        deltas = compare(before, wanted)
        files = self._files_wanted()
        file_delta = self.files.delta(files, self.record.get("file", {}))
        unit_delta = self._unit_delta(files)
        self._refuse(before, wanted, deltas, file_delta)
        self.result.deltas = {**deltas, "file": file_delta, "unit": unit_delta}
        self.result.warnings = [*self.ports.warnings, *self._diagnose(wanted)]
        if self.options.check:
            return self.result
        if not self.result.changed:
            self._remember()
            return self.result
        if reason := self.flows.missing():
            raise RefusedError(reason)
        self.files.prepare(file_delta)
        self._arm(wanted, files)
        self.ports.save()
        try:
            self._write(wanted, deltas)
            if self.ports.slice is None:
                self._read_back(wanted)
            self._end_flows(deltas)
            self._write_files(file_delta, unit_delta)
            wanted = self._finish(wanted)
        except BaseException as error:
            self._undo(before, wanted, file_delta, error)
            raise
        self._settle(wanted, files)
        self._remember()
        return self.result

    def _remember(self) -> None:
        generation = self.reader.generation
        if self._active():
            generation.remember()
        else:
            generation.forget()

    # What is wanted, and what is there

    def _wanted(self) -> States:
        wanted: States = {subsystem.name: {} for subsystem in ORDER}
        wanted.update(self.content.get("state", {}))
        try:
            self.base = place(wanted, self.content.get("underlay"), self.content.get("underlay6"), self.run)
            return self.ports.bind(self.base)
        except KernelError as error:
            raise RefusedError(str(error)) from None

    def _refuse(self, before: States, wanted: States, deltas: Mapping[str, Delta], files: Delta) -> None:
        reason = refusal.module(before["module"]) or refusal.foreign(before["link"], "network")
        reason = reason or refusal.tunnels(before["xfrm"], self.options.check, self.options.root)
        limit = self.options.removal_limit
        if not reason and limit is not None:
            if self.ports.slice is not None:
                counts = refusal.guests(self.record.get("file", {}), files)
            elif self.scope == SECURITY_GROUPS:
                counts = refusal.filtered(before, wanted)
            else:
                counts = refusal.objects(before, wanted, deltas)
            reason = refusal.removal(self.scope, counts, limit)
        if reason:
            raise RefusedError(reason)

    def _diagnose(self, wanted: States) -> list[str]:
        if not wanted["route"] and not (self.scope == SECURITY_GROUPS and self._active()):
            return []
        outputs = [self.run(command) for command in coexistence.forward_read()]
        found = [
            f"{chain} drops forwarded packets by its policy: guests are cut off unless a rule there accepts them"
            for chain in coexistence.forward_drops(outputs)
        ]
        if self.scope == ROUTER and coexistence.helped_unasked(self.run(coexistence.helper_read())):
            found.append(
                "net.netfilter.nf_conntrack_helper is 1: any flow may get a helper, which opens ports that nobody"
                " allowed; set it to 0"
            )
        return found

    # Writing

    def _arm(self, wanted: States, files: State) -> None:
        """Before the first write: what we are about to own, so that a run after a crash knows it."""
        self.originals.save()
        armed = {name: {**self.record.get(name, {}), **recorded(name, state)} for name, state in wanted.items()}
        armed["file"] = {**self.record.get("file", {}), **dict.fromkeys(files, "")}
        self._write_record({**armed, "folder": dict.fromkeys(self.files.made, "")})

    def _write_record(self, content: Mapping[str, State]) -> None:
        if content:
            store.write_json(self.record_path, dict(content))
        else:
            store.remove(self.record_path, self.files.base)

    def _write(self, wanted: States, deltas: Mapping[str, Delta], also: States | None = None) -> None:
        """also: what may be ours besides what is recorded."""
        for subsystem in ORDER:
            self._write_one(subsystem.put, subsystem.name, wanted, deltas, also)
        for subsystem in reversed(ORDER):
            self._write_one(subsystem.drop, subsystem.name, wanted, deltas, also)

    def _write_one(
        self,
        script: Callable[[Context, Delta], list[Command]],
        name: str,
        wanted: States,
        deltas: Mapping[str, Delta],
        also: States | None,
    ) -> None:
        if not deltas[name]:
            return
        for command in script(self.reader.context(name, wanted[name], (also or {}).get(name, {})), deltas[name]):
            self._run_write(command)

    def _run_write(self, command: Command) -> None:
        lines = command.stdin.count("\n") if command.stdin else 0
        self.result.commands.append(str(command) + (f" ({lines} lines)" if lines else ""))
        output = self.run(command)
        if output.status not in command.ok:
            raise process.CommandError(command, output)

    def _end_flows(self, deltas: Mapping[str, Delta]) -> None:
        # A run that was killed may have changed rules and left flows: its record has no plan.
        if "plan" not in self.record or any(deltas[name] for name in FILTERS):
            self.result.commands += self.flows.end()

    def _read_back(self, wanted: States) -> None:
        left = [
            f"{name} {key}: {delta.before.get(key, 'missing')} instead of {delta.after.get(key, 'nothing')}"
            for name, delta in compare(self.reader.read(wanted), wanted).items()
            for key in sorted({*delta.before, *delta.after})
        ]
        if left:
            raise KernelError(f"the kernel did not take what was written: {'; '.join(left[:5])}")

    def _finish(self, wanted: States) -> States:
        """What needs the files; gives what is wanted after it."""
        changed = [name for name, delta in self.result.deltas.items() if delta]
        self._run_finish(wanted, changed)
        if self.ports.slice is None:
            return wanted
        wanted = self.ports.bind_again(self.base)
        self._read_back(wanted)
        return wanted

    def _run_finish(self, wanted: States, changed: Collection[str]) -> None:
        for subsystem in ORDER:
            for command in subsystem.finish(self.reader.context(subsystem.name, wanted[subsystem.name], {}), changed):
                self._run_write(command)

    def _undo(self, before: States, wanted: States, files: Delta, error: BaseException) -> None:
        """Converge back to what was read before the first write, by the same path."""
        problem = str(error) or type(error).__name__
        try:
            now = self.reader.read(before, wanted)
            self._write(before, compare(now, before), wanted)
            self.flows.undo()
            self._write_files(files.inverse(), Delta({}, {}))
            if RECORDS in before["vif"]:
                self.ports.restore()
                self._run_finish(before, ())
                if touched := self.ports.touched():
                    self._run_write(give_back(self.reader.context("vif", {}, {}), touched))
            left = compare(self.reader.read(before, wanted), before)
            if RECORDS in before["vif"]:
                # The helper gave ports what they must have, not what somebody may have given them since.
                del left["vif"]
        except Exception as second:
            raise FailedError(f"{problem}. Undo failed too: {second}. The host is in between; run again.") from error
        self.originals.restore()
        self._write_record(self.record)
        if any(left.values()):
            names = [f"{name} {key}" for name, delta in left.items() for key in (*delta.before, *delta.after)]
            raise FailedError(f"{problem}. Undone, but for: {', '.join(sorted(names)[:10])}") from error
        if isinstance(error, Exception):
            raise FailedError(f"{problem}. Nothing was changed: what had been written was undone.") from error

    # Files of ours

    def _files_wanted(self) -> State:
        if not self._active():
            return {}
        wanted = self.ports.bind_planned(self.base)
        wanted = {**wanted, "sysctl": self.originals.kept(wanted["sysctl"])}
        contexts = {
            subsystem.name: self.reader.context(subsystem.name, wanted[subsystem.name], {}) for subsystem in ORDER
        }
        return {**self.files.wanted(ORDER, contexts, self.content), **self.ports.files()}

    def _active(self) -> bool:
        """Whether anything at all is wanted: the role is there, not on its way out."""
        return any(self.content.get("state", {}).values()) or bool(self.content.get("texts"))

    def _write_files(self, file_delta: Delta, unit_delta: Delta) -> None:
        context = Context(self.scope)
        self.files.write(file_delta)
        self._reload_systemd(file_delta.after)
        for command in UNIT.put(context, unit_delta):
            # What the unit starts calls the helper.
            with self.ports.unlocked():
                self._run_write(command)
        for command in UNIT.drop(context, unit_delta):
            self._run_write(command)
        self.files.remove(file_delta)
        self._reload_systemd(dict.fromkeys(file_delta.removed, ""))
        if hooks.UDEV_RULES in {*file_delta.before, *file_delta.after} and not self.options.root:
            # Without it udev sees the rules a little later; there may be none at all.
            self._run_write(Command(("udevadm", "control", "--reload"), ok=tuple(range(256))))

    def _reload_systemd(self, paths: Mapping[str, str]) -> None:
        if UNIT_PATH in paths and self._systemd():
            self._run_write(Command(("systemctl", "daemon-reload")))

    def _systemd(self) -> bool:
        return os.path.isdir("/run/systemd/system") and not self.options.root

    def _unit_delta(self, files: State) -> Delta:
        if not self._systemd():
            return Delta({}, {})
        context = Context(self.scope)
        have = UNIT.parse(context, [self.run(command) for command in UNIT.read(context)])
        if UNIT_PATH in files:
            return Delta.between(have, {systemd.UNIT: "enabled active"})
        ours = UNIT_PATH in self.record.get("file", {}) and not self.files.others()
        return Delta.between(have if ours else {}, {})

    def _settle(self, wanted: States, files: State) -> None:
        """After success: the record of what is ours now; nothing at all when nothing is."""
        self.originals.settle()
        content = {name: recorded(name, state) for name, state in wanted.items()}
        content.update(file=dict.fromkeys(files, ""), folder=dict.fromkeys(self.files.settled(), ""))
        content["plan"] = {"id": self.content.get("id", "")}
        if self._active():
            self._write_record(content)
        else:
            self.files.pass_on()
            self._write_record({})


__all__ = ["REMOVAL_LIMIT", "FailedError", "LockedError", "Options", "RefusedError", "Result", "Transaction"]
