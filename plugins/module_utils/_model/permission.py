# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest may send besides what follows from its address and MAC: more addresses, other MACs, roles."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    check_mac,
    parse_address,
    parse_prefix,
    special,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show

ROLES = ("router", "dhcp_server", "vrrp")

_PAIR_KEYS = frozenset(("mac", "address"))


class Pair(NamedTuple):
    """An address (family 4 or 6, integer) that a guest may use together with a MAC that need not be its own."""

    mac: str
    family: int
    address: int


def read_allowed_addresses(report: Report, path: str, value: Any) -> tuple[Prefix, ...]:
    """Read a list of addresses and prefixes; an address is a prefix of full length."""
    return fields.each(report, path, value, lambda at, item: _address(report, at, item))


def read_allowed_pairs(report: Report, path: str, value: Any) -> tuple[Pair, ...]:
    """Read a list of mappings with mac and address."""
    return fields.each(report, path, value, lambda at, item: _pair(report, at, item))


def read_roles(report: Report, path: str, value: Any) -> tuple[str, ...]:
    """Read a list of ROLES; the result is in the order of ROLES."""
    words = fields.each(report, path, value, lambda at, item: _role(report, at, item))
    return tuple(role for role in ROLES if role in words)


def _string(report: Report, path: str, item: Any, wanted: str) -> str | None:
    if isinstance(item, str):
        return fields.plain(item)
    report.add(path, f"{show(item)} is not {wanted}")
    return None


def _address(report: Report, path: str, item: Any) -> Prefix | None:
    text = _string(report, path, item, "an address or a network")
    if text is None:
        return None
    family = 6 if ":" in text else 4
    try:
        if "/" in text:
            found = parse_prefix(family, text)
        else:
            found = Prefix(family, parse_address(family, text), 32 if family == 4 else 128)
    except ValueError as error:
        report.add(path, str(error))
        return None
    # A whole family is what a router speaks for.
    meaning = special(found, link_local=True) if found.length else ""
    if meaning:
        report.add(path, f"{text} is not allowed: it overlaps {meaning}")
        return None
    return found


def _pair(report: Report, path: str, item: Any) -> Pair | None:
    pair = fields.mapping(report, path, item, _PAIR_KEYS, _PAIR_KEYS)
    if pair is None:
        return None
    mac = fields.text(report, path, pair, "mac")
    if mac is not None:
        try:
            check_mac(mac)
        except ValueError as error:
            report.add(f"{path}.mac", str(error))
            mac = None
    text = fields.text(report, path, pair, "address")
    if text is None:
        return None
    if "/" in text:
        report.add(f"{path}.address", f"{text} is a network; a single address is needed")
        return None
    prefix = _address(report, f"{path}.address", text)
    return Pair(mac, prefix.family, prefix.base) if mac is not None and prefix is not None else None


def _role(report: Report, path: str, item: Any) -> str | None:
    text = _string(report, path, item, "a role")
    if text is not None and text not in ROLES:
        report.add(path, f"{show(text)} is not allowed: {', '.join(ROLES)}{report.hint(text, ROLES)}")
        return None
    return text
