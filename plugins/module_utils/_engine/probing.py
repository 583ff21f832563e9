# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending the packets that prove a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process, trials
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.trials import (
    ANSWERED,
    REFUSED,
    SILENT,
    UNREACHABLE,
    Outcome,
    Trial,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.expect import Probe
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.proof import CLOSED, Attempt

AT_ONCE = 16
# A first packet may wait for a neighbour entry or a learnt port; one answer proves the way.
ATTEMPTS = 3
_HTTP = 80
# Of a lab's internet, towards the underlay.
_CARD = "eth0"
# Outcomes that are as a verdict says; see due() of proof.py.
VERDICTS = {
    "accept": (ANSWERED,),
    "drop": (SILENT, UNREACHABLE),
    "reject": (REFUSED,),
    CLOSED: (SILENT, UNREACHABLE, REFUSED),
}


def run_all(probes: Iterable[Probe], lab: str | None) -> list[dict[str, Any]]:
    """Rows {source, target, sent, right, wrong}, in order of the probes. lab: send from inside this lab's guests."""
    listed = list(probes)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for probe, fault in zip(listed, _from_guests(listed, lab) if lab else _from_here(listed)):
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


def _from_guests(probes: Sequence[Probe], lab: str) -> list[str]:
    """The faults, "" where there is none."""
    outcomes = trials.run(
        [
            Trial(f"{lab}-vm-{probe.source}", "", probe.kind, probe.address, _HTTP, probe.expect == "reach")
            for probe in probes
        ]
    )
    return [_fault(probe, outcome) for probe, outcome in zip(probes, outcomes)]


def _from_here(probes: Sequence[Probe]) -> list[str]:
    """The same for pings from this machine's own namespace, which need no privilege."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return [_fault(probe, outcome) for probe, outcome in zip(probes, pool.map(_ping, probes))]


def _ping(probe: Probe) -> Outcome:
    command = Command(("ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "1", probe.address))
    message = ""
    for _attempt in range(ATTEMPTS if probe.expect == "reach" else 1):
        output = process.run(command)
        if output.status == process.NOT_INSTALLED:
            return Outcome("", output.stderr.strip())
        if output.status == 0:
            return Outcome(ANSWERED)
        message = output.stderr.strip()
    return Outcome(SILENT, message)


def _fault(probe: Probe, outcome: Outcome) -> str:
    """What was not as planned, "" if all was."""
    if not outcome.word:
        return outcome.text
    if outcome.word != ANSWERED:
        silence = outcome.text or ("no answer" if outcome.word == SILENT else outcome.word)
        return silence if probe.expect == "reach" else ""
    if probe.expect != "reach":
        return "answered, but must not"
    if probe.answer and outcome.text != probe.answer:
        return f"answered {outcome.text!r} instead of {probe.answer!r}"
    return ""


def prove(attempts: Sequence[Attempt], lab: str) -> list[dict[str, Any]]:
    """What became of packets that prove expectations: {path, text, sent, outcome, fault}, in their order.

    sent: False where no lab can send it. outcome: one word, "" where nothing was proved and fault says why; fault: ""
    where all was as the plan says.
    """
    sent = [attempt for attempt in attempts if attempt.source]
    with _lent(f"{lab}-internet", sent):
        outcomes = iter(
            trials.run(
                [
                    Trial(
                        f"{lab}-{item.source}",
                        item.source_address,
                        item.kind,
                        item.address,
                        item.port,
                        item.verdict == "accept",
                        (f"{lab}-{item.listen[0]}", *item.listen[1:]) if item.listen is not None else None,
                        item.others,
                    )
                    for item in sent
                ]
            )
        )
    rows = []
    for item in attempts:
        outcome = next(outcomes) if item.source else Outcome("", item.why)
        rows.append(
            {
                "path": item.path,
                "text": item.text,
                "sent": bool(item.source),
                "outcome": outcome.word,
                "fault": _unlike(item, outcome),
            }
        )
    return rows


def _unlike(attempt: Attempt, outcome: Outcome) -> str:
    """How an outcome differs from the plan's verdict, or why there is none."""
    if not outcome.word:
        return outcome.text
    if outcome.word == trials.NO_ROUTE:
        why = f"{attempt.source} has no route to {attempt.address}"
        return why if attempt.led or attempt.verdict != "drop" else ""
    if outcome.word not in VERDICTS[attempt.verdict]:
        return f"{outcome.word}, where {attempt.verdict} is due"
    if outcome.word == ANSWERED and attempt.seen and outcome.text and outcome.text != attempt.seen:
        return f"came from {outcome.text} instead of {attempt.seen}"
    return ""


@contextmanager
def _lent(netns: str, attempts: Iterable[Attempt]) -> Iterator[None]:
    """Give the internet of a lab addresses and routes for the moment."""
    wanted: set[str] = set()
    routes: set[str] = set()
    for attempt in attempts:
        wanted.update(f"{address}/{128 if ':' in address else 32}" for address in attempt.lent)
        routes.update(f"{address} via {attempt.router} dev {_CARD}" for address in attempt.routed)
    if not wanted and not routes:
        yield
        return
    shown = process.run(Command(("ip", "-n", netns, "-o", "address", "show"))).stdout.split()
    lines = sorted(wanted - set(shown))
    _batch(netns, [f"address add {line} dev lo{' nodad' if ':' in line else ''}" for line in lines])
    _batch(netns, [f"route add {line}" for line in sorted(routes)])
    try:
        yield
    finally:
        _batch(netns, [f"route delete {line}" for line in sorted(routes)])
        _batch(netns, [f"address delete {line} dev lo" for line in lines])


def _batch(netns: str, lines: Sequence[str]) -> None:
    """What fails here is told by the packets that miss it."""
    process.run(Command(("ip", "-n", netns, "-force", "-batch", "-"), "".join(f"{line}\n" for line in lines)))
