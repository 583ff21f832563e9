# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the whole catalogue against one guard in one world, and count."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.tests.attacks.case import Case
from ansible_collections.plainlinux.vpc.tests.attacks.catalogue import written
from ansible_collections.plainlinux.vpc.tests.attacks.effects import effects
from ansible_collections.plainlinux.vpc.tests.attacks.guards import Guard
from ansible_collections.plainlinux.vpc.tests.attacks.namespaces import Namespaces
from ansible_collections.plainlinux.vpc.tests.attacks.stage import Effect, Stage
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from ansible_collections.plainlinux.vpc.tests.attacks.wire import Wire
from ansible_collections.plainlinux.vpc.tests.attacks.world import World


@dataclass(frozen=True)
class Outcome:
    """What became of one case or effect.

    passed: a legitimate exchange arrived everywhere, or an attack arrived anywhere or had its effect. whole: an attack
    arrived wherever it can, which is what it has to do without a guard. note: who saw it, or who did not.
    """

    id: str
    klass: str
    legit: bool
    passed: bool
    whole: bool
    note: str = ""

    @property
    def good(self) -> bool:
        return self.passed == self.legit


@dataclass(frozen=True)
class Report:
    """All outcomes of one run.

    seconds: wall time, with building the topology and installing the guard. left_out: (class, whether legitimate) of
    each case and effect that needs what this world lacks.
    """

    outcomes: tuple[Outcome, ...]
    seconds: float
    left_out: tuple[tuple[str, bool], ...] = ()

    def count(self, legit: bool, klass: str | None = None) -> tuple[int, int]:
        """(good, all): attacks that were stopped, or legitimate exchanges that worked."""
        chosen = [one for one in self.outcomes if one.legit == legit and klass in (None, one.klass)]
        return sum(one.good for one in chosen), len(chosen)

    @property
    def bad(self) -> list[str]:
        """Attacks that got through and legitimate exchanges that did not, with who saw them or did not."""
        return [f"{one.id}{one.note}" for one in self.outcomes if not one.good]

    @property
    def bad_ids(self) -> set[str]:
        return {one.id for one in self.outcomes if not one.good}

    @property
    def powerless(self) -> list[str]:
        """Attacks that did not work, or not everywhere; without a guard there must be none."""
        return [f"{one.id}{one.note}" for one in self.outcomes if not one.legit and not one.whole]

    @property
    def lost(self) -> list[str]:
        """Legitimate exchanges that did not work."""
        return [f"{one.id}{one.note}" for one in self.outcomes if one.legit and not one.good]

    def table(self) -> str:
        """Stopped attacks and working exchanges, class by class, and what this world has no actors for."""
        rows = []
        for legit, title in ((False, "attacks stopped"), (True, "legitimate exchanges that work")):
            missing = [klass for klass, one in self.left_out if one == legit]
            rows.append((title, *self.count(legit), len(missing)))
            classes = dict.fromkeys([*(one.klass for one in self.outcomes if one.legit == legit), *missing])
            rows += [(f"  {klass}", *self.count(legit, klass), missing.count(klass)) for klass in classes]
        width = max(len(row[0]) for row in rows)
        return "\n".join(
            f"{name:{width}}  {good:4} of {total:4}{f'  {missing:3} left out' if missing else ''}"
            for name, good, total, missing in rows
        )


def run(guard: Guard, world: World) -> Report:
    """Build the topology, install the guard, try everything, remove the topology."""
    start = time.monotonic()
    with Topology(world) as topology:
        guard(topology, world.policy)
        return examine(topology, start)


def examine(topology: Namespaces, start: float | None = None) -> Report:
    """Try everything in namespaces that are there. start: since when it counts, as time.monotonic() gives it.

    Legitimate frames go first: without a guard, attacks leave poisoned caches behind.
    """
    begun = time.monotonic() if start is None else start
    book = written(topology.world)
    cases = list(book.cases.values())
    every = effects(topology.world)
    possible = [effect for effect in every if effect.possible]
    with Wire(topology) as wire:
        stage = Stage(topology, wire)
        outcomes = _frames(wire, [case for case in cases if case.legit])
        outcomes += _effects(stage, [effect for effect in possible if effect.legit])
        outcomes += _frames(wire, [case for case in cases if not case.legit])
        outcomes += _effects(stage, [effect for effect in possible if not effect.legit])
    left_out = [*book.left_out.values(), *((effect.klass, effect.legit) for effect in every if not effect.possible)]
    return Report(tuple(outcomes), time.monotonic() - begun, tuple(left_out))


def _frames(wire: Wire, cases: Sequence[Case]) -> list[Outcome]:
    outcomes = []
    for result in wire.run(cases):
        case = result.case
        named = case.seen - result.got if case.legit else result.got
        note = f" [{'not seen by' if case.legit else 'seen by'} {', '.join(sorted(named))}]" if named else ""
        outcomes.append(Outcome(case.id, case.klass, case.legit, result.passed, result.got == case.seen, note))
    return outcomes


def _effects(stage: Stage, chosen: Iterable[Effect]) -> list[Outcome]:
    outcomes = []
    for effect in chosen:
        happened = effect.attempt(stage)
        outcomes.append(Outcome(effect.id, effect.klass, effect.legit, happened, happened))
    return outcomes
