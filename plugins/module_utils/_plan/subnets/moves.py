# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which subnets of one family move, so that no two ever overlap and each new one is there before its old.

Zones are emptied one after the other. Where a new prefix overlaps the old one of the same subnet, or subnets wait for
each other in a circle, one goes by a temporary prefix: unused now, and not needed in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_current import Key
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_request import Request, subnet_name
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.layout import Layout
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.space import Ground, Space


class Hop(NamedTuple):
    """A subnet gets another prefix. temporary: whether it is to move on."""

    key: Key
    source: Prefix
    target: Prefix
    temporary: bool


@dataclass
class Visit:
    """Moves of one zone in a row. sole: purposes that no other zone serves meanwhile."""

    zone: str
    hops: list[Hop]
    sole: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Journey:
    """The way from what there is to the end: remove cleared, make visits, remove vacated, create, remove rest.

    cleared, vacated: what is wanted no longer and in the way, of moves and of created ones. stays: that does nothing.
    """

    stays: dict[Key, Prefix]
    cleared: dict[Key, Prefix]
    visits: list[Visit]
    vacated: dict[Key, Prefix]
    created: dict[Key, Prefix]
    rest: dict[Key, Prefix]


def travel(request: Request, layout: Layout) -> Journey:
    """The way to the layout. Raises ModelErrors where there is no room for a temporary prefix."""
    return _Traveller(request, layout).travel()


class _State(NamedTuple):
    """What there is at one moment. ground: the same prefixes."""

    places: dict[Key, Prefix]
    owners: dict[Prefix, Key]
    ground: Ground

    @classmethod
    def of(cls, places: dict[Key, Prefix]) -> _State:
        return cls(dict(places), {prefix: key for key, prefix in places.items()}, Ground(places.values()))

    def copy(self) -> _State:
        return _State.of(self.places)

    def overlapping(self, prefix: Prefix) -> list[Key]:
        return [self.owners[found] for found in self.ground.overlapping(prefix)]

    def remove(self, key: Key) -> Prefix:
        prefix = self.places.pop(key)
        del self.owners[prefix]
        self.ground.remove(prefix)
        return prefix

    def move(self, hop: Hop) -> None:
        self.remove(hop.key)
        self.places[hop.key] = hop.target
        self.owners[hop.target] = hop.key
        self.ground.add(hop.target)


