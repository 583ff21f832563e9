# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which guest is behind which port of a host now: what the plan knows, and what the helper was told since.

The helper keeps a record of each port in a folder that a boot empties. Whoever holds that folder's lock is the only one
who changes records, elements and ports.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import lock, store
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import vif
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    RUNTIME,
    Command,
    KernelError,
    Output,
    State,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.template import Bound, bind, compose
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif import Live, Record
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import PATTERNS, TABLE
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF, Scope

# What is being plugged in may be known before it exists. The helper counts the same.
PATIENCE = 60

States = dict[str, State]


class Ports:
    """The ports of one slice on one host. A slice without that part binds nothing."""

    def __init__(self, scope: Scope, content: Mapping[str, Any], root: str, run: Callable[[Command], Output]) -> None:
        """root: folder that stands for /."""
        self.slice: Mapping[str, Any] | None = content.get("ports")
        self.warnings: list[str] = []
        self._folder = f"{root}{RUNTIME}/{ANTISPOOF.name}"
        self._ours = scope == ANTISPOOF
        self._run = run
        self._handle: IO[str] | None = None
        self._strangers: list[str] = []
        self._records: dict[str, Record] = {}
        self._saved: dict[str, str] = {}
        self._saved_originals: set[str] = set()
        # The text of a guest's file, bound to a name, is needed several times.
        self._known: dict[tuple[str, str, str], Bound] = {}

    # The lock that the helper waits for

    @contextmanager
    def locked(self, check: bool, patience: float) -> Iterator[None]:
        """Keep the helper out. A comparison makes no folder for it; without one there is no record to disturb."""
        if not self._ours or not (os.path.isdir(self._folder) or (self.slice is not None and not check)):
            yield
            return
        with lock.held(f"{self._folder}/lock", f"role {ANTISPOOF.name}", patience) as handle:
            self._handle = handle
            try:
                yield
            finally:
                if not os.path.isdir(f"{self._folder}/vif"):
                    store.remove(f"{self._folder}/lock", os.path.dirname(self._folder))

    @contextmanager
    def unlocked(self) -> Iterator[None]:
        """Let the helper in: what runs now calls it, and waits for it."""
        if self._handle is None:
            yield
            return
        with lock.paused(self._handle):
            yield

    # What is there, and what that makes wanted

    def bind(self, base: States) -> States:
        """The wanted states with what the ports of this moment need. Raises KernelError where a bridge is wrong."""
        if self.slice is None:
            return base
        live = vif.live(self._run(vif.live_read()))
        self._records = self._live_records(live)
        self._look(live)
        return self._bound(base, self._names(self._records), self._strangers, live.interfaces)

    def bind_again(self, base: States) -> States:
        """As bind(), after the helper ran: the records that it left count."""
        if self.slice is None:
            return base
        self._records = self._read_records()
        here = [name for name, record in self._records.items() if record.here]
        return self._bound(base, self._names(self._records), self._strangers, here)

    def bind_planned(self, base: States) -> States:
        """The wanted states with the names that the plan knows: after a boot the others are somebody else's.

        Which of them have an interface then, the helper finds out.
        """
        return base if self.slice is None else self._bound(base, self._names({}), (), ())

    def _names(self, records: Mapping[str, Record]) -> dict[str, Record]:
        """Guests by port."""
        slice_ = self.slice or {}
        names = {name: Record(guest) for name, guest in slice_["names"].items()}
        names.update((name, record) for name, record in records.items() if record.guest in slice_["guests"])
        return names

    def _read_records(self) -> dict[str, Record]:
        found = {name: vif.parse_record(text) for name, text in self._texts().items()}
        return {name: record for name, record in found.items() if record is not None}

    def _live_records(self, live: Live) -> dict[str, Record]:
        """Records without those whose interface is gone for good, or is another one by now."""
        return {name: record for name, record in self._read_records().items() if self._is_live(name, record, live)}

    def _is_live(self, name: str, record: Record, live: Live) -> bool:
        ifindex = live.interfaces.get(name)
        return self._age(name) <= PATIENCE if ifindex is None else record.ifindex in ("", "none", ifindex)

    def _texts(self) -> dict[str, str]:
        # In check mode the helper may be at work, and a record go.
        texts = ((name, store.read_text(f"{self._folder}/vif/{name}")) for name in self._files("vif"))
        return {name: text for name, text in texts if text is not None}

    def _files(self, folder: str) -> list[str]:
        try:
            return os.listdir(f"{self._folder}/{folder}")
        except FileNotFoundError:
            return []

    def _age(self, name: str) -> float:
        try:
            return time.time() - os.stat(f"{self._folder}/vif/{name}").st_mtime
        except FileNotFoundError:
            return PATIENCE + 1

    def _look(self, live: Live) -> None:
        """Ports that are nobody's: strangers on our bridges, warnings on those of others."""
        slice_ = self.slice or {}
        bound = self._names(self._records)
        self._strangers, self.warnings = [], []
        for bridge, said in sorted(slice_["bridges"].items()):
            ports = live.bridges.get(bridge)
            if ports is None and not said["own"]:
                raise KernelError(
                    f"there is no bridge {bridge} (vpc_networks[].bridge); this host has"
                    f" {', '.join(sorted(live.bridges)) or 'none'}"
                )
            uplinks = said["uplinks"]
            if not said["own"] and uplinks and not set(uplinks).intersection(ports or ()):
                raise KernelError(
                    f"bridge {bridge} has no port {' or '.join(uplinks)} (vpc_networks[].uplinks); its ports are"
                    f" {', '.join(sorted(ports or ())) or 'none'}"
                )
            others = [
                name for name in sorted(ports or ()) if name not in bound and not _matches(name, slice_["trusted"])
            ]
            if said["own"]:
                self._strangers += [name for name in others if name not in uplinks]
            else:
                self.warnings += [
                    f"port {name} of bridge {bridge} is not guarded: it is no uplink, no guest's and not trusted,"
                    f" and its name is none that guests have ({', '.join(PATTERNS)})"
                    for name in others
                    if name not in uplinks and not _matches(name, PATTERNS)
                ]

    def _bound(
        self, base: States, names: Mapping[str, Record], strangers: Iterable[str], here: Container[str]
    ) -> States:
        """here: names that an interface has."""
        slice_ = self.slice or {}
        elements: State = {}
        rules: dict[str, list[str]] = {}
        settings = {vif.RECORDS: "kept"}
        for name in sorted(names):
            record = names[name]
            key = (name, record.guest, record.address)
            bound = self._known.get(key)
            if bound is None:
                bound = self._known[key] = bind(slice_["guests"][record.guest], name, record.address)
            elements.update(bound.elements)
            if name in here:
                elements.update(bound.local)
            for place, rule in bound.rules:
                rules.setdefault(place, []).append(rule)
            settings[f"port {name}"] = vif.port_state(bound.flags, record.guest)
        for bridge, said in slice_["bridges"].items():
            if said["settings"]:
                settings[f"bridge {bridge}"] = said["settings"]
        elements.update((f'{TABLE} set planned "{name}"', "element") for name in strangers)
        chains: State = {}
        for family, text in slice_.get("chains", {}).items():
            chains.update(compose(family, text, rules))
        # What the policy says of a port, such as an uplink, is above what a guest's file says.
        return {
            **base,
            "nft": {**elements, **base["nft"]},
            "iptables": {**chains, **base["iptables"]},
            "vif": settings,
        }

    # Files, and the way back

    def files(self) -> State:
        return {} if self.slice is None else vif.files_of(self.slice)

    def save(self) -> None:
        """Before the first write."""
        if self._ours:
            self._saved = self._texts()
            self._saved_originals = set(self._files("was"))

    def restore(self) -> None:
        """Bring back records that the helper has dropped."""
        for name in self._saved.keys() - self._texts().keys():
            record = vif.parse_record(self._saved[name])
            if record is not None:
                store.write_text(f"{self._folder}/mac/{record.guest}/{name}", "")
            store.write_text(f"{self._folder}/vif/{name}", self._saved[name])

    def touched(self) -> list[str]:
        """Numbers of interfaces whose ports were first guarded since save(), and are nobody's again."""
        known = {record.ifindex for record in self._read_records().values()}
        return sorted({*self._files("was")} - self._saved_originals - known)


def _matches(name: str, patterns: Collection[str]) -> bool:
    """Whether it is one of these names, or begins with one that ends in `*`."""
    return any(name.startswith(item[:-1]) if item.endswith("*") else name == item for item in patterns)
