# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder on the controller that holds texts of all guests, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable


def replace(folder: str, texts: Iterable[tuple[str, str]], check: bool = False) -> tuple[bool, int]:
    """Make a folder hold these texts, by file name with at most one folder before it; others are removed.

    Gives whether anything differed, and the number of texts. check: writes nothing. Raises OSError.
    """
    changed, wanted = False, set()
    for name, text in texts:
        wanted.add(name)
        path = os.path.join(folder, name)
        if _read(path) != text:
            changed = True
            if not check:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                _write(path, text)
    for base, _folders, names in list(os.walk(folder, topdown=False)):
        for name in names:
            path = os.path.join(base, name)
            if os.path.relpath(path, folder) not in wanted:
                changed = True
                if not check:
                    os.unlink(path)
        if not (check or base == folder or os.listdir(base)):
            os.rmdir(base)
    return changed, len(wanted)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            return handle.read()
    except FileNotFoundError:
        return None


def _write(path: str, text: str) -> None:
    """As a whole, so that nobody reads a half."""
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8", newline="") as handle:
        handle.write(text)
    os.replace(temporary, path)
