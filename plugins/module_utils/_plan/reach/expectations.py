# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says of each of vpc_expectations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, DROP
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.question import (
    Answer,
    Question,
    ask,
    fulfils,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import World

# So many a sentence names.
_NAMED = 5


class Result(NamedTuple):
    """An expectation and its answer. path: where it was written. right: None where others than we decide."""

    path: str
    question: Question
    accept: bool
    answer: Answer
    right: bool | None

    @property
    def expected(self) -> str:
        return ACCEPT if self.accept else DROP

    @property
    def text(self) -> str:
        """The question in a few words."""
        family = f" in IPv{self.question.family}" if self.question.family else ""
        return f"{self.question.source} to {self.question.target} {self.question.text}{family}"

    @property
    def message(self) -> str:
        """What is wrong with it."""
        return f"{self.text} is expected to be {self.expected}, but is {self.answer.verdict}: {self.answer.decided}"


def of_summary(summary: Mapping[str, Any], world: World | None = None) -> list[Result]:
    """Every expectation of a plan. Costs nothing where there is none."""
    expectations = summary.get("expectations", {})
    if not expectations:
        return []
    return list(_results(world if world is not None else World(summary), expectations))


def _results(world: World, expectations: Mapping[str, Mapping[str, Any]]) -> Iterator[Result]:
    for path, item in expectations.items():
        question = Question(item["from"], item["to"], item["protocol"], item["port"], item["family"])
        answer = ask(world, question, item["accept"])
        yield Result(path, question, item["accept"], answer, fulfils(answer, item["accept"]))


def wrong(results: Iterable[Result]) -> list[dict[str, str]]:
    """{path, message} of those that the plan does not fulfil."""
    return [{"path": item.path, "message": item.message} for item in results if item.right is False]


def undecided(results: Iterable[Result]) -> list[str]:
    """A sentence on those that nothing of ours decides; none without such."""
    found = [item.text for item in results if item.right is None]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    listed = "; ".join(found[:_NAMED]) + more
    return [f"what others do decides {len(found)} of the expectations: {listed}"] if found else []
