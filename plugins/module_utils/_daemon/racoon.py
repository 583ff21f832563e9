# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""racoon by `racoonctl`, and its ESP SAs by `setkey`, as ipsec-tools 0.8.2 and racoon 0.9.1 print them.

The output of setkey holds the keys of the SAs: nothing of it may be shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Argv, Esp, Ike

PROGRAM = "racoonctl"
ISAKMP: Argv = (PROGRAM, "-l", "show-sa", "isakmp")
SETKEY = "setkey"
ESP: Argv = (SETKEY, "-D")

_ESTABLISHED = 9
# Destination, cookies, state, side, version in BCD, exchange, and when it was established if it was.
_PHASE1 = re.compile(
    r"([0-9.]+)\.\d+ +([0-9a-f]{16}):([0-9a-f]{16}) +(\d+) ([IR]) +([0-9a-f]+) (?:\w )?"
    r" *(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)?"
)
_ADDRESSES = re.compile(r"([0-9.]+)(?:\[\d+\])? ([0-9.]+)(?:\[\d+\])?\s*")
_FIELDS = {
    "state": re.compile(r"\sstate=(\w+)"),
    "age": re.compile(r"\sdiff: (\d+)\(s\)"),
    "bytes": re.compile(r"^\s+current: (\d+)\(bytes\)", re.MULTILINE),
    "packets": re.compile(r"^\s+allocated: (\d+)", re.MULTILINE),
    "cipher": re.compile(r"^\s+E: (\S+)", re.MULTILINE),
    "hash": re.compile(r"^\s+A: (\S+)", re.MULTILINE),
}
# The kernel's words: a dying SA works until its time is over.
_UP = ("mature", "dying")


def isakmp(text: str) -> dict[str, Ike]:
    """By outside address of the peer; text: output of ISAKMP."""
    found: dict[str, Ike] = {}
    for match in map(_PHASE1.match, text.splitlines()):
        if match is None:
            continue
        peer, _mine, theirs, number, side, version, created = match.groups()
        up = int(number) == _ESTABLISHED
        ike = Ike(
            "established" if up else f"phase 1, state {number}",
            up,
            int(version, 16) >> 4,
            created=created if up else None,
            answered=theirs.strip("0") != "" or side == "R",
        )
        before = found.get(peer)
        if before is None or (ike.up, ike.created or "") >= (before.up, before.created or ""):
            found[peer] = ike
    return found


def esp(text: str) -> dict[tuple[str, str], Esp]:
    """By (our outside address, the peer's), from our point of view and from the peer's; text: output of ESP."""
    ways: dict[tuple[str, str], dict[str, str]] = {}
    for pair, values in _sas(text):
        if pair not in ways or _rank(values) > _rank(ways[pair]):
            ways[pair] = values
    found = {}
    for (source, destination), out in ways.items():
        back = ways.get((destination, source))
        states = [item.get("state", "unknown") for item in (out, back) if item is not None]
        up = back is not None and all(state in _UP for state in states)
        found[source, destination] = Esp(
            ("mature" if up else next((state for state in states if state not in _UP), "one way only")),
            up,
            _number(out, "age"),
            _number(back or {}, "bytes"),
            _number(back or {}, "packets"),
            _number(out, "bytes"),
            _number(out, "packets"),
            "/".join(out[key] for key in ("cipher", "hash") if key in out) or None,
        )
    return found


def _sas(text: str) -> Iterator[tuple[tuple[str, str], dict[str, str]]]:
    """((source, destination), fields) of each ESP SA."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _ADDRESSES.fullmatch(line)]
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        head = _ADDRESSES.fullmatch(lines[start])
        body = "\n".join(lines[start + 1 : end])
        if head is None or not body.lstrip().startswith("esp"):
            continue
        matches = {name: pattern.search(body) for name, pattern in _FIELDS.items()}
        yield (head[1], head[2]), {name: match[1] for name, match in matches.items() if match is not None}


def _rank(values: dict[str, str]) -> tuple[bool, int]:
    """Greater for what works, then for what is newer."""
    return values.get("state") in _UP, -int(values.get("age", "0"))


def _number(values: dict[str, str], key: str) -> int | None:
    return int(values[key]) if key in values else None
