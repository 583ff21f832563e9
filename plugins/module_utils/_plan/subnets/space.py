# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free space of one family, and what lies where in it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from operator import attrgetter

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, without

_BITS = {4: 32, 6: 128}


def around(prefix: Prefix, length: int) -> Prefix:
    """The prefix of that length at the address; it holds the given one unless that is larger."""
    shift = _BITS[prefix.family] - length
    return Prefix(prefix.family, prefix.base >> shift << shift, length)


def fits(outer: Prefix, inner: Prefix) -> bool:
    """Whether inner, of the same family, is inside."""
    return outer.length <= inner.length and outer.contains(inner.base)


def size(prefixes: Iterable[Prefix]) -> int:
    """Number of addresses of disjoint prefixes."""
    return sum(prefix.size for prefix in prefixes)


class Ground:
    """Disjoint prefixes of one family, found by place."""

    def __init__(self, prefixes: Iterable[Prefix] = ()) -> None:
        self.prefixes = sorted(prefixes)

    def overlapping(self, prefix: Prefix) -> list[Prefix]:
        """Those that have an address in common with the prefix, in order."""
        first = bisect_left(self.prefixes, prefix)
        if first and self.prefixes[first - 1].overlaps(prefix):
            # One that is larger begins before it.
            return [self.prefixes[first - 1]]
        return self.prefixes[first : bisect_left(self.prefixes, Prefix(prefix.family, prefix.last + 1, 0), first)]

    def add(self, prefix: Prefix) -> None:
        insort(self.prefixes, prefix)

    def remove(self, prefix: Prefix) -> None:
        self.prefixes.remove(prefix)


class Space(Ground):
    """Addresses that are nobody's, as the largest prefixes there are."""

    def __init__(self, whole: Prefix, holes: Iterable[Prefix] = ()) -> None:
        super().__init__(without(whole, holes))

    def copy(self) -> Space:
        found = Space.__new__(Space)
        found.prefixes = list(self.prefixes)
        return found

    def take(self, prefix: Prefix) -> None:
        for free in self.overlapping(prefix):
            self.remove(free)
            for rest in without(free, (prefix,)):
                self.add(rest)

    def first(self, length: int) -> Prefix | None:
        """The lowest free prefix of that length."""
        for free in self.prefixes:
            if free.length <= length:
                return free._replace(length=length)
        return None

    def last(self, length: int, step: int) -> Prefix | None:
        """The beginning of the highest free prefix of length `step`, which is no longer than the wanted length."""
        for free in reversed(self.prefixes):
            if free.length <= step:
                return around(around(Prefix(free.family, free.last, _BITS[free.family]), step), length)
        return None

    def largest(self) -> Prefix | None:
        """The first of the largest."""
        return min(self.prefixes, key=attrgetter("length"), default=None)

    def slots(self, length: int) -> int:
        """How many prefixes of that length fit."""
        return sum(1 << (length - free.length) for free in self.prefixes if free.length <= length)