class _Traveller:
    """One family. targets: of what moves, by zone in the order of zones, then of purposes. gone: wanted no longer."""

    def __init__(self, request: Request, layout: Layout) -> None:
        self.layout = layout
        self.paths = {purpose.name: purpose.path for purpose in request.purposes}
        current = request.current.get(layout.family, {})
        self.state = _State.of(current)
        self.stays = {key: prefix for key, prefix in layout.subnets.items() if current.get(key) == prefix}
        self.created = {key: prefix for key, prefix in layout.subnets.items() if key not in current}
        self.gone = [key for key in current if key not in layout.subnets]
        moving: dict[str, dict[Key, Prefix]] = {zone: {} for zone in request.zones}
        for key, prefix in layout.subnets.items():
            if key in current and key not in self.stays:
                moving[key[1]][key] = prefix
        self.targets = {key: prefix for found in moving.values() for key, prefix in found.items()}
        # Room for temporary prefixes: best what nobody has had, else what nobody will have.
        self.unused = layout.free()
        for prefix in current.values():
            self.unused.take(prefix)
        self.in_the_end = Space(layout.whole, [*layout.reserved, *layout.subnets.values()])
        self.parked: dict[Key, Prefix] = {}
        self.visits: list[Visit] = []

    def travel(self) -> Journey:
        cleared = self._remove(self.targets.values())
        while self.targets:
            if self._visit_a_zone():
                continue
            # What is wanted no longer may be all the room that there is.
            rest = self._remove([self.layout.whole])
            cleared.update(rest)
            if not rest and not self._park():
                raise ModelErrors(self._stuck())
        vacated = self._remove(self.created.values())
        rest = self._remove([self.layout.whole])
        return Journey(self.stays, cleared, self.visits, vacated, self.created, rest)

    def _remove(self, areas: Iterable[Prefix]) -> dict[Key, Prefix]:
        """Remove what is wanted no longer and in one of the areas."""
        hit = {key for area in areas for key in self.state.overlapping(area)}
        removed = {key: self.state.remove(key) for key in self.gone if key in hit}
        self.gone = [key for key in self.gone if key not in removed]
        return removed

    def _visit_a_zone(self) -> bool:
        """Make the moves of the first zone in which all can be made, or else of the first in which any can."""
        partly: list[Hop] = []
        for zone in dict.fromkeys(key[1] for key in self.targets):
            hops, complete = self._possible(zone)
            if complete:
                self._make(hops)
                return True
            partly = partly or hops
        self._make(partly)
        return bool(partly)

    def _possible(self, zone: str) -> tuple[list[Hop], bool]:
        """The moves that can be made in a zone, and whether these are all."""
        state = self.state.copy()
        waiting = [key for key in self.targets if key[1] == zone]
        hops: list[Hop] = []
        before = len(waiting) + 1
        while waiting and len(waiting) < before:
            before = len(waiting)
            left = []
            for key in waiting:
                found = list(self._way(state, key))
                for hop in found:
                    state.move(hop)
                hops += found
                if not found:
                    left.append(key)
            waiting = left
        return hops, not waiting

    def _way(self, state: _State, key: Key) -> Iterator[Hop]:
        """One move or two that bring a subnet to its target; none where that is not possible now."""
        here, target = state.places[key], self.targets[key]
        blockers = state.overlapping(target)
        if not blockers:
            yield Hop(key, here, target, temporary=False)
        elif blockers == [key]:
            place = self._temporary(state, key)
            if place is not None:
                yield Hop(key, here, place, temporary=True)
                yield Hop(key, place, target, temporary=False)

    def _temporary(self, state: _State, key: Key) -> Prefix | None:
        """The beginning of the last free prefix that could hold both, the old and the new; smaller if there is none."""
        here, target = state.places[key], self.targets[key]
        # Nothing is in unused but what has been put there.
        for space, taken in ((self.unused, self.parked), (self.in_the_end, state.places)):
            free = space.copy()
            for prefix in taken.values():
                free.take(prefix)
            for step in sorted({min(here.length, target.length), target.length}):
                place = free.last(target.length, step)
                if place is not None:
                    return place
        return None

    def _make(self, hops: list[Hop]) -> None:
        for hop in hops:
            zone = hop.key[1]
            if not self.visits or self.visits[-1].zone != zone:
                self.visits.append(Visit(zone, []))
            visit = self.visits[-1]
            name = hop.key[0]
            if name not in visit.sole and all(key[0] != name or key[1] == zone for key in self.state.places):
                visit.sole.append(name)
            visit.hops.append(hop)
            self.state.move(hop)
            if hop.temporary:
                self.parked[hop.key] = hop.target
            else:
                self.parked.pop(hop.key, None)
                del self.targets[hop.key]

    def _park(self) -> bool:
        """Break a circle: one of it goes to a temporary prefix and waits there for its target."""
        for start in self.targets:
            circle = self._circle(start)
            for key in self.targets:
                place = self._temporary(self.state, key) if key in circle else None
                if place is not None:
                    self._make([Hop(key, self.state.places[key], place, temporary=True)])
                    return True
        return False

    def _circle(self, key: Key) -> list[Key]:
        """Subnets of which each waits for the next, the last for the first; reached from the given one."""
        seen: list[Key] = []
        while key not in seen:
            seen.append(key)
            blockers = [found for found in self.state.overlapping(self.targets[key]) if found != key]
            if not blockers:
                return []
            key = blockers[0]
        return seen[seen.index(key) :]

    def _stuck(self) -> Iterator[ModelError]:
        free = Space(self.layout.whole, [*self.layout.reserved, *self.layout.subnets.values()])
        for prefix in self.state.places.values():
            free.take(prefix)
        largest = free.largest()
        left = f"the largest such prefix is {largest.text}" if largest is not None else "nothing is"
        for key, target in self.targets.items():
            here = self.state.places[key].text
            names = ", ".join(map(subnet_name, self.state.overlapping(target)))
            yield ModelError(
                self.paths[key[0]],
                f"{subnet_name(key)} cannot move from {here} to {target.text}, where {names} is: no temporary "
                f"/{target.length} is both unused now and not needed in the end: {left}",
            )
