# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How lists of rules become others."""

from __future__ import annotations

import random
from functools import partial

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._edit import Edit, edits
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import mixed


def applied(old: list[str], found: list[Edit]) -> list[str]:
    lines = list(old)
    for edit in reversed(found):
        lines[edit.start : edit.stop] = edit.lines
    return lines


@pytest.mark.parametrize(
    "old, new, found",
    [
        ("abcd", "abcd", []),
        ("abcd", "abxd", [Edit(2, 3, ["x"])]),
        ("abcd", "bcd", [Edit(0, 1, [])]),
        ("abcd", "abcdx", [Edit(4, 4, ["x"])]),
        ("abcd", "xabcd", [Edit(0, 0, ["x"])]),
        ("ab", "ax", [Edit(1, 2, ["x"])]),
        ("a", "x", None),
        ("", "ab", None),
        ("abcd", "", None),
        ("abcd", "wxyd", None),
    ],
)
def test_what_changes(old: str, new: str, found: list[Edit] | None) -> None:
    assert edits(list(old), list(new)) == found


def test_any_lists() -> None:
    """With few different rules, so that many are there more than once."""
    for seed in range(2000):
        chance = random.Random(seed)
        old = chance.choices("abcde", k=chance.randint(0, 20))
        new = mixed(old, chance, partial(chance.choice, "abcde"))
        found = edits(old, new)
        if found is None:
            continue
        assert applied(old, found) == new
        # Whoever counts from a rule behind a change finds it unchanged.
        assert all(before.stop < after.start for before, after in zip(found, found[1:]))
