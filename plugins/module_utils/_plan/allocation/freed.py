# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Freed addresses: kept for whom they were given to, and from others until enough other ones have been given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import Allocation

# So many other addresses of a network are given before a freed one is: longer than what others remember of it, as ARP,
# DNS and logs do, is hardly needed, and a small network does not run out.
OTHERS_FIRST = 16

Owner = tuple[str, str, int]


class Freed:
    """The freed addresses of all networks."""

    def __init__(self, items: Iterable[Allocation]) -> None:
        self._items: dict[int, Allocation] = {}
        self._by_owner: dict[Owner, list[int]] = {}
        for item in items:
            self.add(item)

    def add(self, item: Allocation) -> None:
        at = len(self._items)
        self._items[at] = item
        self._by_owner.setdefault(item.key, []).append(at)

    def back(self, owner: Owner, family: int, fits: Callable[[int], bool]) -> int | None:
        """Take what was freed last of those addresses of the owner that fit."""
        found = ((self._items[at], at) for at in self._by_owner.get(owner, ()))
        for item, at in sorted(found, key=lambda entry: (entry[0].number, entry[1]), reverse=True):
            address = _address(item, family)
            if address is not None and fits(address):
                self._without(at, family)
                return address
        return None

    def mac(self, owner: Owner) -> str | None:
        """The MAC that the owner had last."""
        found = [self._items[at] for at in self._by_owner.get(owner, ()) if self._items[at].mac is not None]
        return max(found, key=attrgetter("number")).mac if found else None

    def oldest(self, network: str, family: int, fits: Callable[[int], bool]) -> int | None:
        """Take what was freed first, for a network in which nothing else is left."""
        found = [
            (item.number, address, at)
            for at, item in self._items.items()
            if item.network == network and (address := _address(item, family)) is not None and fits(address)
        ]
        if not found:
            return None
        _number, address, at = min(found)
        self._without(at, family)
        return address

    def left(self, keep: Callable[[Allocation], Allocation | None]) -> list[Allocation]:
        """Those that still hold an address. keep: gives what remains of one, None for nothing."""
        found = map(keep, self._items.values())
        return [item for item in found if item is not None and (item.address is not None or item.address6 is not None)]

    def _without(self, at: int, family: int) -> None:
        item = self._items[at]
        self._items[at] = item._replace(address=None, text="") if family == 4 else item._replace(address6=None, text="")


def _address(item: Allocation, family: int) -> int | None:
    return item.address if family == 4 else item.address6
