# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one transaction of a set of files: compare, check the whole, write, run what takes it up, or put it all back."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import store
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset import copies, programs, record
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.copies import UNKNOWN, Copy, NotAFileError
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.masking import CONTROL, Mask
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.record import Owned, Record
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.staging import Staging
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.lock import LockedError, held
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import RUNTIME
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import Apply, File, Fileset, Program

BASE = "/etc/plainlinux-vpc"
# Characters of a program's output: in a message, and from its end that are looked at for it.
OUTPUT_SHOWN = 2000
OUTPUT_READ = 100_000

Copies = dict[str, "Copy | None"]


class RefusedError(Exception):
    """Nothing was written: the set, or the host, is not fit for it."""


class FailedError(Exception):
    """A write or a program after it failed. The message says what, and what state the host is in now."""


@dataclass
class Result:
    """before, after: files that differ, by path; None where there is none. restored: those that were there before us.

    applied, checked: programs, as given.

    secret: paths whose texts are shown to nobody. mask: for all other texts.
    """

    before: Copies = field(default_factory=dict)
    after: Copies = field(default_factory=dict)
    restored: list[str] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    secret: frozenset[str] = frozenset()
    mask: Mask = field(default_factory=lambda: Mask((), ()))

    @property
    def changed(self) -> bool:
        return bool(self.after or self.applied)


@dataclass(frozen=True)
class Options:
    """check: compare and validate only. root: folder that stands for / where files are written, for tests.

    patience: seconds to wait for the lock.
    """

    check: bool = False
    root: str = ""
    lock: str = "/run/plainlinux-vpc.lock"
    patience: float = 60.0


