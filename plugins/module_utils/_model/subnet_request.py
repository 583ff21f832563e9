# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnet plans: what a user may ask for. What there is already is read by subnet_current.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, special
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors, Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import read_networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule_read import Names
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.subnet_current import (
    PREFIXES,
    Key,
    Whole,
    read_current,
    read_reserved,
    word,
)

ROOT = "subnets"

_KEYS = frozenset(("prefix", "prefix6", "zones", "purposes", "reserved", "current"))
_REQUIRED = frozenset(("zones", "purposes"))
_PURPOSE_KEYS = frozenset(("name", "hosts", "length", "length6", "block", "block6", "zones", "network"))
_PURPOSE_REQUIRED = frozenset(("name",))
# What a purpose says of a family; of no use without its prefix.
_CUTS = {4: ("hosts", "length", "block"), 6: ("length6", "block6")}
# A shorter prefix is no network of ours, a longer one has no room for a guest.
_LENGTHS = {4: (8, 29), 6: (8, 126)}
_BITS = {4: 32, 6: 128}
_LENGTH6 = 64
# Network, broadcast, gateway and bridge address: no guest has them.
_NO_GUESTS = 4
_ZONE = re.compile(r"[a-z0-9_-]+")
_ZONE_ALLOWED = "characters of a-z 0-9 _ -"
# Keys of a network that a purpose cannot have: the plan decides them, or they differ from zone to zone.
_DECIDED = ("name", "cidr", "cidr6")
_PER_ZONE = ("gateway", "bridge_address", "gateway6", "bridge_address6")
# Names of other lists, which are not known here.
_ELSEWHERE = ("acl",)


@dataclass(frozen=True)
class Cut:
    """What a purpose needs of one family. length: of its prefix in each zone. block: length of the whole of it.

    fixed: whether the user wants such a block; else it is the smallest that could hold all zones.
    """

    length: int
    block: int
    fixed: bool


@dataclass(frozen=True)
class Purpose:
    """A tier. zones: where it has a prefix, in its own order. cuts: by family. network: keys of vpc_networks items."""

    path: str = field(compare=False)
    name: str
    zones: tuple[str, ...]
    cuts: dict[int, Cut]
    network: dict[str, Any]

    @property
    def keys(self) -> tuple[Key, ...]:
        return tuple((self.name, zone) for zone in self.zones)


@dataclass(frozen=True)
class Request:
    """A request without a mistake. prefixes: what is divided, by family. reserved: by family, disjoint, in order.

    current: the subnets that there are, by family, then (purpose, zone); disjoint, in the order of the input.
    """

    prefixes: dict[int, Prefix]
    zones: tuple[str, ...]
    purposes: tuple[Purpose, ...]
    reserved: dict[int, tuple[Prefix, ...]]
    current: dict[int, dict[Key, Prefix]]


def subnet_name(key: Key) -> str:
    """Name of a subnet, and of the network that it becomes."""
    return f"{key[0]}-{key[1]}"


def read_request(raw: Any) -> Request:
    """Read a request; raises ModelErrors with every mistake that was found."""
    report = Report()
    found = _Reader(report).read(raw)
    if found is None or report.errors:
        raise ModelErrors(report.errors)
    return found


