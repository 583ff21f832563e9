# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two branches leave behind in one lock file: marks of a conflict, and one value twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import (
    GUEST,
    NETWORK,
    NONE,
    Allocation,
    LockedNetwork,
)

# git's marks: our side, with diff3 what both come from, their side, the end.
_OURS, _BASE, _THEIRS, _END = "<" * 7, "|" * 7, "=" * 7, ">" * 7
_MARKS = (_OURS, _BASE, _THEIRS, _END)
# Lines of one side of a conflict that a message shows.
_SHOWN = 3
_Value = TypeVar("_Value", int, str)


def unmerged(report: Report, name: str, lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(number, line) of every line that is in no merge conflict; conflicts are reported."""
    part = None
    start, labels = 0, ["", ""]
    sides: dict[str, list[str]] = {}
    for at, line in enumerate(lines, 1):
        mark = line[:7]
        if mark in _MARKS and (len(line) == 7 or line[7] in " \r"):
            label = line[7:].strip()
            if mark == _OURS:
                part, start, labels = _OURS, at, [label or "ours", ""]
                sides = {mark: [] for mark in _MARKS}
            elif part is not None and mark == _END:
                labels[1] = label or "theirs"
                report.add(f"{name}:{start}", _conflict(labels, sides, at))
                part = None
            elif part is not None:
                part = mark
            else:
                report.add(f"{name}:{at}", f"{show(line.strip())} is left of a merge conflict: delete the line")
        elif part is not None:
            sides[part].append(line)
        else:
            yield at, line
    if part is not None:
        report.add(f"{name}:{start}", f"a merge conflict begins, and has no end: a line that begins with {_END}")


def _conflict(labels: Sequence[str], sides: dict[str, list[str]], end: int) -> str:
    found = (f"{label} has {_shown(sides[part])}" for label, part in zip(labels, (_OURS, _THEIRS)))
    return (
        f"a merge conflict is not resolved, down to line {end}: {', '.join(found)}. Where an address, MAC or table is "
        "on both sides, keep the line of whoever uses it already, and the other is given another one; else keep both; "
        "then delete the marks"
    )


def _shown(lines: Sequence[str]) -> str:
    texts = [_words(line.split()) for line in lines if line.strip() and not line.startswith("#")]
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return "; ".join([*texts[:_SHOWN], *more]) or "nothing"


def _words(words: Sequence[str]) -> str:
    """The line of a guest as owner and addresses, that of a network as what may clash, another one as it is."""
    if words[0] == NETWORK and len(words) == 6:
        return f"{NETWORK} {words[1]} with table {words[4]}, bridge MAC {words[5]}"
    if len(words) != 7:
        return show(" ".join(words))
    kind, network, *values, owner, _number = words
    freed = "" if kind == GUEST else f"{kind} "
    return f"{freed}{owner} in {network} {' '.join(value for value in values if value != NONE)}"


def check_twice(
    report: Report,
    name: str,
    networks: Sequence[LockedNetwork],
    guests: Sequence[Allocation],
    freed: Sequence[Allocation],
) -> None:
    """Report what occurs twice, as after a merge without a conflict, at the later line; each line once."""
    check = _Twice(report, name)
    every = (*guests, *freed)
    check.guests([(item.address, item) for item in every if item.address is not None], format_ipv4)
    check.guests([(item.address6, item) for item in every if item.address6 is not None], format_ipv6)
    check.guests([(item.mac, item) for item in guests if item.mac is not None], str)
    check.owners(guests)
    check.networks(networks)
    check.bridges(networks, guests)


class _Twice:
    """Compares lines, and remembers those that are refused."""

    def __init__(self, report: Report, name: str) -> None:
        self._report = report
        self._name = name
        self._refused: set[int] = set()

    def _refuse(self, line: int, message: str) -> None:
        if line not in self._refused:
            self._refused.add(line)
            self._report.add(f"{self._name}:{line}", message)

    def guests(self, found: Sequence[tuple[_Value, Allocation]], text: Callable[[_Value], str]) -> None:
        """text: gives a value as the file has it."""
        if len({value for value, _item in found}) == len(found):
            return
        first: dict[_Value, Allocation] = {}
        for value, item in sorted(found, key=lambda entry: entry[1].line):
            other = first.setdefault(value, item)
            if other is item:
                continue
            if other[:6] == item[:6]:
                message = f"{text(value)} of {item.owner} is in line {other.line} too: delete one of them"
            else:
                message = (
                    f"{text(value)} of {item.owner} is that of {other.owner} in line {other.line} too: delete the line "
                    "of the one that does not use it yet, and the next run gives it another"
                )
            self._refuse(item.line, message)

    def owners(self, guests: Sequence[Allocation]) -> None:
        if len({item.key for item in guests}) == len(guests):
            return
        first: dict[tuple[str, str, int], Allocation] = {}
        for item in sorted(guests, key=lambda item: item.line):
            other = first.setdefault(item.key, item)
            if other is not item:
                self._refuse(
                    item.line,
                    f"{item.owner} is in {item.network} twice: here with {_values(item)}, in line {other.line} with "
                    f"{_values(other)}; delete the line with what it does not use",
                )

    def networks(self, networks: Sequence[LockedNetwork]) -> None:
        names: dict[str, LockedNetwork] = {}
        tables: dict[int, LockedNetwork] = {}
        macs: dict[str, LockedNetwork] = {}
        for item in networks:
            first = [("", "", names.setdefault(item.name, item))]
            if item.table is not None:
                first.append(("table", str(item.table), tables.setdefault(item.table, item)))
            if item.mac is not None:
                first.append(("bridge MAC", item.mac, macs.setdefault(item.mac, item)))
            for what, value, other in first:
                if other is item:
                    continue
                if not what:
                    self._refuse(item.line, f"network {item.name} is in line {other.line} too: delete one of them")
                self._refuse(
                    item.line,
                    f"{what} {value} of {item.name} is that of {other.name} in line {other.line} too: delete the line "
                    "of the one that is not in use yet, and the next run gives it another",
                )

    def bridges(self, networks: Sequence[LockedNetwork], guests: Sequence[Allocation]) -> None:
        macs = {item.mac: item for item in reversed(networks) if item.mac is not None}
        for item in guests if macs else ():
            if item.mac in macs:
                other = macs[item.mac]
                self._refuse(
                    item.line,
                    f"{item.mac} of {item.owner} is that of {other.name}'s bridge in line {other.line} too: write "
                    f"{NONE} in its place, and the next run gives the guest another",
                )


def _values(item: Allocation) -> str:
    words = [format_ipv4(item.address)] if item.address is not None else []
    words += [format_ipv6(item.address6)] if item.address6 is not None else []
    return " ".join([*words, *([item.mac] if item.mac else [])])
