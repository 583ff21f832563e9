# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a role leaves on a host: boot files, the boot unit, orders to other network software."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import store
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import coexistence, hooks, systemd
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Context, Delta, State, Subsystem
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF, SCOPES, Scope

PROGRAM = 0o755
WRITERS = 16
UNIT_PATH = f"/etc/systemd/system/{systemd.UNIT}"


class Files:
    """The files of one scope below root. Paths in states are as the host sees them, without root.

    made: folders outside of our own that were not there before this scope wrote something into them.
    """

    def __init__(self, scope: Scope, root: str) -> None:
        self.scope = scope
        self.root = root
        self.base = f"{root}{systemd.FOLDER}"
        self.made: set[str] = set()

    def wanted(
        self,
        subsystems: Sequence[Subsystem],
        contexts: Mapping[str, Context],
        content: Mapping[str, Any],
    ) -> State:
        """Path -> text of every file that restores contexts' desired states at boot, and of those for people.

        content: the slice, of which this takes addresses, names of tables, texts by name in the scope's folder, and the
        groups of guests.
        """
        folder = f"{systemd.FOLDER}/{self.scope.name}"
        files = {
            f"{folder}/{name}": text
            for subsystem in subsystems
            for name, text in subsystem.boot(contexts[subsystem.name]).items()
        }
        underlay = (content.get("underlay"), content.get("underlay6"))
        files[f"{folder}/underlay"] = "".join(f"{address}\n" for address in underlay if address)
        files.update((f"{folder}/{name}", text) for name, text in content.get("texts", {}).items())
        guests = (content.get("policy") or {}).get("guests")
        if guests:
            files[f"{folder}/guests"] = "".join(f"{address} {' '.join(names)}\n" for address, names in guests.items())
        files[systemd.SCRIPT] = systemd.script([subsystem.boot_shell for subsystem in subsystems], list(SCOPES))
        files[UNIT_PATH] = systemd.UNIT_TEXT
        network_manager = os.path.isdir(f"{self.root}/etc/NetworkManager")
        links = [*contexts["link"].desired, *contexts["xfrm"].desired]
        files.update(coexistence.files(self.scope, links, content.get("tables", {}), network_manager))
        if self.scope == ANTISPOOF:
            installed = [name for name, path in hooks.FOLDERS.items() if os.path.isdir(f"{self.root}{path}")]
            files.update(hooks.files(installed))
        return files

    def delta(self, wanted: State, recorded: Mapping[str, str]) -> Delta:
        """How the file system differs. recorded: paths that this scope wrote last time."""
        shared = (systemd.SCRIPT, UNIT_PATH, *coexistence.SHARED)
        have = {}
        for path in {*wanted, *recorded}:
            # The last role of a host takes the host's own files away.
            if path not in wanted and path in shared and self.others():
                continue
            text = store.read_text(self.root + path)
            # A program that nobody may run is none.
            if text is not None and (not _is_program(text) or os.access(self.root + path, os.X_OK)):
                have[path] = text
        return Delta.between(have, wanted)

    def others(self) -> list[str]:
        """Records of other roles of ours that are installed on this host."""
        paths = [f"{self.base}/{name}/record.json" for name in SCOPES if name != self.scope.name]
        return [path for path in paths if os.path.exists(path)]

    def prepare(self, delta: Delta) -> None:
        """Before write(): know the folders that it will make."""
        for path in delta.put:
            if path.startswith(f"{systemd.FOLDER}/"):
                continue
            folder = os.path.dirname(path)
            while folder != "/" and not os.path.isdir(self.root + folder):
                self.made.add(folder)
                folder = os.path.dirname(folder)

    def settled(self) -> list[str]:
        """After the last write: folders that are still there, and would go with what is in them."""
        return sorted(folder for folder in self.made if os.path.isdir(self.root + folder))

    def pass_on(self) -> None:
        """For a role that goes: the folders that it made, and that stay for files of others, become another role's."""
        folders = dict.fromkeys(self.settled(), "")
        if folders and (others := self.others()):
            record = store.read_json(others[0])
            store.write_json(others[0], {**record, "folder": {**record.get("folder", {}), **folders}})

    def write(self, delta: Delta) -> None:
        for folder in {os.path.dirname(path) for path in (*delta.before, *delta.after)}:
            store.sweep(self.root + folder)
        # Guests may be thousands, and a disk waits for each: several at once cost it little more than one.
        with ThreadPoolExecutor(max_workers=WRITERS) as pool:
            list(pool.map(lambda path: self._write(path, delta.after[path]), delta.put))

    def _write(self, path: str, text: str) -> None:
        store.write_text(self.root + path, text, PROGRAM if _is_program(text) else store.MODE)

    def remove(self, delta: Delta) -> None:
        for path in delta.removed:
            store.remove(self.root + path, self.root + self._upto(path))

    def _upto(self, path: str) -> str:
        """The outermost folder that goes with the file if that leaves it empty."""
        return min((folder for folder in self.made if path.startswith(f"{folder}/")), default=systemd.FOLDER)


def _is_program(text: str) -> bool:
    return text.startswith("#!")