class _Reader:
    """Reads one request; what depends on a refused part is not reported a second time."""

    def __init__(self, report: Report) -> None:
        self.report = report
        # By family: None where the prefix is refused.
        self.wholes: dict[int, Whole] = {}
        self.zones: dict[str, str] | None = None
        self.purposes: dict[str, str] = {}
        self.subnets: dict[str, str] = {}

    def read(self, raw: Any) -> Request | None:
        item = fields.mapping(self.report, ROOT, raw, _KEYS, _REQUIRED)
        if item is None:
            return None
        for family, key in PREFIXES.items():
            if key in item:
                self.wholes[family] = Whole(f"{ROOT}.{key}", self.prefix(item, key, family))
        if not self.wholes:
            self.report.add(f"{ROOT}.prefix", "is missing: prefix, prefix6 or both are needed")
        if "zones" in item:
            self.zones = self.read_zones(f"{ROOT}.zones", item["zones"], None)
        purposes = self.read_purposes(f"{ROOT}.purposes", item["purposes"]) if "purposes" in item else []
        reserved = read_reserved(self.report, f"{ROOT}.reserved", item.get("reserved", ()), self.wholes)
        # A first plan has none, and a look at a file that is not there yet gives null.
        former = item.get("current")
        current = {} if former is None else read_current(self.report, f"{ROOT}.current", former, self.wholes)
        prefixes = {family: whole.prefix for family, whole in self.wholes.items() if whole.prefix is not None}
        return Request(prefixes, tuple(self.zones or ()), tuple(purposes), reserved, current)

    def prefix(self, item: Mapping[str, Any], key: str, family: int) -> Prefix | None:
        whole = fields.prefix(self.report, ROOT, item, key, family)
        if whole is None:
            return None
        low, high = _LENGTHS[family]
        meaning = special(whole)
        if not low <= whole.length <= high:
            self.report.add(f"{ROOT}.{key}", f"{whole.text} is not allowed: prefix length {low} to {high}")
            return None
        if meaning:
            self.report.add(f"{ROOT}.{key}", f"{whole.text} is not allowed: it overlaps {meaning}")
            return None
        return whole

    def read_zones(self, path: str, value: Any, known: dict[str, str] | None) -> dict[str, str] | None:
        """Path of each zone, in the order written; None where they cannot be read. known: the zones that there are."""
        before = len(self.report.errors)
        found: dict[str, str] = {}
        items = fields.sequence(self.report, path, value)
        for index, name in enumerate(items):
            at = f"{path}[{index}]"
            zone = word(self.report, at, name)
            if zone is None:
                continue
            if zone in found:
                self.report.add(at, f"{show(zone)} is already {found[zone]}")
                continue
            found[zone] = at
            if known is not None:
                if zone not in known:
                    hint = self.report.hint(zone, known) or f": {', '.join(known)}"
                    self.report.add(at, f"{show(zone)} is not one of {ROOT}.zones{hint}")
            elif not _ZONE.fullmatch(zone):
                self.report.add(at, f"{show(zone)} is not allowed: {_ZONE_ALLOWED}")
        if items is value and not items:
            self.report.add(path, "is empty: at least one zone is needed")
        return found if len(self.report.errors) == before else None

    def read_purposes(self, path: str, value: Any) -> list[Purpose]:
        items = fields.sequence(self.report, path, value)
        if items is value and not items:
            self.report.add(path, "is empty: at least one purpose is needed")
        found = []
        for index, given in enumerate(items):
            at = f"{path}[{index}]"
            item = fields.mapping(self.report, at, given, _PURPOSE_KEYS, _PURPOSE_REQUIRED)
            if item is not None:
                found.append(self.purpose(at, item))
        return found

    def purpose(self, path: str, item: Mapping[str, Any]) -> Purpose:
        """What stands in an item; of use only where nothing was reported."""
        name = fields.text(self.report, path, item, "name")
        if name is not None and name in self.purposes:
            self.report.add(f"{path}.name", f"{show(name)} is already the name of {self.purposes[name]}")
            name = None
        elif name is not None:
            self.purposes[name] = path
        zones = self.read_zones(f"{path}.zones", item["zones"], self.zones) if "zones" in item else self.zones
        cuts = {}
        for family, keys in _CUTS.items():
            if family in self.wholes:
                cut = self.cut(path, item, family, len(zones) if zones is not None else 0)
                if cut is not None:
                    cuts[family] = cut
            elif self.wholes:
                for key in keys:
                    if key in item:
                        self.report.add(f"{path}.{key}", f"needs {ROOT}.{PREFIXES[family]}")
        found = Purpose(path, name or "", tuple(zones or ()), cuts, self.network(path, item))
        if name is not None:
            self.check_networks(found)
        return found

    def cut(self, path: str, item: Mapping[str, Any], family: int, zones: int) -> Cut | None:
        """zones: how many there are, 0 where that is not known."""
        whole = self.wholes[family]
        if family == 4:
            key = "hosts" if "hosts" in item else "length"
            length = self.length4(path, item, whole)
        else:
            key = "length6"
            length = self.length(path, item, key, family) if key in item else _LENGTH6
            if whole.prefix is not None and key not in item and whole.prefix.length > _LENGTH6:
                self.report.add(f"{path}.{key}", f"is missing: the default, {_LENGTH6}, is larger than {whole.text}")
                length = None
        block_key = _CUTS[family][-1]
        block = self.length(path, item, block_key, family) if block_key in item else None
        if length is None or not zones or whole.prefix is None or (block is None and block_key in item):
            return None
        least = length - (zones - 1).bit_length()
        many = f"{zones} zone{'s' if zones > 1 else ''} with a /{length}"
        if block is not None and block > least:
            self.report.add(f"{path}.{block_key}", f"{block} is too small: {many} need {least} or less")
            return None
        if least < whole.prefix.length:
            need = f"a /{least}" if least >= 0 else "more than there is"
            self.report.add(f"{path}.{key}", f"{many} need {need}; {whole.text} is too small")
            return None
        return Cut(length, least if block is None else block, block is not None)

    def length4(self, path: str, item: Mapping[str, Any], whole: Whole) -> int | None:
        """The prefix length that hosts or length ask for; None where it is refused."""
        if "hosts" not in item:
            if "length" in item:
                return self.length(path, item, "length", 4)
            self.report.add(f"{path}.hosts", "is missing: hosts (guests per zone) or length (of the prefix of a zone)")
            return None
        if "length" in item:
            self.report.add(f"{path}.length", "cannot be combined with hosts")
        hosts = self.number(path, item, "hosts")
        if hosts is None:
            return None
        if hosts < 1:
            self.report.add(f"{path}.hosts", f"{hosts} is not allowed: at least 1 guest in each zone")
            return None
        length = _BITS[4] - (hosts + _NO_GUESTS - 1).bit_length()
        least = whole.prefix.length if whole.prefix is not None else _LENGTHS[4][0]
        if length < least:
            most = (1 << (_BITS[4] - least)) - _NO_GUESTS
            limit = whole.text if whole.prefix is not None else f"a /{least}"
            self.report.add(f"{path}.hosts", f"{hosts} is not allowed: {limit} has room for {most}")
            return None
        return length

    def length(self, path: str, item: Mapping[str, Any], key: str, family: int) -> int | None:
        """The prefix length at the key, in the prefix that is divided; None where it is refused."""
        length = self.number(path, item, key)
        whole = self.wholes[family].prefix
        low, high = _LENGTHS[family]
        low = low if whole is None else whole.length
        if length is None or low <= length <= high:
            return length
        self.report.add(f"{path}.{key}", f"{length} is not allowed: {low} to {high}")
        return None

    def number(self, path: str, item: Mapping[str, Any], key: str) -> int | None:
        value = item[key]
        if isinstance(value, int) and not isinstance(value, bool):
            return int(value)
        hint = ", without quotes" if isinstance(value, str) else ""
        self.report.add(f"{path}.{key}", f"{show(value)} is not a whole number{hint}")
        return None

    def network(self, path: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """What each network of the purpose gets besides name and prefixes."""
        value = item.get("network", {})
        path = f"{path}.network"
        if not isinstance(value, Mapping):
            self.report.add(path, f"{show(value)} is not allowed; a mapping is needed")
            return {}
        found = dict(value)
        for keys, reason in ((_DECIDED, "the plan decides it"), (_PER_ZONE, "it differs from zone to zone")):
            for key in keys:
                if key in found:
                    self.report.add(f"{path}.{key}", f"is not allowed here: {reason}")
                    del found[key]
        return found

    def check_networks(self, purpose: Purpose) -> None:
        """The rules of vpc_networks are those of network.py: let it read what would come out of the request."""
        names = [subnet_name(key) for key in purpose.keys]
        for name in names:
            other = self.subnets.setdefault(name, purpose.path)
            if other != purpose.path:
                self.report.add(f"{purpose.path}.name", f"a network of {other} has the name {name} as well")
        settings = {key: value for key, value in purpose.network.items() if key not in _ELSEWHERE}
        for family, cut in purpose.cuts.items():
            whole = self.wholes[family].prefix
            if whole is not None:
                settings[_DECIDED[1 if family == 4 else 2]] = Prefix(family, whole.base, cut.length).text
        if not purpose.cuts:
            settings["cidr"] = "192.0.2.0/24"
        tried = Report()
        read_networks(tried, [{**settings, "name": name} for name in names], Names())
        named = False
        for error in tried.errors:
            item, _dot, key = error.path.partition(".")
            message = error.message.replace(f"{item}.", "")
            if key == "name" and not named:
                named = True
                self.report.add(f"{purpose.path}.name", f"as the name of a network, {message}")
            elif key != "name" and item.endswith("[0]"):
                at = {"cidr": "length", "cidr6": "length6"}.get(key, f"network.{key}")
                self.report.add(f"{purpose.path}.{at}", message)
