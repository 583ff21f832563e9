# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests' files of Xen. Nothing in them is run, whatever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import xen_config
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.domain import Card, Domain
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.xen_config import read_xen
from hypothesis import given
from hypothesis import strategies as st

FILES = yaml.safe_load(Path(__file__).with_name("xen_configs.yml").read_text(encoding="utf-8"))
UNKNOWN = ": computed, conditional or not closed"


@pytest.mark.parametrize("case", FILES, ids=lambda case: case["file"])
def test_file(case: dict[str, Any]) -> None:
    cards = tuple(Card(**{**card, "addresses": tuple(card.get("addresses", ()))}) for card in case.get("cards", []))
    fault = case.get("fault", "").format(UNKNOWN)
    name = case.get("name", case.get("known", ""))
    assert read_xen(case["text"]) == Domain(name, cards, fault, tuple(case.get("notes", ())))


def test_nothing_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    touch = f"__import__('pathlib').Path({str(trace)!r}).touch()"
    text = f"{touch}\nvif = [ {touch} or 'bridge=lan' ]\nname = {touch}\n"
    assert read_xen(text).fault
    assert not trace.exists()
    exec(text, {})  # noqa: S102 - the text would have done it
    assert trace.exists()
    source = Path(str(xen_config.__file__)).read_text(encoding="utf-8")
    assert not any(word in source for word in ("eval(", "exec(", "compile(p", "import ast"))


@given(st.text("nameviftr=+[](){},;'\"\\#: \n\t1ip6", max_size=80))
def test_anything_is_a_guest_or_has_a_fault(text: str) -> None:
    found = read_xen(text)
    assert found.fault or found.name


PLAIN = st.text("abcdefghijklmnopqrstuvwxyz0123456789.:- ", min_size=1, max_size=20).filter(
    lambda text: text == text.strip()
)


@given(
    PLAIN, st.lists(st.tuples(PLAIN, PLAIN), max_size=4), st.sampled_from("'\""), st.sampled_from([",", ",\n\t# x\n"])
)
def test_a_file_that_is_written_is_read(name: str, cards: list[tuple[str, str]], quote: str, comma: str) -> None:
    specs = comma.join(f"{quote}mac={mac},bridge={bridge}{quote}" for mac, bridge in cards)
    found = read_xen(f"memory = 5\nname={quote}{name}{quote}\n\nvif = [{specs}]\n")
    assert found == Domain(name, tuple(Card(mac=mac, bridge=bridge) for mac, bridge in cards))
