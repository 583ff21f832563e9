# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what only VPN connections have: numbers in a range, and lists of choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_prefix, special
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show

_Choice = TypeVar("_Choice", int, str)
_DEFAULT_ROUTE = Prefix(4, 0, 0)


def number(report: Report, path: str, item: Mapping[str, Any], key: str, low: int, high: int, default: int) -> int:
    """The whole number at the key, from low to high; the default where it is absent or refused."""
    if key not in item:
        return default
    value = item[key]
    if not isinstance(value, int) or isinstance(value, bool):
        hint = ", without quotes" if isinstance(value, str) else ""
        report.add(f"{path}.{key}", f"{show(value)} is not a whole number{hint}: {low} to {high}")
        return default
    if not low <= value <= high:
        report.add(f"{path}.{key}", f"{int(value)} is not allowed: {low} to {high}")
        return default
    return int(value)


def choices(
    report: Report, path: str, item: Mapping[str, Any], key: str, allowed: tuple[_Choice, ...]
) -> tuple[_Choice, ...] | None:
    """The list of allowed words or numbers at the key, in its order; None where it is absent, () where refused."""
    if key not in item:
        return None
    found: dict[_Choice, int] = {}
    refused = False
    for index, value in enumerate(fields.sequence(report, f"{path}.{key}", item[key])):
        at = f"{path}.{key}[{index}]"
        plain = fields.plain(value) if isinstance(value, str) else value
        match = None
        if isinstance(plain, (int, str)) and not isinstance(plain, bool):
            match = next((choice for choice in allowed if choice == plain), None)
        if match is None:
            hint = ""
            if isinstance(plain, str):
                hint = report.hint(plain.lower(), allowed) if isinstance(allowed[0], str) else ", without quotes"
            report.add(at, f"{show(value)} is not allowed: {', '.join(map(str, allowed))}{hint}")
            refused = True
        elif match in found:
            report.add(at, f"is the same as {path}.{key}[{found[match]}]")
        else:
            found[match] = index
    return () if refused else tuple(found)


def prefixes(report: Report, path: str, item: Mapping[str, Any], key: str) -> list[tuple[Prefix, str]]:
    """(network, path) of the list of IPv4 networks at the key; () where it is absent."""
    found: dict[Prefix, str] = {}
    for index, value in enumerate(fields.sequence(report, f"{path}.{key}", item.get(key, ()))):
        at = f"{path}.{key}[{index}]"
        if not isinstance(value, str):
            report.add(at, f"{show(value)} is not a network, as 10.20.0.0/16")
            continue
        try:
            prefix = parse_prefix(4, fields.plain(value))
        except ValueError as error:
            report.add(at, str(error))
            continue
        meaning = "" if prefix == _DEFAULT_ROUTE else special(prefix)
        if meaning:
            report.add(at, f"{prefix.text} is not allowed: it overlaps {meaning}")
        elif prefix in found:
            report.add(at, f"is the same as {found[prefix]}")
        else:
            found[prefix] = at
    return list(found.items())
