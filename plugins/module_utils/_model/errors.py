# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every mistake of a model, collected, so that a user sees all of them in one run."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

# Comparing a word with every known one is slow; past this many misspelt words the first hints say enough.
_HINTS = 100
_SHOWN = 50
_BARE = re.compile(r"[!-~]+")
# An index in a list, or a line of a file.
_NUMBER = re.compile(r"\[(\d+)\]|^:(\d+)")


class ModelError(NamedTuple):
    """One mistake. path: where it stands, as `vpc_instances[3].address`. message: the value and what is allowed."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ModelErrors(Exception):
    """The model cannot work. errors: every mistake, in the order of the input; str() gives a line for each."""

    def __init__(self, errors: Iterable[ModelError]) -> None:
        self.errors = tuple(errors)
        super().__init__(self.errors)

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


class Report:
    """The mistakes of one part of the input."""

    def __init__(self) -> None:
        self.errors: list[ModelError] = []
        self._hints: dict[tuple[str, int], str] = {}

    def add(self, path: str, message: str) -> None:
        self.errors.append(ModelError(path, message))

    def hint(self, word: str, known: Collection[str]) -> str:
        """`; did you mean <the nearest known word>?`, or "" where none is near. known lives as long as the report."""
        key = (word, id(known))
        if key not in self._hints:
            if len(self._hints) >= _HINTS:
                return ""
            near = difflib.get_close_matches(word, sorted(known), 1)
            self._hints[key] = f"; did you mean {near[0]}?" if near else ""
        return self._hints[key]

    def ordered(self, file: str = "") -> list[ModelError]:
        """The mistakes by the list indexes in their paths; those of one item as they were found.

        file: what paths into a file start with. Its mistakes come last, in the order of its lines or indexes.
        """

        def key(error: ModelError) -> tuple[bool, list[int]]:
            last = bool(file) and error.path.startswith(file)
            found = _NUMBER.findall(error.path[len(file) :] if last else error.path)
            return last, [int(index or line) for index, line in found]

        return sorted(self.errors, key=key)


def show(value: Any) -> str:
    """A value of the input on one line: a plain word as it is, anything else quoted, cut when long."""
    if isinstance(value, str) and len(value) <= _SHOWN and _BARE.fullmatch(value):
        return str.__str__(value)
    if isinstance(value, (list, tuple, Mapping)):
        return kind(value)
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def kind(value: Any) -> str:
    """What a value is, in the words of a YAML author."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    return f"a {type(value).__name__}"
