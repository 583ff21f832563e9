# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending the packets that prove a plan."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.expect import Probe

AT_ONCE = 16
# A first packet may wait for a neighbour entry or a learnt port; one answer proves the way.
ATTEMPTS = 3


def run_all(probes: Iterable[Probe], lab: str | None) -> list[dict[str, Any]]:
    """Rows {source, target, sent, right, wrong}, in order of the probes. lab: send from inside this lab's guests."""
    listed = list(probes)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for probe, fault in zip(listed, pool.map(lambda item: _fault(item, lab), listed)):
            row = rows.setdefault(
                (probe.source, probe.target),
                {"source": probe.source, "target": probe.target, "sent": 0, "right": 0, "wrong": []},
            )
            row["sent"] += 1
            if fault:
                row["wrong"].append(f"{probe.source} to {probe.target} {probe.address} ({probe.kind}): {fault}")
            else:
                row["right"] += 1
    return list(rows.values())


def _fault(probe: Probe, lab: str | None) -> str:
    """What was not as planned, "" if all was."""
    inside = ("ip", "netns", "exec", f"{lab}-vm-{probe.source}") if lab else ()
    if probe.kind == "http":
        host = f"[{probe.address}]" if ":" in probe.address else probe.address
        argv = (*inside, "curl", "--silent", "--show-error", "--globoff", "--max-time", "5", f"http://{host}/")
    else:
        argv = (*inside, "ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "1", probe.address)
    message = ""
    for _attempt in range(ATTEMPTS if probe.expect == "reach" else 1):
        output = process.run(Command(argv))
        if output.status == process.NOT_INSTALLED or output.stderr.startswith("Cannot open network namespace"):
            return output.stderr.strip()
        if output.status == 0:
            break
        message = output.stderr.strip() or "no answer"
    else:
        return message if probe.expect == "reach" else ""
    if probe.expect == "blocked":
        return "answered, but must not"
    answer = output.stdout.strip()
    return f"answered {answer!r} instead of {probe.answer!r}" if probe.answer and answer != probe.answer else ""
