# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole catalogue of frames for one kind of topology."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.tests.attacks import arp, dhcp, ip, l2, legit, nd
from ansible_collections.plainlinux.vpc.tests.attacks.case import Book, Case, Needle
from ansible_collections.plainlinux.vpc.tests.attacks.world import World


def catalogue(world: World) -> list[Case]:
    """All cases that exist in this world: attacks first, then what has to get through."""
    return list(written(world).cases.values())


def written(world: World) -> Book:
    """The book of this world, with what is left out of it."""
    book = Book(world)
    for module in (arp, nd, dhcp, ip, l2):
        module.attacks(book)
    for module in (arp, dhcp, legit):
        module.legitimate(book)
    owner: dict[Needle, str] = {}
    for case in book.cases.values():
        for needle in case.needles:
            other = owner.setdefault(needle, case.id)
            assert other == case.id, f"{case.id} looks like {other}"
    return book
