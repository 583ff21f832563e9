# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading single values of the input: type first, and never a guess at what was meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, kind, show

_NO_ITEMS: Sequence[Any] = ()
_Item = TypeVar("_Item")


def plain(text: str) -> str:
    """The same text as an exact str: Ansible's tagged strings keep their tags through str()."""
    return text if text.__class__ is str else str.__str__(text)


def sequence(report: Report, path: str, value: Any) -> Sequence[Any]:
    """A list of the input; an empty one where it is none."""
    if isinstance(value, (list, tuple)):
        return value
    report.add(path, _needs(value, "a list"))
    return _NO_ITEMS


def each(report: Report, path: str, value: Any, read: Callable[[str, Any], _Item | None]) -> tuple[_Item, ...]:
    """The items of a list that can be read, each once. read: takes path and value, gives None for what it refuses."""
    places: dict[_Item, int] = {}
    for index, item in enumerate(sequence(report, path, value)):
        found = read(f"{path}[{index}]", item)
        if found is not None and places.setdefault(found, index) != index:
            report.add(f"{path}[{index}]", f"is the same as {path}[{places[found]}]")
    return tuple(places)


def mapping(
    report: Report, path: str, value: Any, known: frozenset[str], required: frozenset[str]
) -> Mapping[str, Any] | None:
    """A mapping of the input, after a look at its keys; None where it is none."""
    if not isinstance(value, Mapping):
        report.add(path, _needs(value, "a mapping"))
        return None
    keys = value.keys()
    if keys <= known and keys >= required:
        return value
    for key in value:
        if not isinstance(key, str):
            report.add(f"{path}.{show(key)}", f"a key must be a string, not {kind(key)}")
        elif key not in known:
            hint = report.hint(key, known) or f"; allowed: {', '.join(sorted(known))}"
            report.add(f"{path}.{show(key)}", f"unknown key{hint}")
    for key in sorted(required - keys):
        report.add(f"{path}.{key}", "is missing")
    return value


def text(report: Report, path: str, item: Mapping[str, Any], key: str) -> str | None:
    """The string at the key; None where it is absent or refused."""
    value = item.get(key)
    if value.__class__ is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if value is not None or key in item:
        hint = ""
        if isinstance(value, (int, float)):
            # YAML 1.1 reads 52:54:00:10:20:30 as a number to the base 60, yes as true and 10.1 as a fraction.
            hint = ": put what you wrote in quotes"
        report.add(f"{path}.{key}", _needs(value, "a string") + hint)
    return None


def flag(report: Report, path: str, item: Mapping[str, Any], key: str, default: bool = False) -> bool:
    """The boolean at the key; the default where it is absent or refused."""
    value = item.get(key, default)
    if isinstance(value, bool):
        return value
    report.add(f"{path}.{key}", f"{_needs(value, 'a boolean')}: true or false, without quotes")
    return default


def choice(report: Report, path: str, item: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words; the first where it is absent or refused."""
    word = text(report, path, item, key)
    if word is None:
        return allowed[0]
    if word not in allowed:
        report.add(f"{path}.{key}", f"{show(word)} is not allowed: {' or '.join(allowed)}{report.hint(word, allowed)}")
        return allowed[0]
    return word


def address(report: Report, path: str, item: Mapping[str, Any], key: str, parse: Callable[[str], int]) -> int | None:
    """The address at the key, read by parse_ipv4 or parse_ipv6; None where it is absent or refused."""
    word = text(report, path, item, key)
    if word is None:
        return None
    try:
        return parse(word)
    except ValueError as error:
        report.add(f"{path}.{key}", str(error))
        return None


def prefix(report: Report, path: str, item: Mapping[str, Any], key: str, family: int) -> Prefix | None:
    """The canonical network at the key; None where it is absent or refused."""
    word = text(report, path, item, key)
    if word is None:
        return None
    try:
        return parse_prefix(family, word)
    except ValueError as error:
        report.add(f"{path}.{key}", str(error))
        return None


def _needs(value: Any, wanted: str) -> str:
    if value is None:
        return f"null is not allowed; {wanted} is needed"
    if isinstance(value, (list, tuple, Mapping)):
        return f"{kind(value)} is not allowed; {wanted} is needed"
    return f"{show(value)} is {kind(value)}; {wanted} is needed"
