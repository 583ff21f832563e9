# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lock file and the inventory contradict each other in: told at the one that can be changed more easily."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.guest_settings import SLAAC
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import NONE, Allocation
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.claims import Claims

_KEYS = {4: "cidr", 6: "cidr6"}


class Refusals:
    """Collects what cannot be kept. A network that was renumbered is one mistake, not one for each guest."""

    def __init__(self, model: Model, claims: Claims, name: str, report: Report) -> None:
        self._model = model
        self._claims = claims
        self._name = name
        self._report = report
        self._outside: dict[tuple[str, int], list[Allocation]] = {}

    def outside(self, item: Allocation, family: int) -> None:
        """An address that the network's prefix does not have, or no longer gives to guests."""
        self._outside.setdefault((item.network, family), []).append(item)

    def claimed(self, item: Allocation, family: int) -> None:
        """An address that somebody else has by the inventory."""
        value = item.address if family == 4 else item.address6
        if value is not None:
            self._twice(self._claims.addresses[family][value], format_address(family, value), item)

    def claimed_mac(self, item: Allocation) -> None:
        if item.mac is not None:
            self._twice(self._claims.macs[item.mac], item.mac, item)

    def _twice(self, path: str, word: str, item: Allocation) -> None:
        guest = self._model.instances[item.guest].path
        self._report.add(
            path,
            f"{word} was given to {item.owner} ({guest}, {self._name}:{item.line}): choose another one here, or "
            f"delete that line to have {item.owner} given another",
        )

    def slaac(self, path: str, address6: int, made: int, mac: str, network: Network) -> None:
        """An address that is written down, where the guest makes its own."""
        self._report.add(
            path,
            f"{format_address(6, address6)} is not {format_address(6, made)}, which {mac} makes: ipv6_addressing of "
            f"{network.path} is {SLAAC}",
        )

    def full(self, network: Network, family: int, owner: str) -> None:
        prefix = network.cidr if family == 4 else network.cidr6
        if prefix is not None:
            self._report.add(f"{network.path}.{_KEYS[family]}", f"{prefix.text} has no free address left for {owner}")

    def finish(self, networks: Mapping[str, Network]) -> None:
        """Report what was collected."""
        for (name, family), items in self._outside.items():
            first = min(items, key=lambda item: item.line)
            value = first.address if family == 4 else first.address6
            network, key = networks[name], _KEYS[family]
            prefix = network.cidr if family == 4 else network.cidr6
            word = format_address(family, value or 0)
            last = max(item.line for item in items)
            more = f", and {len(items) - 1} more down to line {last}" if len(items) > 1 else ""
            if prefix is None:
                message = (
                    f"{word} of {first.owner} is given, but {network.path} has no {key}{more}. Write it again, or "
                    f"{NONE} in place of these addresses to give them up"
                )
            else:
                where = "outside" if not prefix.contains(value or 0) else "no address for guests in"
                message = (
                    f"{word} of {first.owner} is {where} {network.path}.{key} {prefix.text}{more}. If the network "
                    f"was renumbered, write {NONE} in place of these addresses to have others given; if the file is "
                    "another inventory's, take this one's"
                )
            self._report.add(f"{self._name}:{first.line}", message)
