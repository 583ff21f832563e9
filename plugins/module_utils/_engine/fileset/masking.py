# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No text for people holds a part of a secret file, or what a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

HIDDEN = "(secret)"
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")
# A program may quote any part of a line: whatever shares this many characters in a row with a secret is hidden.
_LENGTH = 6
_SHORT = re.compile(r"(?<![^\s\"'`=:;,{}()<>])[^\s\"'`=:;,{}()<>]{4,5}(?![^\s\"'`=:;,{}()<>])")
# What is hidden grows to the ends of its word.
_WORD = re.compile(r"[^\s\"'`]+")


class Mask:
    """Hides every part of the secret texts, unless it also stands in a public text.

    secrets: contents of secret files, old and new. public: texts that are shown anyway. Nothing is done with either
    before the first text is to be hidden: most runs have none.
    """

    def __init__(self, secrets: Iterable[str], public: Iterable[str]) -> None:
        self._secrets = tuple(secrets)
        self._public = tuple(public)
        self._known: set[str] | None = None

    def hide(self, text: str) -> str:
        """The text with each word that holds a part of a secret replaced."""
        parts = self._parts()
        if not parts:
            return text
        return _WORD.sub(lambda match: match.group() if parts.isdisjoint(_parts(match.group())) else HIDDEN, text)

    def _parts(self) -> set[str]:
        if self._known is None:
            self._known = {part for text in self._secrets for part in _parts(text)}
            if self._known:
                for text in self._public:
                    self._known.difference_update(_parts(text))
        return self._known


def _parts(text: str) -> Iterator[str]:
    """What must not be seen of a text: each run of _LENGTH characters, and each shorter word."""
    for match in _WORD.finditer(text):
        for start in range(match.start(), match.end() - _LENGTH + 1):
            yield text[start : start + _LENGTH]
    for match in _SHORT.finditer(text):
        yield match.group()
