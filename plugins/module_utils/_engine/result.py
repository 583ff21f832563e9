# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells its user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta

OBJECTS_SHOWN = 50
# A first run on a large router differs in everything; nobody reads more than this.
DIFF_LINES = 2000


def present(deltas: Mapping[str, Delta], commands: Sequence[str], diff: bool) -> dict[str, Any]:
    """Module results: changed, plan, objects, commands, and the diff of owned objects where asked for."""
    counts = {
        name: {"added": len(delta.added), "changed": len(delta.changed), "removed": len(delta.removed)}
        for name, delta in deltas.items()
        if delta
    }
    names = _names(deltas)
    content: dict[str, Any] = {
        "changed": bool(counts),
        "plan": counts,
        "objects": [name for name, unused in zip(names, range(OBJECTS_SHOWN))],
        "commands": list(commands),
    }
    if diff:
        content["diff"] = [
            {
                "before_header": name,
                "after_header": name,
                "before": _text(delta.before),
                "after": _text(delta.after),
            }
            for name, delta in deltas.items()
            if delta
        ]
    return content


def _names(deltas: Mapping[str, Delta]) -> Iterator[str]:
    for name, delta in deltas.items():
        for key in sorted({*delta.before, *delta.after}):
            yield f"{name} {key}"


def _text(state: Mapping[str, str]) -> str:
    lines = []
    for key in sorted(state):
        lines.extend(_lines(key, state[key]))
        if len(lines) > DIFF_LINES:
            lines.append(f"... {len(state)} objects in all")
            break
    return "".join(f"{line}\n" for line in lines)


def _lines(key: str, value: str) -> list[str]:
    if "\n" not in value:
        return [f"{key}: {value}"]
    return [f"{key}:", *(f"    {line}" for line in value.splitlines())]
