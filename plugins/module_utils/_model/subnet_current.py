# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnet plans: the prefixes that are somebody's already, as subnets of an earlier plan or as reserved ones."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, kind, show

# (purpose, zone)
Key = tuple[str, str]

_KEYS = frozenset(("name", "purpose", "zone", "cidr", "cidr6"))
_REQUIRED = frozenset(("purpose", "zone"))
_CIDRS = {4: "cidr", 6: "cidr6"}
# Where the request says what is divided.
PREFIXES = {4: "prefix", 6: "prefix6"}


class Whole(NamedTuple):
    """What is divided. path: where it stands. prefix: None where it is refused."""

    path: str
    prefix: Prefix | None

    @property
    def text(self) -> str:
        return self.path if self.prefix is None else f"{self.path} {self.prefix.text}"


def word(report: Report, path: str, value: Any) -> str | None:
    """A string that is an item of a list; None where it is none."""
    if isinstance(value, str):
        return fields.plain(value)
    if value is None or isinstance(value, (list, tuple, Mapping)):
        report.add(path, f"{kind(value)} is not allowed; a string is needed")
    else:
        hint = ": put what you wrote in quotes" if isinstance(value, (int, float)) else ""
        report.add(path, f"{show(value)} is {kind(value)}; a string is needed{hint}")
    return None


def read_reserved(report: Report, path: str, value: Any, wholes: Mapping[int, Whole]) -> dict[int, tuple[Prefix, ...]]:
    """The list of prefixes that are never given away, by family, in order."""
    places = _Places(report, wholes)
    for index, given in enumerate(fields.sequence(report, path, value)):
        at = f"{path}[{index}]"
        text = word(report, at, given)
        if text is None:
            continue
        family = 6 if ":" in text else 4
        try:
            prefix = parse_prefix(family, text)
        except ValueError as error:
            report.add(at, str(error))
            continue
        places.add(at, prefix)
    places.check()
    return {family: tuple(prefix for prefix, _number, _at in found) for family, found in places.found.items()}


def read_current(report: Report, path: str, value: Any, wholes: Mapping[int, Whole]) -> dict[int, dict[Key, Prefix]]:
    """The subnets of an earlier plan, by family: of its result, or of the list `subnets` in it."""
    if isinstance(value, Mapping):
        path = f"{path}.subnets"
        if "subnets" not in value:
            report.add(path, "is missing: current is the result of an earlier plan, or its list of subnets")
            return {}
        value = value["subnets"]
    places = _Places(report, wholes)
    keys: dict[Key, str] = {}
    found: dict[int, dict[Key, Prefix]] = {}
    for index, given in enumerate(fields.sequence(report, path, value)):
        at = f"{path}[{index}]"
        item = fields.mapping(report, at, given, _KEYS, _REQUIRED)
        if item is None:
            continue
        purpose, zone = (fields.text(report, at, item, key) for key in ("purpose", "zone"))
        if not any(cidr in item for cidr in _CIDRS.values()):
            report.add(f"{at}.cidr", "is missing: a subnet has cidr, cidr6 or both")
        prefixes = {family: fields.prefix(report, at, item, cidr, family) for family, cidr in _CIDRS.items()}
        for family, prefix in prefixes.items():
            if prefix is not None:
                places.add(f"{at}.{_CIDRS[family]}", prefix)
        if purpose is None or zone is None:
            continue
        key = (purpose, zone)
        if keys.setdefault(key, at) != at:
            report.add(at, f"is {purpose} in zone {zone}, as {keys[key]} is")
            continue
        name = fields.text(report, at, item, "name")
        if name is not None and name != f"{purpose}-{zone}":
            report.add(f"{at}.name", f"{show(name)} is not the name of {purpose} in zone {zone}: {purpose}-{zone}")
        for family, prefix in prefixes.items():
            if prefix is not None:
                found.setdefault(family, {})[key] = prefix
    places.check()
    return found


class _Places:
    """Prefixes with the paths where they stand; all of them inside what is divided, none inside another.

    found: by family, (prefix, number in the input, path).
    """

    def __init__(self, report: Report, wholes: Mapping[int, Whole]) -> None:
        self.report = report
        self.wholes = wholes
        self.found: dict[int, list[tuple[Prefix, int, str]]] = {}

    def add(self, path: str, prefix: Prefix) -> None:
        """Take one that is inside; the others are reported."""
        family = prefix.family
        whole = self.wholes.get(family)
        if whole is None:
            # Where there is no prefix at all, that has been said.
            if self.wholes:
                self.report.add(path, f"{prefix.text} is IPv{family}, but there is no {PREFIXES[family]}")
        elif whole.prefix is not None and not (
            whole.prefix.contains(prefix.base) and whole.prefix.length <= prefix.length
        ):
            self.report.add(path, f"{prefix.text} is not inside {whole.text}")
        else:
            places = self.found.setdefault(family, [])
            places.append((prefix, len(places), path))

    def check(self) -> None:
        """Report overlaps; puts the prefixes in order."""
        for places in self.found.values():
            places.sort()
            widest = places[0]
            for place in places[1:]:
                if place[0].overlaps(widest[0]):
                    earlier, later = sorted((place, widest), key=itemgetter(1))
                    self.report.add(later[2], f"{later[0].text} overlaps {earlier[2]} {earlier[0].text}")
                if place[0].last > widest[0].last:
                    widest = place
