# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sysctls of a host were before we set them. They have no owner in the kernel: this file is their record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import store


class Originals:
    """Original values by key, with the scopes that changed them; the last scope to let go restores the value.

    A key of an interface that did not exist has no original value: it goes with its interface.
    """

    def __init__(self, path: str, scope: str) -> None:
        self._path = path
        self._scope = scope
        self._stored: dict[str, Any] = store.read_json(path)
        self._armed: dict[str, Any] = {}
        self._settled: dict[str, Any] = {}
        self._returned: dict[str, str] = {}

    def held(self) -> dict[str, str]:
        """Keys that this scope has set, with their original values."""
        return {key: entry["value"] or "" for key, entry in self._stored.items() if self._scope in entry["scopes"]}

    def plan(self, desired: dict[str, str], raw: Mapping[str, str]) -> None:
        """Note the originals of what is desired; add to desired what has to go back to its original value."""
        settled = {
            key: {"value": entry["value"], "scopes": list(entry["scopes"])} for key, entry in self._stored.items()
        }
        for key in list(settled):
            entry = settled[key]
            if self._scope not in entry["scopes"] or key in desired:
                continue
            entry["scopes"].remove(self._scope)
            if not entry["scopes"]:
                del settled[key]
                if entry["value"] is not None and key in raw:
                    desired[key] = self._returned[key] = entry["value"]
        for key in self._wanted(desired, settled):
            entry = settled.setdefault(key, {"value": raw.get(key), "scopes": []})
            entry["scopes"] = sorted({*entry["scopes"], self._scope})
        self._settled = settled
        self._armed = {**self._stored, **settled}

    def kept(self, desired: Mapping[str, str]) -> dict[str, str]:
        """What is desired for longer: without what goes back to its original value, and is the host's own again."""
        return {key: value for key, value in desired.items() if key not in self._returned}

    def _wanted(self, desired: Mapping[str, str], settled: Mapping[str, Any]) -> list[str]:
        """Keys that this scope wants for itself: not those that are only put back."""
        return [key for key in desired if key in settled or key not in self._stored]

    def save(self) -> None:
        """Before the first write."""
        self._write(self._armed)

    def settle(self) -> None:
        """After success: forget what has been put back."""
        self._write(self._settled)

    def restore(self) -> None:
        """After an undo."""
        self._write(self._stored)

    def _write(self, content: dict[str, Any]) -> None:
        if content:
            store.write_json(self._path, content)
        else:
            store.remove(self._path, self._path.rpartition("/")[0])
