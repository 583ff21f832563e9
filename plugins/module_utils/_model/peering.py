# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peerings: what a user may write in vpc_peerings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group_read import NAME, NAME_ALLOWED

SECTION = "vpc_peerings"

_KEYS = frozenset(("name", "vpcs", "networks"))
_REQUIRED = frozenset(("name", "vpcs"))


@dataclass(frozen=True)
class Peering:
    """Two VPCs whose networks reach each other. path: where it was written; no part of its identity.

    networks: names of the networks that do, of both VPCs: all of them where the user named none of a VPC. Never flat
    ones, whose way out is not ours.
    """

    path: str = field(compare=False)
    name: str
    vpcs: tuple[str, str]
    networks: tuple[frozenset[str], frozenset[str]]


def read_peerings(report: Report, raw: Any, networks: Networks) -> list[Peering]:
    """Read the list `vpc_peerings`; the result is of use only where nothing was reported."""
    reader = _Reader(report, networks)
    for index, value in enumerate(fields.sequence(report, SECTION, raw)):
        reader.peering(f"{SECTION}[{index}]", value)
    return reader.peerings


class _Reader:
    """Reads one peering after the other and remembers names and pairs."""

    def __init__(self, report: Report, networks: Networks) -> None:
        self.report = report
        self.peerings: list[Peering] = []
        self.names: dict[str, str] = {}
        self.pairs: dict[frozenset[str], str] = {}
        self.networks = networks
        # Of a refused network nothing is known.
        self.complete = networks.complete and len(networks.networks) == len(networks.places)
        self.vpcs: dict[str, list[str]] = {}
        self.vpc_of: dict[str, str] = {}
        for network in networks.networks:
            members = self.vpcs.setdefault(network.vpc, [])
            self.vpc_of[network.name] = network.vpc
            if not network.flat:
                members.append(network.name)

    def peering(self, path: str, value: Any) -> None:
        item = fields.mapping(self.report, path, value, _KEYS, _REQUIRED)
        if item is None:
            return
        name = fields.text(self.report, path, item, "name")
        if name is not None:
            if not NAME.fullmatch(name):
                self.report.add(f"{path}.name", f"{show(name)} is not allowed: {NAME_ALLOWED}")
            elif self.names.setdefault(name, path) is not path:
                self.report.add(f"{path}.name", f"{show(name)} is already the name of {self.names[name]}")
        pair = self.pair(path, item) if "vpcs" in item else None
        chosen = self.chosen(path, item, pair)
        if pair is not None:
            one, two = (
                frozenset(named for named in chosen if self.vpc_of.get(named) == vpc) or frozenset(self.vpcs[vpc])
                for vpc in pair
            )
            self.peerings.append(Peering(path, name or "", pair, (one, two)))

    def pair(self, path: str, item: Mapping[str, Any]) -> tuple[str, str] | None:
        """The two VPCs; None where they are not two that are known."""
        report, at = self.report, f"{path}.vpcs"
        before = len(report.errors)
        values = fields.sequence(report, at, item["vpcs"])
        if len(report.errors) > before:
            return None
        if len(values) != 2:
            report.add(at, f"has {len(values)} items; a peering has two VPCs")
        vpcs = []
        for index, value in enumerate(values):
            word = fields.plain(value) if isinstance(value, str) else None
            if word is None or (word not in self.vpcs and self.complete):
                hint = report.hint(word, self.vpcs) if word is not None else ""
                report.add(f"{at}[{index}]", f"{show(value)} is the vpc of no network{hint}")
            elif word in self.vpcs:
                vpcs.append(word)
        if len(values) != 2 or len(vpcs) != 2:
            return None
        one, two = vpcs
        if one == two:
            report.add(at, f"{one} cannot be peered with itself: its networks reach each other")
            return None
        earlier = self.pairs.setdefault(frozenset(vpcs), path)
        if earlier is not path:
            report.add(at, f"{one} and {two} are already peered by {earlier}")
        for index, vpc in enumerate(vpcs):
            if not self.vpcs[vpc] and self.complete:
                report.add(f"{at}[{index}]", f"{vpc} has flat networks only, whose way out is not ours")
        return one, two

    def chosen(self, path: str, item: Mapping[str, Any], pair: tuple[str, str] | None) -> tuple[str, ...]:
        """The networks that the user named."""
        if "networks" not in item:
            return ()
        at = f"{path}.networks"
        if item["networks"] in ([], ()):
            self.report.add(at, "is empty; leave it out for all networks")

        def read(where: str, value: Any) -> str | None:
            if not isinstance(value, str):
                self.report.add(where, f"{show(value)} is not the name of a network")
                return None
            word = fields.plain(value)
            place = self.networks.places.get(word)
            if place is None:
                if self.networks.complete:
                    hint = self.report.hint(word, self.networks.places)
                    self.report.add(where, f"{show(word)} is not a network of vpc_networks{hint}")
            elif place.flat:
                self.report.add(where, f"{show(word)} is on a bridge of others: its way out is not ours")
            elif pair is not None and word in self.vpc_of and self.vpc_of[word] not in pair:
                self.report.add(where, f"{show(word)} is of vpc {self.vpc_of[word]}, not of {' or '.join(pair)}")
            return word

        return fields.each(self.report, at, item["networks"], read)
