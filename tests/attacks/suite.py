# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the whole catalogue against one guard in one world, and count."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.tests.attacks.case import Case
from ansible_collections.plainlinux.vpc.tests.attacks.catalogue import catalogue
from ansible_collections.plainlinux.vpc.tests.attacks.effects import effects
from ansible_collections.plainlinux.vpc.tests.attacks.guards import Guard
from ansible_collections.plainlinux.vpc.tests.attacks.stage import Stage
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
    """All outcomes of one run. seconds: wall time, with building the topology and installing the guard."""

    outcomes: tuple[Outcome, ...]
    seconds: float

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

    def table(self) -> str:
        """Stopped attacks and working exchanges, class by class."""
        rows = []
        for legit, title in ((False, "attacks stopped"), (True, "legitimate exchanges that work")):
            good, total = self.count(legit)
            rows.append((title, good, total))
            classes = dict.fromkeys(one.klass for one in self.outcomes if one.legit == legit)
            rows += [(f"  {klass}", *self.count(legit, klass)) for klass in classes]
        width = max(len(row[0]) for row in rows)
        return "\n".join(f"{name:{width}}  {good:4} of {total:4}" for name, good, total in rows)


def run(guard: Guard, world: World) -> Report:
    """Build the topology, install the guard, try everything, remove the topology.

    Legitimate frames go first: without a guard, attacks leave poisoned caches behind.
    """
    start = time.monotonic()
    cases = catalogue(world)
    with Topology(world) as topology, Wire(topology) as wire:
        guard(topology, world.policy)
        outcomes = _frames(wire, [case for case in cases if case.legit])
        outcomes += _effects(Stage(topology, wire), True)
        outcomes += _frames(wire, [case for case in cases if not case.legit])
        outcomes += _effects(Stage(topology, wire), False)
    return Report(tuple(outcomes), time.monotonic() - start)


def _frames(wire: Wire, cases: Sequence[Case]) -> list[Outcome]:
    outcomes = []
    for result in wire.run(cases):
        case = result.case
        named = case.seen - result.got if case.legit else result.got
        note = f" [{'not seen by' if case.legit else 'seen by'} {', '.join(sorted(named))}]" if named else ""
        outcomes.append(Outcome(case.id, case.klass, case.legit, result.passed, result.got == case.seen, note))
    return outcomes


def _effects(stage: Stage, legit: bool) -> list[Outcome]:
    outcomes = []
    for effect in effects(stage.world):
        if effect.legit == legit:
            happened = effect.attempt(stage)
            outcomes.append(Outcome(effect.id, effect.klass, legit, happened, happened))
    return outcomes
