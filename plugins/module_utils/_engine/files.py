# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a role leaves on a host: boot files, the boot unit, orders to other network software."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import store
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import neighbours, systemd
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Context, Delta, State, Subsystem
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES, Scope

UNIT_PATH = f"/etc/systemd/system/{systemd.UNIT}"


class Files:
    """The files of one scope below root. Paths in states are as the host sees them, without root."""

    def __init__(self, scope: Scope, root: str) -> None:
        self.scope = scope
        self.root = root
        self.base = f"{root}{systemd.FOLDER}"

    def wanted(
        self,
        subsystems: Sequence[Subsystem],
        contexts: Mapping[str, Context],
        tables: dict[str, str],
        underlay: Sequence[str],
    ) -> State:
        """Path -> text of every file that restores contexts' desired states at boot."""
        folder = f"{systemd.FOLDER}/{self.scope.name}"
        files = {
            f"{folder}/{name}": text
            for subsystem in subsystems
            for name, text in subsystem.boot(contexts[subsystem.name]).items()
        }
        files[f"{folder}/underlay"] = "".join(f"{address}\n" for address in underlay)
        files[systemd.SCRIPT] = systemd.script([subsystem.boot_shell for subsystem in subsystems], list(SCOPES))
        files[UNIT_PATH] = systemd.UNIT_TEXT
        network_manager = os.path.isdir(f"{self.root}/etc/NetworkManager")
        files.update(neighbours.files(self.scope, contexts["link"].desired, tables, network_manager))
        return files

    def delta(self, wanted: State, recorded: Mapping[str, str]) -> Delta:
        """How the file system differs. recorded: paths that this scope wrote last time."""
        shared = (systemd.SCRIPT, UNIT_PATH, *neighbours.SHARED)
        have = {}
        for path in {*wanted, *recorded}:
            # The last role of a host takes the host's own files away.
            if path not in wanted and path in shared and self.others():
                continue
            text = store.read_text(self.root + path)
            if text is not None:
                have[path] = text
        return Delta.between(have, wanted)

    def others(self) -> bool:
        """Whether another role of ours is installed on this host."""
        return any(os.path.exists(f"{self.base}/{name}/record.json") for name in SCOPES if name != self.scope.name)

    def write(self, delta: Delta) -> None:
        for path in delta.put:
            mode = 0o755 if path == systemd.SCRIPT else store.MODE
            store.write_text(self.root + path, delta.after[path], mode)

    def remove(self, delta: Delta) -> None:
        for path in delta.removed:
            folder = os.path.dirname(self.root + path)
            # A drop-in folder that is empty without us was made by us.
            store.remove(self.root + path, folder if folder.endswith(".d") else self.base)
