# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file: to text and back, and the exact lines that answer mistakes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import (
    HEADER,
    Allocation,
    Lock,
    LockedNetwork,
    render,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock_read import read
from hypothesis import given
from hypothesis import strategies as st

NAME = "vpc-lock.txt"
TABLE = yaml.safe_load(Path(__file__).with_name("lock_mistakes.yml").read_text(encoding="utf-8"))
CASES = [pytest.param(case, id=case["rule"]) for case in TABLE["cases"]]

BODY = """
network net1 10.10.10.0/24 2001:db8:10::/64 1882266761 02:95:55:11:d3:3a
guest net1 10.10.10.3 2001:db8:10::bf6d:651b 52:54:00:0a:0a:03 vm2 2
freed net1 10.10.10.4 - - vm9 1
guest net1 10.10.10.30 - 52:54:00:0a:0a:1e vm1#2 3
freed net1 - 2001:db8:10::7 52:54:00:0a:0a:07 vm3 1
guest net1 - 2001:db8:10::6a5f:55ca 52:54:00:0a:0a:0a vm1 1
guest net1 - - 52:54:00:0a:0a:0b vm4 0

network wan 192.0.2.0/24 - - -
guest wan 192.0.2.9 - 52:54:00:00:02:09 vm1 1
"""


@pytest.mark.parametrize("case", CASES)
def test_mistakes(case: dict[str, Any]) -> None:
    text = case["whole"] if "whole" in case else f"format 1\n{case['given']}"
    with pytest.raises(ModelErrors) as caught:
        read(text, NAME)
    assert str(caught.value).splitlines() == case["errors"]


def test_a_file_is_what_it_says() -> None:
    lock = read(HEADER + BODY, NAME)
    assert render(lock) == HEADER + BODY
    assert lock.networks["net1"][1:5] == (
        Prefix(4, 0x0A0A0A00, 24),
        Prefix(6, 0x20010DB80010 << 80, 64),
        1882266761,
        "02:95:55:11:d3:3a",
    )
    assert lock.networks["wan"].table is lock.networks["wan"].mac is None
    first, second, third, last = (lock.guests[index] for index in (0, 1, 2, 4))
    assert first[:7] == ("net1", 0x0A0A0A03, 0x20010DB800100000_00000000BF6D651B, "52:54:00:0a:0a:03", "vm2", 1, 2)
    assert (second.owner, second.key) == ("vm1#2", ("net1", "vm1", 2))
    assert (third.address, last.network) == (None, "wan")
    assert [item.guest for item in lock.freed] == ["vm9", "vm3"]
    assert bool(lock)
    assert not Lock()


def test_the_order_of_lines_and_blanks_do_not_matter() -> None:
    lines = (HEADER + BODY).splitlines()
    random.Random(1).shuffle(lines)
    text = "\r\n".join(line.replace(" ", " \t") for line in lines)
    assert render(read(text, NAME)) == HEADER + BODY


def test_who_gets_an_address_does_not_move_its_line() -> None:
    """Else two branches that give one address to two guests would insert them at two places."""
    assert render(read(HEADER + BODY.replace("vm2", "zz"), NAME)) == HEADER + BODY.replace("vm2", "zz")


def test_100000_times_the_same_line_is_refused_in_time() -> None:
    with pytest.raises(ModelErrors) as caught:
        read("format 1\n" + "guest net1 10.10.10.20 - - vm1 1\n" * 100_000, NAME)
    assert len(caught.value.errors) == 99_999


ADDRESSES = st.integers(1, 2**32 - 2)
ADDRESSES6 = st.integers(1, 2**128 - 2)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.none() | ADDRESSES, st.none() | ADDRESSES6, st.integers(0, 99)),
        max_size=20,
        unique_by=(lambda item: item[1] or object(), lambda item: item[2] or object()),
    ),
    st.randoms(use_true_random=False),
)
def test_what_is_written_is_read(items: list[tuple[Any, ...]], shuffle: random.Random) -> None:
    found = [
        Allocation(network, address, address6, f"02:00:00:00:00:{index:02x}", f"g{index}", 1, number)
        for index, (network, address, address6, number) in enumerate(items)
    ]
    freed = [item for item in found[::3] if item[1:3] != (None, None)]
    guests = [item for item in found if item not in freed]
    networks = {name: LockedNetwork(name, None, None, 10**9 + ord(name), None) for name in "ab"}
    text = render(Lock(NAME, networks, tuple(guests), tuple(freed)))
    again = read(text, NAME)
    assert render(again) == text
    assert {item[:7] for item in again.guests} == {item[:7] for item in guests}
    assert {item[:7] for item in again.freed} == {item[:7] for item in freed}
    shuffle.shuffle(guests)
    assert render(Lock(NAME, networks, tuple(guests), tuple(freed))) == text
