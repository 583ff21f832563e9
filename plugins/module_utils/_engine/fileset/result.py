# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells its user about a set of files."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.copies import Copy
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.masking import CONTROL
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.transaction import Result

# Past this many lines, or characters, nobody reads a file in a diff.
DIFF_LINES = 2000
DIFF_SIZE = 1 << 18


def present(done: Result, diff: bool) -> dict[str, Any]:
    """Module results: changed, files, checked, applied, and the diff of the files where asked for."""
    content: dict[str, Any] = {
        "changed": done.changed,
        "files": {
            "added": [dest for dest in done.after if done.before[dest] is None],
            "changed": [
                dest
                for dest, copy in done.after.items()
                if copy is not None and done.before[dest] is not None and dest not in done.restored
            ],
            "removed": [dest for dest, copy in done.after.items() if copy is None],
            "restored": list(done.restored),
        },
        "checked": list(done.checked),
        "applied": list(done.applied),
    }
    if diff:
        content["diff"] = [item for dest in done.after for item in _diff(done, dest)]
    return content


def _diff(done: Result, dest: str) -> list[dict[str, str]]:
    before, after = done.before[dest], done.after[dest]
    items = []
    if before is None or after is None or before.content != after.content:
        texts = [_text(done, dest, copy) for copy in (before, after)]
        # Of what is not shown, the size may be the same.
        if dest in done.secret or (texts[0] == texts[1] and texts[1].startswith("(")):
            texts[1] = re.sub(r"\)$", ", changed)", texts[1])
        items.append({"before": texts[0], "after": texts[1]})
    rights = [copy.rights() + "\n" if copy is not None else "" for copy in (before, after)]
    if rights[0] != rights[1]:
        items.append({"before": rights[0], "after": rights[1]})
    return [{"before_header": dest, "after_header": dest, **item} for item in items]


def _text(done: Result, dest: str, copy: Copy | None) -> str:
    if copy is None:
        return ""
    if dest in done.secret:
        return f"(secret, {len(copy.content)} bytes)\n"
    try:
        text = copy.content.decode()
    except UnicodeDecodeError:
        text = "\0"
    # A terminal would obey some of them.
    if CONTROL.search(text):
        return f"(not text, {len(copy.content)} bytes)\n"
    if len(text) > DIFF_SIZE:
        return f"({len(copy.content)} bytes)\n"
    lines = done.mask.hide(text).splitlines(keepends=True)
    if len(lines) > DIFF_LINES:
        lines[DIFF_LINES:] = [f"... {len(lines)} lines in all\n"]
    return "".join(lines)