class Transaction:
    """One set applied to this host. Paths are as the host sees them, without root."""

    def __init__(self, fileset: Fileset, options: Options) -> None:
        self.fileset = fileset
        self.options = options
        self.base = f"{options.root}{BASE}"
        self.record_path = record.path_of(self.base, fileset.role)
        self.record = Record()
        self.renamed = False
        self.others: dict[str, Record] = {}
        self.result = Result()
        self.written: list[str] = []
        self.made: list[str] = []
        self.ran: list[Apply] = []

    def apply(self) -> Result:
        """Compare, and unless in check mode write. Raises RefusedError, FailedError or LockedError."""
        lock = held(self.options.lock, f"files of role {self.fileset.role}", self.options.patience)
        try:
            with lock, Staging(f"{self.options.root}{RUNTIME}") as staging:
                return self._apply(staging)
        except (NotAFileError, OSError) as error:
            raise RefusedError(str(error)) from None

    def _apply(self, staging: Staging) -> Result:
        self._load()
        wanted = self._wanted()
        target: Copies = {dest: owned.original for dest, owned in self.record.files.items()}
        target.update(wanted)
        before = {dest: copies.read(self.options.root + dest) for dest in target}
        changed = [dest for dest in target if target[dest] != before[dest]]
        self._hide(wanted, before)
        due = self._due({*changed, *self.record.pending})
        self.result.before = {dest: before[dest] for dest in changed}
        self.result.after = {dest: target[dest] for dest in changed}
        self.result.restored = [dest for dest in changed if dest not in wanted and target[dest] is not None]
        if changed or due:
            self._check(staging, wanted)
        settled = self._settled(wanted, before)
        if self.options.check:
            self.result.applied = [_words(program) for program in due]
        elif self._sweep(target) or changed or due or self.renamed or settled != self.record:
            self._write(staging, before, target, settled, due)
        if not settled and not self.options.check and os.path.isdir(self.base):
            # A run that was killed may have left its folder.
            store.remove(self.record_path, self.base)
        return self.result

    # What is there, and what is wanted

    def _load(self) -> None:
        try:
            self.record = record.load(self.record_path)
            self.others = record.others(self.base, self.fileset.role)
        except ValueError as error:
            raise RefusedError(str(error)) from None
        wanted: dict[str, str] = {}
        problems = []
        for file in self.fileset.files:
            first = wanted.setdefault(self._place(file.dest), file.dest)
            if first != file.dest:
                problems.append(f"{file.dest} is the same file as {first}")
        problems.extend(
            f"{dest} belongs to role {name}"
            for name, theirs in self.others.items()
            for dest in theirs.files
            if self._place(dest) in wanted
        )
        if problems:
            raise RefusedError("; ".join(problems))
        # Another way to the same file is no other file: that would be removed.
        names = {dest: wanted.get(self._place(dest), dest) for dest in self.record.files}
        files = {names[dest]: owned for dest, owned in self.record.files.items()}
        self.record = dataclasses.replace(self.record, files=files)
        self.renamed = any(dest != name for dest, name in names.items())

    def _place(self, dest: str) -> str:
        """Where the file is, whatever links lead there."""
        folder, name = os.path.split(self.options.root + dest)
        return os.path.join(os.path.realpath(folder), name)

    def _wanted(self) -> dict[str, Copy]:
        unknown: dict[str, None] = {}
        wanted = {}
        for file in self.fileset.files:
            uid, gid = copies.uid_of(file.owner), copies.gid_of(file.group)
            if uid is None:
                unknown[f"user {file.owner}"] = None
            if gid is None:
                unknown[f"group {file.group}"] = None
            wanted[file.dest] = Copy(
                (file.content or "").encode(),
                UNKNOWN if uid is None else uid,
                UNKNOWN if gid is None else gid,
                file.mode,
            )
        if unknown:
            message = f"{', '.join(unknown)}: not on this host"
            if not self.options.check:
                raise RefusedError(message)
            # The package that makes them is not installed by a run in check mode.
            self.result.warnings.append(f"{message} yet")
        return wanted

    def _hide(self, wanted: Mapping[str, Copy], before: Copies) -> None:
        """Know the secrets, the old ones too, before anything is said."""
        secret = {file.dest for file in self.fileset.files if file.secret}
        secret.update(dest for dest, owned in self.record.files.items() if owned.secret)
        originals = {dest: owned.original for dest, owned in self.record.files.items()}
        secrets = [
            copy.content.decode("utf-8", "replace")
            for found in (wanted, before, originals)
            for dest, copy in found.items()
            if dest in secret and copy is not None
        ]
        public = [copy.content.decode("utf-8", "replace") for dest, copy in wanted.items() if dest not in secret]
        public.extend(before)
        public.extend(_words(program) for program in (*self.fileset.validate, *self.fileset.apply))
        self.result.secret = frozenset(secret)
        self.result.mask = Mask(secrets, public)

    def _due(self, paths: Iterable[str]) -> list[Apply]:
        listed = sorted(paths)
        return [
            program
            for program in self.fileset.apply
            if any(fnmatch.fnmatchcase(path, pattern) for path in listed for pattern in program.when_changed)
        ]

    def _settled(self, wanted: Mapping[str, Copy], before: Copies) -> Record:
        """The record after success."""
        secret = {file.dest for file in self.fileset.files if file.secret}
        files = {}
        for dest in wanted:
            owned = self.record.files.get(dest)
            files[dest] = Owned(dest in secret, owned.original if owned else before[dest])
        missing = [folder for file in self.fileset.files for folder in self._missing(file)]
        # What another role made goes with whoever is the last in it.
        shared = [folder for theirs in self.others.values() for folder in theirs.folders]
        folders = [
            folder
            for folder in sorted({*self.record.folders, *missing, *shared})
            if any(dest.startswith(f"{folder}/") for dest in wanted)
        ]
        return Record(files, folders)

    def _missing(self, file: File) -> list[str]:
        root = self.options.root
        return [folder[len(root) :] for folder in copies.missing_folders(root + file.dest) if folder.startswith(root)]

    # Checking

    def _check(self, staging: Staging, wanted: Mapping[str, Copy]) -> None:
        """Run every checker on the whole set; all that they refuse is told at once."""
        staging.fill(wanted)
        problems = []
        for check in self.fileset.validate:
            self.result.checked.append(_words(check))
            ran = programs.run(staging.command(check.command), check.timeout, staging.folder)
            if programs.missing(check, ran) and (self.options.check or not check.required):
                self.result.warnings.append(f"not checked, {check.command[0]} is not installed: {_words(check)}")
                continue
            problem = programs.problem(check, ran)
            if problem:
                problems.append(self._told(check, problem, staging.tell(ran.output)))
        if problems:
            raise RefusedError("; ".join(problems))

    def _told(self, program: Program, problem: str, output: str) -> str:
        # First hidden, then cut: what a cut leaves of a secret may be too short to be known. So a cut word goes.
        if len(output) > OUTPUT_READ:
            output = re.sub(r"^\S+", "...", output[-OUTPUT_READ:])
        text = CONTROL.sub("?", self.result.mask.hide(output)).strip()
        if len(text) > OUTPUT_SHOWN:
            text = f"...{text[-OUTPUT_SHOWN:]}"
        return f"{_words(program)}: {problem}{': ' if text else ''}{text}"

    # Writing

    def _write(self, staging: Staging, before: Copies, target: Copies, settled: Record, due: list[Apply]) -> None:
        changed = list(self.result.after)
        armed = Record(
            {**self.record.files, **settled.files},
            list(dict.fromkeys((*self.record.folders, *settled.folders))),
            sorted({*self.record.pending, *changed}),
        )
        try:
            record.save(self.record_path, armed, self.base)
        except OSError:
            if not self.record:
                store.remove(self.record_path, self.base)
            raise
        gone = set(armed.folders) - set(settled.folders)
        try:
            self._put(target)
            for program in due:
                self._run(program, staging)
            # With the folders: a run that is killed before they have gone has to know them.
            record.save(self.record_path, dataclasses.replace(settled, folders=armed.folders), self.base)
        except BaseException as error:
            self._undo(before, error, staging)
            raise
        self._drop_folders(gone)
        if gone:
            try:
                record.save(self.record_path, settled, self.base)
            except OSError:
                # All is done; the next run forgets them.
                pass
        self._read_back(target)

    def _sweep(self, target: Copies) -> bool:
        """Remove what a killed run left beside our files. We hold the host's lock: nobody uses it."""
        paths = [self.record_path, *(self.options.root + dest for dest in target)]
        left = [
            os.path.join(folder, name)
            for folder in {os.path.dirname(path) for path in paths}
            if os.path.isdir(folder)
            for name in os.listdir(folder)
            if name.startswith(store.TEMPORARY)
        ]
        return sum(self._swept(path) for path in left) > 0

    def _swept(self, path: str) -> bool:
        try:
            os.unlink(path)
        except OSError:
            # A folder of that name is none of ours.
            return False
        return True

    def _put(self, target: Copies) -> None:
        """Add before remove."""
        modes = {file.dest: file.folder_mode for file in self.fileset.files}
        for dest in sorted(self.result.after, key=lambda dest: target[dest] is None):
            for folder in copies.missing_folders(self.options.root + dest):
                copies.make_folder(folder, modes.get(dest, 0o755))
                self.made.append(folder[len(self.options.root) :])
            self.written.append(dest)
            self._put_one(dest, target[dest])

    def _put_one(self, dest: str, copy: Copy | None) -> None:
        path = self.options.root + dest
        if copy is not None:
            copies.write(path, copy)
            return
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass

    def _run(self, program: Apply, staging: Staging) -> None:
        self.ran.append(program)
        self.result.applied.append(_words(program))
        ran = programs.run(program.command, program.timeout, staging.folder)
        problem = programs.problem(program, ran)
        if problem:
            raise FailedError(self._told(program, problem, ran.output))

    def _drop_folders(self, folders: Iterable[str]) -> None:
        for folder in sorted(folders, reverse=True):
            try:
                os.rmdir(self.options.root + folder)
            except OSError:
                # Somebody else uses it now.
                pass

    def _read_back(self, target: Copies) -> None:
        rewritten = [dest for dest, copy in target.items() if not self._is(dest, copy)]
        if rewritten:
            self.result.warnings.append(
                f"{', '.join(rewritten)}: changed by what ran after the write, so the next run will write it again"
            )

    def _is(self, dest: str, copy: Copy | None) -> bool:
        try:
            return copies.read(self.options.root + dest) == copy
        except NotAFileError:
            return False

    def _undo(self, before: Copies, error: BaseException, staging: Staging) -> None:
        """Put the old files back, and let the programs that have run take them up."""
        problem = self.result.mask.hide(str(error) or type(error).__name__).rstrip(".")
        try:
            for dest in reversed(self.written):
                self._put_one(dest, before[dest])
            self._drop_folders(self.made)
            complaints = self._run_again(staging)
            if not complaints:
                record.save(self.record_path, self.record, self.base)
        except OSError as second:
            raise FailedError(f"{problem}. Undo failed too: {second}. The host is in between; run again.") from error
        if complaints:
            raise FailedError(
                f"{problem}. The old files are back, but with them failed: {'; '.join(complaints)}. "
                "The next run will run these programs again."
            ) from error
        if isinstance(error, Exception):
            again = ", ".join(_words(program) for program in self.ran)
            raise FailedError(
                f"{problem}. The old files are back{f'; run again with them: {again}' if again else ''}."
            ) from error

    def _run_again(self, staging: Staging) -> list[str]:
        complaints = []
        for program in self.ran:
            ran = programs.run(program.command, program.timeout, staging.folder)
            # What it was expected to say was said of the new files.
            problem = programs.problem(dataclasses.replace(program, expect=None), ran)
            if problem:
                complaints.append(self._told(program, problem, ran.output))
        return complaints


def _words(program: Program) -> str:
    return " ".join(program.command)


__all__ = ["FailedError", "LockedError", "Options", "RefusedError", "Result", "Transaction"]
