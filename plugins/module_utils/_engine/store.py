# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own files on a host: written atomically, compared by content."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

MODE = 0o644
# What a killed run may leave beside a file.
TEMPORARY = ".plainlinux-vpc-"


def read_text(path: str) -> str | None:
    """A file's text, None where there is none."""
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read()
    except FileNotFoundError:
        return None


def write_text(path: str, text: str, mode: int = MODE) -> None:
    """Replace a file as a whole: a reader, and a crash, sees the old or the new text."""
    # Daemons read what is in these folders, whatever root's umask is.
    mask = os.umask(0o022)
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    finally:
        os.umask(mask)
    write_bytes(path, text.encode(), mode)


def write_bytes(path: str, content: bytes, mode: int, owner: tuple[int, int] = (-1, -1)) -> None:
    """Replace a file as a whole, in a folder that exists. owner: user and group, -1 for those of this process."""
    descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def sweep(folder: str) -> None:
    """Remove what a writer left that was killed. Nobody may be writing there."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        if name.startswith(TEMPORARY):
            os.unlink(f"{folder}/{name}")


def remove(path: str, upto: str) -> None:
    """Remove a file, and its folders below `upto` that it leaves empty."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    folder = os.path.dirname(path)
    while folder.startswith(upto):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError:
            return
        folder = os.path.dirname(folder)


def read_json(path: str) -> dict[str, Any]:
    """A JSON file's mapping; empty where the file is missing."""
    text = read_text(path)
    if text is None:
        return {}
    content = json.loads(text)
    return content if isinstance(content, dict) else {}


def write_json(path: str, content: dict[str, Any]) -> None:
    # With indent or sort_keys 100,000 routes take 5 to 20 times as long.
    write_text(path, json.dumps(content) + "\n")
