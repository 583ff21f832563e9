# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expectations: what a user may write in vpc_expectations, and the words of a single question."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Hosts
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Instance, Interface
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import TCP, UDP
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule_read import read_prefix

SECTION = "vpc_expectations"
INTERNET = "internet"
PING = "ping"

_KEYS = frozenset(("from", "to", "port", "expect", "family"))
_REQUIRED = frozenset(("from", "to", "expect"))
_VERDICTS = ("accept", "drop")
_PROTOCOLS = {"tcp": TCP, "udp": UDP}
_PORT = re.compile(r"(tcp|udp)/([1-9][0-9]{0,4})")
_ADDRESS = re.compile(r".*[/:]|[0-9.]+$")
_INTERFACE = re.compile(r"(.+)\.(0|[1-9][0-9]{0,3})")
_BOTH = frozenset((4, 6))


@dataclass(frozen=True)
class Expectation:
    """Whether one reaches another. path: where it was written.

    source, target: name of a guest (or `guest.N` for its interface N), of a host, INTERNET, or a prefix or address.
    protocol: IP protocol number, or None for ping in any family. port: destination port, 0 where there is none.
    family: 4, 6, or 0 for every family that both have. accept: whether it must get through.
    """

    path: str = field(compare=False)
    source: str | Prefix
    target: str | Prefix
    protocol: int | None
    port: int
    family: int
    accept: bool


def read_expectations(
    report: Report, raw: Any, hosts: Hosts, networks: Networks, instances: list[Instance], public: Collection[int]
) -> list[Expectation]:
    """Read the list `vpc_expectations`; the result is of use only where nothing was reported.

    public: IPv4 addresses by which guests are reached.
    """
    values = fields.sequence(report, SECTION, raw)
    # 100,000 instances are put into a mapping only where somebody looks.
    reader = _Reader(report, hosts, networks, instances if values else [], public)
    for index, value in enumerate(values):
        reader.expectation(f"{SECTION}[{index}]", value)
    return reader.expectations


@dataclass(frozen=True)
class _End:
    """One end. word: as Expectation has it. ours: whether packets can start or end there. families: that it has."""

    word: str | Prefix
    ours: bool
    families: frozenset[int]


class _Reader:
    """Reads one expectation after the other."""

    def __init__(
        self, report: Report, hosts: Hosts, networks: Networks, instances: list[Instance], public: Collection[int]
    ) -> None:
        self.report = report
        self.hosts = hosts
        self.networks = networks
        self.public = public
        self.expectations: list[Expectation] = []
        self.instances = {instance.name: instance for instance in instances}
        self.known = {INTERNET, *hosts.hosts, *self.instances}
        self.ends: dict[str, _End] = {}

    def expectation(self, path: str, value: Any) -> None:
        report = self.report
        item = fields.mapping(report, path, value, _KEYS, _REQUIRED)
        if item is None:
            return
        source, target = (self.end(f"{path}.{key}", item, key) for key in ("from", "to"))
        protocol, port = self.port(f"{path}.port", item.get("port", PING))
        accept = fields.choice(report, path, item, "expect", _VERDICTS) == _VERDICTS[0]
        family = self.family(path, item)
        if source is None or target is None:
            return
        if source.word == target.word:
            report.add(f"{path}.to", f"{show(item['to'])} is from as well: nothing is sent")
        elif not source.ours and not target.ours:
            report.add(path, "neither from nor to is ours: an instance, a host, or an address of either")
        elif not source.families & target.families & (frozenset((family,)) if family else _BOTH):
            of_family = f" with family {family}" if family else ""
            report.add(path, f"from and to have no address family in common{of_family}")
        self.expectations.append(Expectation(path, source.word, target.word, protocol, port, family, accept))

    def end(self, path: str, item: Mapping[str, Any], key: str) -> _End | None:
        word = fields.text(self.report, path.rpartition(".")[0], item, key)
        if word is None:
            return None
        if word not in self.ends:
            found = self.meaning(path, word)
            if found is None:
                return None
            self.ends[word] = found
        return self.ends[word]

    def meaning(self, path: str, word: str) -> _End | None:
        """What a word stands for; a word that stands for two things is reported."""
        found: dict[str, _End] = {}
        instance = self.instances.get(word)
        if instance is not None:
            found[f"the instance {instance.path}"] = _End(word, True, self.families(instance.interfaces))
        match = _INTERFACE.fullmatch(word)
        instance = self.instances.get(match[1]) if match is not None else None
        if match is not None and instance is not None:
            number = int(match[2])
            if number < len(instance.interfaces):
                families = self.families(instance.interfaces[number : number + 1])
                found[f"interface {number} of {instance.path}"] = _End(word, True, families)
            elif not found:
                count = len(instance.interfaces)
                self.report.add(path, f"{word} is not allowed: {match[1]} has {count} interfaces, from 0 on")
                return None
        if word in self.hosts.names - self.hosts.idle:
            found[f"the host {word}"] = _End(word, True, _BOTH)
        if word == INTERNET:
            found["the internet"] = _End(word, False, _BOTH)
        if not found and _ADDRESS.match(word):
            return self.prefix(path, word)
        if len(found) > 1:
            self.report.add(path, f"{show(word)} has two meanings: {' and '.join(found)}")
            return None
        if not found:
            hint = self.report.hint(word, self.known)
            self.report.add(
                path, f"{show(word)} is not an instance, a host of a role, internet, a network or an address{hint}"
            )
            return None
        return next(iter(found.values()))

    def prefix(self, path: str, word: str) -> _End | None:
        try:
            prefix = read_prefix(word)
        except ValueError as error:
            self.report.add(path, str(error))
            return None
        inside = any(prefix.overlaps(network) for network, index in self.networks.prefixes[prefix.family])
        public = prefix.family == 4 and any(prefix.contains(address) for address in self.public)
        return _End(prefix, inside or public, frozenset((prefix.family,)))

    def families(self, interfaces: tuple[Interface, ...]) -> frozenset[int]:
        """Address families of any of the interfaces; both where its network is refused."""
        found: set[int] = set()
        for interface in interfaces:
            place = self.networks.places.get(interface.network)
            if place is None:
                return _BOTH
            found |= {4} & set(interface.families) if place.low <= place.high else set()
            found |= {6} & set(interface.families) if place.low6 <= place.high6 else set()
        return frozenset(found)

    def port(self, path: str, value: Any) -> tuple[int | None, int]:
        """(protocol, port); (None, 0) for ping."""
        word = value if isinstance(value, str) else ""
        match = _PORT.fullmatch(word)
        if match is not None and int(match[2]) <= 65535:
            return _PROTOCOLS[match[1]], int(match[2])
        if word != PING:
            self.report.add(path, f"{show(value)} is not allowed: tcp/443, udp/53 (1 to 65535) or {PING}")
        return None, 0

    def family(self, path: str, item: Mapping[str, Any]) -> int:
        if "family" not in item:
            return 0
        value = item["family"]
        if value in (4, 6) and isinstance(value, int):
            return int(value)
        hint = ", without quotes" if isinstance(value, str) else ""
        self.report.add(f"{path}.family", f"{show(value)} is not allowed: 4 or 6{hint}; left out, both")
        return 0
