# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where every subnet of one family is in the end.

What is right already stays. A purpose has one block, in which its zones lie side by side and the rest is spare, for a
zone to come. A block that the user asked for is kept together, even where subnets have to move for it. One that was
not is given up rather than let a subnet move or another find no room; then the purpose has its subnets and no spare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, without
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_current import Key
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_request import (
    Purpose,
    Request,
    subnet_name,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.space import (
    Ground,
    Space,
    around,
    fits,
    size,
)


@dataclass(frozen=True)
class Layout:
    """The end. subnets: in the order of purposes and their zones. blocks: by purpose, disjoint, none in another's."""

    family: int
    whole: Prefix
    reserved: tuple[Prefix, ...]
    subnets: dict[Key, Prefix]
    blocks: dict[str, tuple[Prefix, ...]]

    def spare(self, purpose: str) -> list[Prefix]:
        """What is left of the purpose's blocks."""
        taken = Ground([*self.subnets.values(), *self.reserved])
        return [rest for block in self.blocks[purpose] for rest in without(block, taken.overlapping(block))]

    def free(self) -> Space:
        """What is nobody's."""
        blocks = [block for found in self.blocks.values() for block in found]
        return Space(self.whole, [*blocks, *self.reserved])


class _Item(NamedTuple):
    """Something to be placed as one. length: of the area that it needs, of the subnets' length or shorter."""

    length: int
    purpose: Purpose
    keys: tuple[Key, ...]


class _Refused(NamedTuple):
    item: _Item
    largest: Prefix | None


def layouts(request: Request, family: int) -> Iterator[Layout]:
    """Layouts of a family, the best first; the others are for where there is no way to it.

    Raises ModelErrors with each purpose that finds no room.
    """
    placer = _Placer(request, family)
    found: list[dict[Key, Prefix]] = []
    refused: list[_Refused] = []
    # Where nothing is now, nobody has to leave first; but it is also where those that move can wait.
    for way in product((True, False), (True, False), (False, True)):
        subnets, refused = placer.attempt(*way)
        if not refused and subnets not in found:
            found.append(subnets)
            ordered = {key: subnets[key] for purpose in request.purposes for key in purpose.keys}
            yield Layout(family, placer.whole, tuple(placer.reserved.prefixes), ordered, placer.blocks(ordered))
    if not found:
        raise ModelErrors(ModelError(item.purpose.path, _no_room(item, largest)) for item, largest in refused)


class _Placer:
    """One family of one request. old: by purpose, what it has now. stays: what is right already. homes: blocks."""

    def __init__(self, request: Request, family: int) -> None:
        self.family = family
        self.whole = request.prefixes[family]
        self.purposes = request.purposes
        self.reserved = Ground(request.reserved.get(family, ()))
        self.current = request.current.get(family, {})
        self.old: dict[str, list[Prefix]] = {purpose.name: [] for purpose in request.purposes}
        for (name, _zone), prefix in self.current.items():
            if name in self.old:
                self.old[name].append(prefix)
        self.stays: dict[Key, Prefix] = {}
        for purpose in request.purposes:
            for key in purpose.keys:
                now = self.current.get(key)
                if now is None or now.length != purpose.cuts[family].length or self.reserved.overlapping(now):
                    continue
                self.stays[key] = now
        self.homes: dict[str, Prefix] = {}
        self._find_homes()

    def _find_homes(self) -> None:
        """Blocks of the purposes that have subnets, where they are now; the stays outside a wanted block are none."""
        old = Ground(prefix for found in self.old.values() for prefix in found)
        self._choose_homes(self.purposes, old, Ground())
        # A block that is wanted may be where others are that have to go anyway.
        wanted = [purpose for purpose in self.purposes if purpose.cuts[self.family].fixed]
        self._choose_homes(wanted, Ground(self.stays.values()), Ground(self.homes.values()))
        for purpose in wanted:
            home = self.homes.get(purpose.name)
            for key in purpose.keys:
                if key in self.stays and (home is None or not fits(home, self.stays[key])):
                    del self.stays[key]

    def _choose_homes(self, purposes: Iterable[Purpose], others: Ground, homes: Ground) -> None:
        for purpose in purposes:
            if purpose.name not in self.homes:
                home = self._home(purpose, others, homes)
                if home is not None:
                    self.homes[purpose.name] = home
                    homes.add(home)

    def _home(self, purpose: Purpose, others: Ground, homes: Ground) -> Prefix | None:
        """The block with most of what the purpose has, and nothing of others."""
        cut = purpose.cuts[self.family]
        old = self.old[purpose.name]
        stays = [self.stays[key] for key in purpose.keys if key in self.stays]
        best: tuple[int, int, Prefix] | None = None
        for home in sorted({around(prefix, cut.block) for prefix in old}):
            staying = sum(fits(home, prefix) for prefix in stays)
            rank = (-staying, -sum(home.overlaps(prefix) for prefix in old), home)
            if best is not None and best < rank:
                continue
            if homes.overlapping(home) or any(prefix not in old for prefix in others.overlapping(home)):
                continue
            if not cut.fixed and staying < len(stays):
                continue
            if Space(home, self.reserved.overlapping(home)).slots(cut.length) >= len(purpose.zones):
                best = rank
        return None if best is None else best[2]

    def attempt(
        self, unused_first: bool, whole_blocks: bool, largest_first: bool
    ) -> tuple[dict[Key, Prefix], list[_Refused]]:
        """Place what does not stay. whole_blocks: also those that nobody asked for."""
        found = dict(self.stays)
        space = Space(self.whole, [*self.reserved.prefixes, *self.stays.values()])
        items: list[_Item] = []
        for purpose in self.purposes:
            cut = purpose.cuts[self.family]
            missing = tuple(key for key in purpose.keys if key not in self.stays)
            home = self.homes.get(purpose.name)
            if home is not None:
                filled = self._fill(home, purpose, missing)
                found.update(filled)
                for prefix in [home] if whole_blocks or cut.fixed else filled.values():
                    space.take(prefix)
            elif cut.fixed or (whole_blocks and len(missing) == len(purpose.keys)):
                items.append(_Item(cut.block, purpose, missing))
            else:
                items += (_Item(cut.length, purpose, (key,)) for key in missing)
        if largest_first:
            # Of two blocks, the one with smaller subnets can rather have something reserved in it.
            items.sort(key=lambda item: (item.length, item.purpose.cuts[self.family].length))
        unused = space.copy()
        for prefix in self.current.values() if unused_first else ():
            unused.take(prefix)
        refused = []
        for item in items:
            area = unused.first(item.length) or space.first(item.length) or self._with_holes(space, item)
            if area is None:
                refused.append(_Refused(item, space.largest()))
                continue
            found.update(self._fill(area, item.purpose, item.keys))
            space.take(area)
            unused.take(area)
        return found, refused

    def _with_holes(self, space: Space, item: _Item) -> Prefix | None:
        """A place for a block of which a part is reserved, but not too much."""
        length = item.purpose.cuts[self.family].length
        for free in space.prefixes:
            area = around(free, item.length)
            if not fits(self.whole, area):
                continue
            inside = space.overlapping(area)
            if size(inside) + size(self.reserved.overlapping(area)) == area.size:
                slots = sum(1 << (length - part.length) for part in inside if part.length <= length)
                if slots >= len(item.keys):
                    return area
        return None

    def _fill(self, area: Prefix, purpose: Purpose, keys: Sequence[Key]) -> dict[Key, Prefix]:
        """Give the zones what is left of an area with room for them, one beside the other."""
        stays = [self.stays[key] for key in purpose.keys if key in self.stays]
        space = Space(area, [*self.reserved.overlapping(area), *stays])
        found = {}
        for key in keys:
            prefix = space.first(purpose.cuts[self.family].length)
            if prefix is None:
                raise ValueError(f"{area.text} has no room for {subnet_name(key)}")
            found[key] = prefix
            space.take(prefix)
        return found

    def blocks(self, subnets: dict[Key, Prefix]) -> dict[str, tuple[Prefix, ...]]:
        """The block of each purpose. It follows from the subnets, so that the list of them says all of a plan."""
        ground = Ground(subnets.values())
        return {purpose.name: tuple(self._block(purpose, subnets, ground)) for purpose in self.purposes}

    def _block(self, purpose: Purpose, subnets: dict[Key, Prefix], ground: Ground) -> Iterator[Prefix]:
        own = [subnets[key] for key in purpose.keys]
        block = around(own[0], purpose.cuts[self.family].block)
        if all(fits(block, prefix) for prefix in own) and len(ground.overlapping(block)) == len(own):
            yield block
        else:
            yield from without(self.whole, without(self.whole, own))


def _no_room(item: _Item, largest: Prefix | None) -> str:
    names = ", ".join(map(subnet_name, item.keys))
    left = f"the largest free prefix is {largest.text}" if largest is not None else "nothing is free"
    return f"no room for a /{item.length} for {names}: {left}"
