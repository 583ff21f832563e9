# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to a single question, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.expectations import Result

# Ways that are written out.
_WAYS = 4


def of_answer(result: Result, packets: Sequence[Mapping[str, Any]] = ()) -> str:
    """Verdict, what decides it, and the steps. packets: {text, sent, outcome, fault} of those that were sent."""
    answer = result.answer
    lines = [f"{result.text}: {answer.verdict}", f"decided by {answer.decided}"]
    ways = [item for item in answer.packets if item is not answer.decisive]
    for item in [*([answer.decisive] if answer.decisive is not None else []), *ways][:_WAYS]:
        lines += ["", f"IPv{item.family}: {item.way.verdict}", *(f"  {step}" for step in item.way.steps)]
        if item.way.unknown:
            lines.append(f"  not known: {'; '.join(item.way.unknown)}")
    if len(answer.packets) > _WAYS:
        lines += ["", f"and {len(answer.packets) - _WAYS} more addresses"]
    if packets:
        lines += ["", "Packets"]
        lines += [f"  {item['text']}: {_outcome(item)}" for item in packets]
    return "\n".join(lines)


def _outcome(packet: Mapping[str, Any]) -> str:
    if packet["fault"]:
        return f"WRONG: {packet['fault']}" if packet["sent"] else f"not proved: {packet['fault']}"
    return str(packet["outcome"])
