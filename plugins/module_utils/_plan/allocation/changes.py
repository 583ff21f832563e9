# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run allocates, frees and forgets: the difference between two states of the lock file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import Allocation

NEW, AGAIN, CHANGED, FREED, GONE = "new", "taken again", "changed", "freed", "forgotten"
# Of a network; its earlier name follows.
WAS, RENAMED = "was ", "renamed"


class Change(NamedTuple):
    """One line of the file. what: of the words above. owner: a guest's interface; "" for the network itself.

    values: what was given, as text.
    """

    what: str
    network: str
    owner: str
    values: str


def of_guest(what: str, item: Allocation) -> Change:
    words = [format_ipv4(item.address)] if item.address is not None else []
    words += [format_ipv6(item.address6)] if item.address6 is not None else []
    words += [item.mac] if item.mac is not None and what != FREED else []
    return Change(what, item.network, item.owner, " ".join(words))


def counted(changes: Iterable[Change]) -> str:
    """How many of each kind, as `3 new, 1 freed`; lines that are only in another order are no change."""
    found: dict[str, int] = {}
    for change in changes:
        word = RENAMED if change.what.startswith(WAS) else change.what
        found[word] = found.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in found.items()) or "its lines in order"
