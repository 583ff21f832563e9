# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of TCP and UDP that a user may write: 22, "22", 8000-8010, or a list of these."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show

_RANGE = re.compile(r"(0|[1-9][0-9]{0,9})(?:-(0|[1-9][0-9]{0,9}))?")
_LAST = 65535
_ALLOWED = f"a port from 1 to {_LAST}, or a range as 8000-8010"


def read_ports(report: Report, path: str, value: Any) -> tuple[tuple[int, int], ...]:
    """Read ports and ranges: (first, last) in order, disjoint; ranges that touch are one."""
    if isinstance(value, (list, tuple)):
        if not value:
            report.add(path, "is empty; leave it out for all ports")
        items = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        items = [(path, value)]
    found: list[tuple[int, int, str]] = []
    for at, item in items:
        ports = read_range(report, at, item)
        if ports is None:
            continue
        first, last = ports
        other = next((other for other in found if first <= other[1] and other[0] <= last), None)
        if other is not None:
            report.add(at, f"{text_of(ports)} overlaps {other[2]} {text_of(other[:2])}")
        else:
            found.append((first, last, at))
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ports[:2] for ports in found):
        if merged and merged[-1][1] + 1 == first:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def read_range(report: Report, path: str, value: Any) -> tuple[int, int] | None:
    """Read one port or range as (first, last); None where it is refused."""
    if isinstance(value, int) and not isinstance(value, bool):
        first = last = int(value)
    else:
        match = _RANGE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            report.add(path, f"{show(value)} is not allowed: {_ALLOWED}")
            return None
        first, last = int(match[1]), int(match[2] or match[1])
    if not (1 <= first <= _LAST and 1 <= last <= _LAST):
        report.add(path, f"{show(value)} is not allowed: {_ALLOWED}")
        return None
    if first > last:
        report.add(path, f"{show(value)} is not allowed: the first port of a range comes first, {last}-{first}")
        return None
    return first, last


def text_of(ports: tuple[int, int]) -> str:
    first, last = ports
    return str(first) if first == last else f"{first}-{last}"
