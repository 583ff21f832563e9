# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role owns on this host: the kernel's objects, subsystem by subsystem, and how they differ from others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.generation import Counter, Generation, current
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.refusal import RefusedError
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    RUNTIME,
    Command,
    Context,
    Delta,
    KernelError,
    Output,
    State,
    Subsystem,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.address import Address
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.ipset import Ipset
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.iptables import Iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.link import Link
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.module import Module
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.neighbour import Neighbour
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.port import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.route import Route
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.rule import Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.sysctl import Sysctl
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif import Vif
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.xfrm import Xfrm
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import Scope

# Written in this order, removed in reverse. Sysctls before addresses: an interface may have IPv6 switched off. Filters
# and NAT before routes and rules: the first packet that finds a way is treated like all later ones. Ports give up their
# guard first.
ORDER: tuple[Subsystem, ...] = (
    Module(),
    Link(),
    Xfrm(),
    Port(),
    Sysctl(),
    Address(),
    Neighbour(),
    Ipset(),
    Iptables(),
    Nft(),
    Route(),
    Rule(),
    Vif(),
)
# Routes may be many: their names say enough.
NAMES_ONLY = {"route", "vif"}
READ_ATTEMPTS = 5

States = dict[str, State]
Runner = Callable[[Command], Output]


class Reader:
    """Reads one scope's objects. root: as a Context has it. record: what the scope applied last.

    counter: of generation.py. Whoever runs commands elsewhere has to ask there, or not at all.
    """

    def __init__(self, scope: Scope, run: Runner, root: str = "", counter: Counter | None = None) -> None:
        self.record: States = {}
        if counter is None:
            counter = current if run is process.run else _unknown
        self.generation = Generation(scope, f"{root}{RUNTIME}", counter)
        self._scope = scope
        self._run = run
        self._root = root

    def context(self, name: str, desired: Mapping[str, str], also: Mapping[str, str]) -> Context:
        """What a subsystem may know. also: what may be ours besides what is recorded."""
        known = {**self.record.get(name, {}), **also}
        return Context(self._scope, desired, known, self._root)

    def read(self, wanted: Mapping[str, State], also: Mapping[str, State] | None = None) -> States:
        """What this scope owns now. Raises RefusedError."""
        found: States = {}
        # Nobody's run is the last one while another is undone.
        generation = self.generation if also is None else None
        if generation is not None:
            generation.begin()
        for subsystem in ORDER:
            name = subsystem.name
            if generation is not None and generation.unchanged(name, wanted.get(name, {})):
                found[name] = dict(wanted[name])
                continue
            context = self.context(name, wanted.get(name, {}), (also or {}).get(name, {}))
            for attempt in range(READ_ATTEMPTS):
                try:
                    outputs = [self._output(command) for command in subsystem.read(context)]
                    found[name] = subsystem.parse(context, outputs)
                    break
                except KernelError as error:
                    if attempt == READ_ATTEMPTS - 1:
                        raise RefusedError(f"cannot read {name}: {error}") from None
                    time.sleep(0.05 * 2**attempt)
            if generation is not None:
                generation.read(name, wanted.get(name, {}), found[name])
        if generation is not None:
            generation.end()
        return found

    def raw_sysctl(self, keys: Mapping[str, str]) -> State:
        """Values of these sysctls as the kernel prints them."""
        sysctl = next(subsystem for subsystem in ORDER if isinstance(subsystem, Sysctl))
        context = self.context("sysctl", keys, {})
        return sysctl.raw([self._output(command) for command in sysctl.read(context)])

    def _output(self, command: Command) -> Output:
        output = self._run(command)
        # Such as nft 1.0.6 where nft 1.1 made a table.
        if output.status < 0:
            raise KernelError(f"{command}: ended by signal {-output.status}")
        # A program that is not there yet has made nothing: a blank host in check mode is empty, not an error.
        if output.status not in command.ok and output.status != process.NOT_INSTALLED:
            raise RefusedError(str(process.CommandError(command, output)))
        return output


def _unknown() -> None:
    """The number where nobody can be asked for it."""


def compare(before: Mapping[str, State], wanted: Mapping[str, State]) -> dict[str, Delta]:
    """The differences by subsystem."""
    deltas: dict[str, Delta] = {}
    for subsystem in ORDER:
        have, want = before[subsystem.name], wanted[subsystem.name]
        if not subsystem.prunable:
            have = {key: value for key, value in have.items() if key in want}
        if lost := subsystem.lost(have, deltas):
            have = {key: value for key, value in have.items() if key not in lost}
        deltas[subsystem.name] = Delta.between(have, want)
    return deltas


def recorded(name: str, state: State) -> State:
    """What the record keeps of a subsystem's state."""
    if name == "nft":
        # Of its elements there may be 100,000, and the tables say whose they are.
        return {key: value for key, value in state.items() if key.count(" ") == 1}
    return dict.fromkeys(state, "") if name in NAMES_ONLY else state
