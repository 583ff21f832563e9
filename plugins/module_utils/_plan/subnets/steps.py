# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journeys as one numbered list of steps, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_current import Key
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_request import subnet_name
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.moves import Hop, Journey, Visit
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.space import fits

VACATE, MOVE, RETURN, CREATE, REMOVE = "vacate", "move", "return", "create", "remove"


class _Change(NamedTuple):
    """What a step does to a subnet. source: what goes; target: what comes before that."""

    key: Key
    source: Prefix | None
    target: Prefix | None
    temporary: bool = False


def listing(words: Sequence[str]) -> str:
    """Words as a sentence has them."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


class Steps:
    """Steps of all families, one family after the other. listed: as a result has them."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self.family = 4
        # Of the last return to a zone: two zones are never empty at once.
        self.returned: list[int] = []
        # Of the step after which nobody has a prefix, and of the one that put a subnet where it is.
        self.freed: list[tuple[Prefix, int]] = []
        self.arrived: dict[Key, int] = {}

    def add(self, family: int, journey: Journey) -> None:
        self.family, self.freed, self.arrived = family, [], {}
        self._remove(journey.cleared)
        for visit in journey.visits:
            self._visit(visit)
        self._remove(journey.vacated)
        for key, prefix in journey.created.items():
            self._change(CREATE, _Change(key, None, prefix), f"Create {subnet_name(key)}, {prefix.text}.")
        self._remove(journey.rest)

    def _visit(self, visit: Visit) -> None:
        names = [subnet_name(key) for key in dict.fromkeys(hop.key for hop in visit.hops)]
        text = f"Vacate zone {visit.zone}: {listing(names)} will move; other zones serve until step {{}}."
        if visit.sole:
            text += f" {listing(visit.sole)} {'has' if len(visit.sole) == 1 else 'have'} none: expect an interruption."
        back = len(self.listed) + len(visit.hops) + 2
        vacated = self._append(VACATE, visit.zone, self.returned, text.format(back))
        moved = [self._move(hop, vacated) for hop in visit.hops]
        text = f"Return to zone {visit.zone}: {listing(names)} can serve again."
        self.returned = [self._append(RETURN, visit.zone, moved, text)]

    def _move(self, hop: Hop, vacated: int) -> int:
        meanwhile = " for the time being" if hop.temporary else ""
        text = f"Move {subnet_name(hop.key)}: create {hop.target.text}{meanwhile}, then remove {hop.source.text}."
        return self._change(MOVE, _Change(*hop), text, (vacated,))

    def _remove(self, removed: dict[Key, Prefix]) -> None:
        for key, prefix in removed.items():
            self._change(REMOVE, _Change(key, prefix, None), f"Remove {subnet_name(key)}, {prefix.text}.")

    def _change(self, action: str, change: _Change, text: str, needs: Iterable[int] = ()) -> int:
        needs = [*needs, *(number for key, number in self.arrived.items() if key == change.key)]
        if change.target is not None:
            needs += (number for prefix, number in self.freed if prefix.overlaps(change.target))
        number = self._append(action, change.key[1], needs, text, change)
        if change.source is not None:
            # Who had it, or a part of it, before needs not be named again.
            self.freed = [(prefix, before) for prefix, before in self.freed if not fits(change.source, prefix)]
            self.freed.append((change.source, number))
        self.arrived[change.key] = number
        return number

    def _append(self, action: str, zone: str, needs: Iterable[int], text: str, change: _Change | None = None) -> int:
        number = len(self.listed) + 1
        source, target = (change.source, change.target) if change is not None else (None, None)
        self.listed.append(
            {
                "number": number,
                "action": action,
                "family": self.family,
                "name": subnet_name(change.key) if change is not None else None,
                "zone": zone,
                "from": source.text if source is not None else None,
                "to": target.text if target is not None else None,
                "temporary": change is not None and change.temporary,
                "needs": sorted(set(needs)),
                "text": text,
            }
        )
        return number
