# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading rules of packet filters: what a user may write as an item of `ingress` or `egress`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_address, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.port import read_ports
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import (
    ACCEPT,
    ACTIONS,
    ICMP,
    ICMPV6,
    PORTS,
    REJECT,
    Peer,
    Rule,
)

SELF = "self"
# Words of rules and expectations that no group and no list may have as a name.
RESERVED = (SELF, "internet", "none")
# By direction, where the other side stands.
SIDES = {"ingress": "from", "egress": "to"}
PROTOCOLS = {
    "tcp": 6,
    "udp": 17,
    "icmp": ICMP,
    "icmpv6": ICMPV6,
    "sctp": 132,
    "udplite": 136,
    "gre": 47,
    "esp": 50,
    "ah": 51,
}
# As nft(8) calls them.
TYPES = {
    ICMP: {
        "echo-reply": 0,
        "destination-unreachable": 3,
        "source-quench": 4,
        "redirect": 5,
        "echo-request": 8,
        "router-advertisement": 9,
        "router-solicitation": 10,
        "time-exceeded": 11,
        "parameter-problem": 12,
        "timestamp-request": 13,
        "timestamp-reply": 14,
        "info-request": 15,
        "info-reply": 16,
        "address-mask-request": 17,
        "address-mask-reply": 18,
    },
    ICMPV6: {
        "destination-unreachable": 1,
        "packet-too-big": 2,
        "time-exceeded": 3,
        "parameter-problem": 4,
        "echo-request": 128,
        "echo-reply": 129,
        "mld-listener-query": 130,
        "mld-listener-report": 131,
        "mld-listener-done": 132,
        "nd-router-solicit": 133,
        "nd-router-advert": 134,
        "nd-neighbor-solicit": 135,
        "nd-neighbor-advert": 136,
        "nd-redirect": 137,
        "router-renumbering": 138,
        "mld2-listener-report": 143,
    },
}
# ICMPv6 without which there is no IPv6: neighbour discovery and MLD pass whatever rules say.
ALWAYS = frozenset((130, 131, 132, 133, 134, 135, 136, 143))

_FAMILY = {ICMP: 4, ICMPV6: 6}
_KEYS = ("action", "protocol", "ports", "type", "code")
# In every address and in no name.
ADDRESS = re.compile(r"[./:]")
_PORTS_WITH = "tcp, udp, sctp or udplite"


@dataclass
class Names:
    """What rules can name, also where parts of it are refused.

    places: path by name, of groups and lists alike. groups: which of them are groups. families: of each readable list.
    complete: False where a name could not be read.
    """

    places: dict[str, str] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    families: dict[str, frozenset[int]] = field(default_factory=dict)
    complete: bool = True


class Terms(NamedTuple):
    """Whose rules are read. group: its name; None for an ACL, which knows no groups and cannot reject."""

    names: Names
    group: str | None


def read_rules(report: Report, path: str, value: Any, direction: str, terms: Terms) -> tuple[Rule, ...]:
    """Read a list of rules; of use only where nothing was reported. direction: of SIDES."""
    return fields.each(report, path, value, lambda at, item: _rule(report, at, item, direction, terms))


def read_prefix(text: str) -> Prefix:
    """Read a network or, as one of full length, an address, in canonical text; raises ValueError."""
    if not ADDRESS.search(text):
        raise ValueError(f"{show(text)} is not a network or an address")
    family = 6 if ":" in text else 4
    if "/" in text:
        return parse_prefix(family, text)
    return Prefix(family, parse_address(family, text), 32 if family == 4 else 128)


def check_disjoint(report: Report, found: Mapping[Prefix, str]) -> None:
    """Report prefixes that overlap; each has the path where it stands, in the order of the input."""
    order = {prefix: number for number, prefix in enumerate(found)}
    enclosing: Prefix | None = None
    for prefix in sorted(found):
        if enclosing is not None and prefix.overlaps(enclosing):
            early, late = sorted((prefix, enclosing), key=order.__getitem__)
            report.add(found[late], f"{late.text} overlaps {found[early]} {early.text}")
        else:
            enclosing = prefix


def word_of(number: int) -> str:
    """The name of an IP protocol, or its number."""
    return next((word for word, known in PROTOCOLS.items() if known == number), str(number))


def _rule(report: Report, path: str, value: Any, direction: str, terms: Terms) -> Rule | None:
    side = SIDES[direction]
    given = value
    if isinstance(value, Mapping):
        for other, key in SIDES.items():
            if key in value and key != side:
                report.add(f"{path}.{key}", f"is of {other} rules: {direction} has {side}")
        given = {key: item for key, item in value.items() if key == side or key not in SIDES.values()}
    item = fields.mapping(report, path, given, frozenset((*_KEYS, side)), frozenset())
    if item is None:
        return None
    before = len(report.errors)
    action = _action(report, path, item, terms)
    protocol = _protocol(report, path, item) if "protocol" in item else None
    # What a protocol that was refused had allowed is unknown.
    readable = protocol is not None or "protocol" not in item
    ports: tuple[tuple[int, int], ...] = ()
    if "ports" in item:
        if protocol is None and readable:
            report.add(f"{path}.ports", f"needs protocol: {_PORTS_WITH}")
        elif protocol is not None and protocol not in PORTS:
            report.add(f"{path}.ports", f"is not allowed with protocol {word_of(protocol)}: only with {_PORTS_WITH}")
        ports = read_ports(report, f"{path}.ports", item["ports"])
    icmp = _icmp(report, path, item, protocol) if readable else None
    if action != ACCEPT and icmp is not None and protocol == ICMPV6 and icmp[0] in ALWAYS:
        report.add(f"{path}.action", f"{action} has no effect: neighbour discovery and MLD always pass")
    peers = _peers(report, f"{path}.{side}", item[side], protocol, terms) if side in item else ()
    return Rule(path, action, protocol, ports, icmp, peers) if len(report.errors) == before else None


