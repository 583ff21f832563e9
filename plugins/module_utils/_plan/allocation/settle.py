# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one question of this package: who has what, and what is to be written down of it."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors, Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import Lock
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation import networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.changes import Change
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.guests import Guests


@dataclass(frozen=True)
class Settled:
    """ports: every interface of every guest, in order of guest name. tables, bridge_macs: by network that is ours.

    lock: what the file has to say now. changes: how that differs from what it said, by network.
    """

    ports: list[Port]
    tables: dict[str, int]
    bridge_macs: dict[str, str]
    lock: Lock
    changes: list[Change]


def settle(model: Model, lock: Lock | None = None) -> Settled:
    """Keep what the lock file says, and give what is left out. The same inputs give the same result.

    With its own lock as input, the result is the same. Raises ModelErrors with every contradiction.
    """
    lock = lock or Lock()
    report = Report()
    names = networks.match(report, model, lock)
    if report.errors:
        raise ModelErrors(report.errors)
    locked = networks.kept(lock, names)
    networks.check_tables(report, lock)
    guests = Guests(model, lock, names, report)
    routed = [name for name, network in model.networks.items() if not network.flat]
    networks.check_macs(report, lock, guests.claims.macs)
    guests.keep()
    bridge_macs = networks.bridge_macs(routed, locked, guests.macs)
    ports = guests.give()
    if report.errors:
        raise ModelErrors(report.errors)
    tables = networks.tables(routed, locked)
    used = {item.network for items in (guests.lines, guests.freed) for item in items}
    lines = networks.lines(model.networks.values(), tables, bridge_macs, used)
    found = [*networks.changes(lock, names, lines), *guests.changes]
    found.sort(key=attrgetter("network"))
    after = Lock(lock.name, lines, tuple(guests.lines), tuple(guests.freed))
    return Settled(ports, tables, bridge_macs, after, found)
