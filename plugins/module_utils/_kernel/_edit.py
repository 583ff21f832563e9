# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one list of rules becomes another where most of it stays."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple


class Edit(NamedTuple):
    """Lines start to stop of the old list give way to others. What follows them, if anything does, stays."""

    start: int
    stop: int
    lines: Sequence[str]


def edits(old: Sequence[str], new: Sequence[str]) -> list[Edit] | None:
    """What leads from the old to the new lines, in order; None where writing the new ones costs no more.

    Equal lines are told apart by their places only.
    """
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    before, after = old[head : len(old) - tail], new[head : len(new) - tail]
    found = [
        Edit(head + start, head + stop, after[first:last])
        for tag, start, stop, first, last in SequenceMatcher(None, before, after).get_opcodes()
        if tag != "equal"
    ]
    touched = sum(max(edit.stop - edit.start, len(edit.lines)) for edit in found)
    return found if touched * 2 <= max(len(old), len(new)) else None