def _action(report: Report, path: str, item: Mapping[str, Any], terms: Terms) -> str:
    if terms.group is None and item.get("action") == REJECT:
        report.add(f"{path}.action", f"{REJECT} is not allowed in an ACL: accept or drop")
        return ACCEPT
    return fields.choice(report, path, item, "action", ACTIONS if terms.group is not None else ACTIONS[:2])


def _protocol(report: Report, path: str, item: Mapping[str, Any]) -> int | None:
    value = item["protocol"]
    if isinstance(value, str):
        if value in PROTOCOLS:
            return PROTOCOLS[value]
        quotes = ", without quotes" if value.isdecimal() else ""
        hint = report.hint(value.lower(), PROTOCOLS)
    elif isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 255:
        return int(value)
    else:
        quotes = hint = ""
    report.add(
        f"{path}.protocol",
        f"{show(value)} is not allowed: {', '.join(PROTOCOLS)} or a number from 1 to 255{quotes}; "
        f"leave it out for all{hint}",
    )
    return None


def _icmp(report: Report, path: str, item: Mapping[str, Any], protocol: int | None) -> tuple[int, int | None] | None:
    """Type and code; None where no type is given or it is refused."""
    if "type" not in item:
        if "code" in item:
            report.add(f"{path}.code", "needs type")
        return None
    if protocol not in TYPES:
        what = "needs protocol" if protocol is None else f"is not allowed with protocol {word_of(protocol)}"
        report.add(f"{path}.type", f"{what}: icmp or icmpv6")
        return None
    code = _number(report, f"{path}.code", item["code"]) if "code" in item else None
    number = _type(report, f"{path}.type", item["type"], protocol)
    return None if number is None else (number, code)


def _type(report: Report, path: str, value: Any, protocol: int) -> int | None:
    if not isinstance(value, str):
        return _number(report, path, value, "the name of a type or ")
    names = TYPES[protocol]
    if value in names:
        return names[value]
    other = ICMP + ICMPV6 - protocol
    if value in TYPES[other]:
        hint = f"; it is a type of {word_of(other)}"
    elif value.isdecimal():
        hint = "; a number is written without quotes"
    else:
        hint = report.hint(value.lower(), names) or f"; known: {', '.join(names)}"
    report.add(path, f"{show(value)} is not a type of {word_of(protocol)}{hint}")
    return None


def _number(report: Report, path: str, value: Any, wanted: str = "") -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
        return int(value)
    hint = ", without quotes" if isinstance(value, str) else ""
    report.add(path, f"{show(value)} is not allowed: {wanted}a number from 0 to 255{hint}")
    return None


def _peers(report: Report, path: str, value: Any, protocol: int | None, terms: Terms) -> tuple[Peer, ...]:
    prefixes: dict[Prefix, str] = {}
    family = _FAMILY.get(protocol or 0)

    def read(at: str, item: Any) -> Peer | None:
        if not isinstance(item, str):
            hint = ": put what you wrote in quotes" if isinstance(item, (int, float)) else ""
            report.add(at, f"{show(item)} is not a group, a list, a network or an address{hint}")
            return None
        word = fields.plain(item)
        if not ADDRESS.search(word):
            return _named(report, at, word, family, terms)
        try:
            prefix = read_prefix(word)
        except ValueError as error:
            report.add(at, str(error))
            return None
        if family not in (None, prefix.family):
            needed = word_of(ICMP if prefix.family == 4 else ICMPV6)
            report.add(at, f"{word} is IPv{prefix.family}: protocol {word_of(protocol or 0)} is not, {needed} is")
        prefixes.setdefault(prefix, at)
        return Peer(prefix=prefix)

    if value in ([], ()):
        report.add(path, "is empty; leave it out for anybody")
    if not isinstance(value, (list, tuple)):
        found = read(path, value)
        return () if found is None else (found,)
    peers = fields.each(report, path, value, read)
    check_disjoint(report, prefixes)
    return peers


def _named(report: Report, path: str, word: str, family: int | None, terms: Terms) -> Peer | None:
    names = terms.names
    if terms.group is None:
        if word == SELF or word in names.groups:
            report.add(path, f"{word} is a group: an ACL has networks and prefix lists")
            return None
        if word not in names.places and names.complete:
            report.add(path, f"{show(word)} is not a list of vpc_prefix_lists{report.hint(word, names.places)}")
    elif word == SELF:
        return Peer(group=terms.group)
    elif word not in names.places and names.complete:
        report.add(
            path,
            f"{show(word)} is neither a group of vpc_security_groups nor a list of vpc_prefix_lists"
            f"{report.hint(word, names.places)}",
        )
    if word in names.groups:
        return Peer(group=word)
    families = names.families.get(word)
    if families and family is not None and family not in families:
        report.add(path, f"{word} ({names.places[word]}) has no IPv{family} network, and the protocol is IPv{family}")
    return Peer(list=word)
