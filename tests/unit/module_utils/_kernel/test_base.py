# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison that everything rests on."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import _base
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Delta, Output
from hypothesis import given
from hypothesis import strategies as st

# Few keys and values, so that states share some.
STATES = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("123"))


def applied(state: dict[str, str], delta: Delta) -> dict[str, str]:
    left = {key: value for key, value in state.items() if key not in delta.removed}
    return {**left, **{key: delta.after[key] for key in delta.put}}


@given(STATES, STATES)
def test_a_delta_applied_leaves_no_difference(before: dict[str, str], after: dict[str, str]) -> None:
    delta = Delta.between(before, after)
    assert applied(before, delta) == after
    assert not Delta.between(applied(before, delta), after)
    assert applied(after, Delta(delta.after, delta.before)) == before


@given(STATES, STATES)
def test_a_delta_names_every_key_once(before: dict[str, str], after: dict[str, str]) -> None:
    delta = Delta.between(before, after)
    assert sorted(delta.added + delta.changed) == delta.put
    assert sorted(delta.put + delta.removed) == sorted({*delta.before, *delta.after})
    assert not any(before.get(key) == after.get(key) for key in (*delta.before, *delta.after))
    assert bool(delta) == (before != after)


@pytest.mark.parametrize("count, sizes", [(0, []), (1, [1]), (10_000, [10_000]), (20_001, [10_000, 10_000, 1])])
def test_batches(count: int, sizes: list[int]) -> None:
    texts = list(_base.batches(str(number) for number in range(count)))
    assert [text.count("\n") for text in texts] == sizes
    assert "".join(texts).split() == [str(number) for number in range(count)]


@pytest.mark.parametrize(
    "stdin, stderr, line",
    [
        ("one\ntwo\n", "RTNETLINK answers: File exists\nCommand failed -:2\n", "two"),  # iproute2 6.1.0
        ("one\ntwo\n", "Command failed -:3\n", ""),
        ("one\ntwo\n", "no number\n", ""),
        (None, "Command failed -:2\n", ""),
    ],
)
def test_failing_line(stdin: str | None, stderr: str, line: str) -> None:
    assert _base.failing_line(Command(("ip",), stdin), Output(1, "", stderr)) == line
