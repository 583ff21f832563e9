# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of the lock file and of the inventory: which is which, and their tables and bridges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import Lock, LockedNetwork
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.changes import (
    CHANGED,
    GONE,
    NEW,
    WAS,
    Change,
)

_SHOWN = 3


def match(report: Report, model: Model, lock: Lock) -> dict[str, str]:
    """Name in the inventory by name in the file. A network of another name with the same prefix was renamed.

    Reports a file in which nothing is of this inventory.
    """
    names = {name: name for name in lock.networks if name in model.networks}
    by_prefix = {
        prefix: network.name
        for network in model.networks.values()
        if network.name not in lock.networks
        for prefix in (network.cidr, network.cidr6)
        if prefix is not None
    }
    for locked in lock.networks.values():
        if locked.name not in names:
            for prefix in (locked.cidr, locked.cidr6):
                name = by_prefix.get(prefix) if prefix is not None else None
                if name is not None and name not in names.values():
                    names[locked.name] = name
                    break
    first = min(lock.networks.values(), key=lambda item: item.line, default=None)
    if first is not None and not names:
        shown = _some([" ".join((item.name, *_prefixes(item.cidr, item.cidr6))) for item in lock.networks.values()])
        report.add(
            f"{lock.name}:{first.line}",
            f"none of its networks is in vpc_networks: {shown}; the file is another inventory's. Take this one's, or "
            "delete the file to have everything allocated anew",
        )
    _check_guests(report, model, lock)
    # Guests of a network without a line of its own.
    names.update((item.network, item.network) for item in (*lock.guests, *lock.freed) if item.network in model.networks)
    return names


def _check_guests(report: Report, model: Model, lock: Lock) -> None:
    """Report several guests of whom the inventory, which has some, knows none."""
    guests = list(dict.fromkeys(item.guest for item in lock.guests))
    if len(guests) > 1 and model.instances and not report.errors and not any(map(model.instances.__contains__, guests)):
        line = min(item.line for item in lock.guests)
        report.add(
            f"{lock.name}:{line}",
            f"none of its guests is in vpc_instances: {_some(guests)}; the file is another inventory's. Take this "
            "one's, or delete the lines of guests that are gone for good",
        )


def _prefixes(*prefixes: Prefix | None) -> list[str]:
    return [prefix.text for prefix in prefixes if prefix is not None]


def _some(texts: list[str]) -> str:
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return ", ".join([*texts[:_SHOWN], *more])


def check_tables(report: Report, lock: Lock) -> None:
    """Report tables that are others': what is not in the plan is removed from ours."""
    low, high = identity.TABLE_BASE, identity.TABLE_BASE + identity.TABLE_SIZE - 1
    for item in lock.networks.values():
        if item.table is not None and not identity.is_table(item.table):
            report.add(
                f"{lock.name}:{item.line}",
                f"table {item.table} of {item.name} is not allowed: {low} to {high}; delete the line to have the "
                "network given another",
            )


def check_macs(report: Report, lock: Lock, written: Mapping[str, str]) -> None:
    """Report bridges' MACs that guests have by the inventory. written: path by MAC."""
    for item in lock.networks.values():
        if item.mac is not None and item.mac in written:
            report.add(
                written[item.mac],
                f"{item.mac} was given to the bridge of {item.name} ({lock.name}:{item.line}): choose another one",
            )


def kept(lock: Lock, names: Mapping[str, str]) -> dict[str, LockedNetwork]:
    """The file's networks that are still there, by their names in the inventory."""
    return {names[name]: item for name, item in lock.networks.items() if name in names}


def tables(routed: Iterable[str], locked: Mapping[str, LockedNetwork]) -> dict[str, int]:
    """Route table id of each network that is ours to build."""
    wanted = list(routed)
    given = {name: locked[name].table for name in wanted if name in locked}
    return identity.table_ids(wanted, {name: table for name, table in given.items() if table is not None})


def bridge_macs(routed: Iterable[str], locked: Mapping[str, LockedNetwork], taken: set[str]) -> dict[str, str]:
    """The bridge's MAC of each network that is ours to build. taken: those of guests; the new ones are added."""
    wanted = sorted(routed)
    found = {name: mac for name in wanted if name in locked and (mac := locked[name].mac) is not None}
    taken.update(found.values())
    for name in wanted:
        attempt = 0
        while name not in found:
            mac = identity.bridge_mac(name, attempt)
            attempt += 1
            if mac not in taken:
                taken.add(mac)
                found[name] = mac
    return found


def lines(
    networks: Iterable[Network], tables_: Mapping[str, int], macs: Mapping[str, str], used: set[str]
) -> dict[str, LockedNetwork]:
    """What the file has to say of networks. used: those with a guest that was given something."""
    return {
        network.name: LockedNetwork(
            network.name, network.cidr, network.cidr6, tables_.get(network.name), macs.get(network.name)
        )
        for network in networks
        if network.name in tables_ or network.name in used
    }


def changes(before: Lock, names: Mapping[str, str], after: Mapping[str, LockedNetwork]) -> list[Change]:
    """What is new, and what is gone with its network."""
    earlier = {new: old for old, new in names.items() if old in before.networks}
    found = []
    for name, item in after.items():
        values = f"table {item.table}, bridge {item.mac}" if item.table is not None else ""
        old = earlier.get(name)
        if old is None:
            found.append(Change(NEW, name, "", values))
        elif before.networks[old][:-1] != item[:-1]:
            found.append(Change(CHANGED if old == name else f"{WAS}{old}", name, "", values))
    found.extend(Change(GONE, name, "", "") for name in before.networks if name not in names)
    return found
