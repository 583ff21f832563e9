# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading vpc_prefix_lists and vpc_security_groups. Names first: a rule may name what is written behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule_read import (
    RESERVED,
    Names,
    Terms,
    check_disjoint,
    read_prefix,
    read_rules,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group import (
    LISTS,
    SECTION,
    PrefixList,
    SecurityGroup,
)

# Part of the names of sets, which ipset cuts at 31 characters.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")
NAME_ALLOWED = "1 to 16 of a-z 0-9 _ -, first a letter or digit"

_LIST_KEYS = frozenset(("name", "prefixes"))
_GROUP_KEYS = frozenset(("name", "stateful", "log", "ingress", "egress"))
_NAMED = frozenset(("name",))


def read_names(lists: Report, groups: Report, raw_lists: Any, raw_groups: Any) -> tuple[Names, list[PrefixList]]:
    """Read the prefix lists, and of the groups the names, which lists and groups share."""
    names = Names()
    found = []
    for path, item in _items(lists, names, LISTS, raw_lists, _LIST_KEYS, _LIST_KEYS):
        name = _name(lists, names, path, item)
        if name is not None and "prefixes" in item:
            prefixes = _prefixes(lists, f"{path}.prefixes", item["prefixes"])
            names.families[name] = frozenset(prefix.family for prefix in prefixes)
            found.append(PrefixList(path, name, prefixes))
    for path, item in _items(groups, names, SECTION, raw_groups, _GROUP_KEYS, _NAMED):
        name = _name(groups, names, path, item)
        if name is not None:
            names.groups.add(name)
    return names, found


def read_groups(report: Report, raw: Any, names: Names) -> list[SecurityGroup]:
    """Read `vpc_security_groups` behind read_names(); of use only where nothing was reported."""
    found = []
    for index, item in enumerate(raw if isinstance(raw, (list, tuple)) else ()):
        if isinstance(item, Mapping):
            found.append(_group(report, f"{SECTION}[{index}]", item, names))
    return found


def _items(
    report: Report, names: Names, section: str, raw: Any, known: frozenset[str], required: frozenset[str]
) -> list[tuple[str, Mapping[str, Any]]]:
    values = fields.sequence(report, section, raw)
    found = [
        (f"{section}[{index}]", fields.mapping(report, f"{section}[{index}]", value, known, required))
        for index, value in enumerate(values)
    ]
    if values is not raw or any(item is None for path, item in found):
        names.complete = False
    return [(path, item) for path, item in found if item is not None]


def _name(report: Report, names: Names, path: str, item: Mapping[str, Any]) -> str | None:
    """The name of a list or a group, None where it cannot be read or has been taken."""
    name = fields.text(report, path, item, "name")
    if name is None:
        names.complete = False
        return None
    at = f"{path}.name"
    if name in RESERVED:
        report.add(at, f"{name} is not allowed: it has a meaning of its own")
    elif not NAME.fullmatch(name):
        report.add(at, f"{show(name)} is not allowed: {NAME_ALLOWED}")
    if name in names.places:
        report.add(at, f"{show(name)} is already the name of {names.places[name]}")
        return None
    names.places[name] = path
    return name


def _prefixes(report: Report, path: str, value: Any) -> tuple[Prefix, ...]:
    found: dict[Prefix, str] = {}

    def read(at: str, item: Any) -> Prefix | None:
        if not isinstance(item, str):
            hint = ": put what you wrote in quotes" if isinstance(item, (int, float)) else ""
            report.add(at, f"{show(item)} is not a network or an address{hint}")
            return None
        try:
            prefix = read_prefix(fields.plain(item))
        except ValueError as error:
            report.add(at, str(error))
            return None
        found.setdefault(prefix, at)
        return prefix

    prefixes = fields.each(report, path, value, read)
    check_disjoint(report, found)
    return tuple(sorted(prefixes))


def _group(report: Report, path: str, item: Mapping[str, Any], names: Names) -> SecurityGroup:
    name = item.get("name")
    name = fields.plain(name) if isinstance(name, str) else ""
    terms = Terms(names, name)
    ingress = read_rules(report, f"{path}.ingress", item["ingress"], "ingress", terms) if "ingress" in item else ()
    egress = read_rules(report, f"{path}.egress", item["egress"], "egress", terms) if "egress" in item else None
    stateful = fields.flag(report, path, item, "stateful", default=True)
    return SecurityGroup(path, name, ingress, egress, stateful, fields.flag(report, path, item, "log"))
