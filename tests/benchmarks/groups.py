# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups: what they leave of throughput, and how long changes take. Needs a sandbox."""

from __future__ import annotations

import functools
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grouped
import sandbox
import timing
import traffic
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Context, Delta
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SECURITY_GROUPS
from antispoof import Turn, target
from bridged import has_bridge_nf
from filters import CONTROL, NONE
from grouped import CLIENT, SERVER, World, slice_of

BACKENDS = ("nftables", "iptables")
SWITCHING = ("isolated", "bridged")
SECONDS = 0.3
TURNS = 6
RULES = 4_000
# Seconds of kernel time to load so many rules, and to find that nothing is to do.
_LOAD, _IDLE = 0.3, 0.05
# A packet costs the same with few and with many members.
_SAME = 0.95


def turn(world: World, address: str) -> Turn:
    found = Turn()
    ends = (world.namespace(CLIENT), world.namespace(SERVER), address, SECONDS)
    stream = traffic.tcp(*ends)
    made = traffic.connections(*ends)
    found.update({"tcp": stream.gigabits, "tcp CPU": 1 / stream.busy, "new": made.second, "new CPU": 1 / made.busy})
    return found


def throughput(count: int, switching: str, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """A row for each filter: medians, and medians of the ratios to no filter in the same turn."""
    filters = [NONE, CONTROL, *BACKENDS]
    turns: list[dict[str, Turn]] = []
    for index in range(rounds):
        worlds = {}
        for at, name in enumerate(filters):
            content = grouped.members(count, name if name in BACKENDS else BACKENDS[0], switching)
            worlds[name] = World(f"g{count}{switching[0]}{index}f{at}", content, folder)
            if name in BACKENDS:
                worlds[name].filter(content)
                worlds[name].demand_filter()
        for _turn in range(TURNS):
            turns.append({name: turn(worlds[name], grouped.ADDRESS) for name in random.sample(filters, len(filters))})
        for world in worlds.values():
            world.close()
    return [_row(count, switching, name, turns) for name in filters]


def _row(count: int, switching: str, name: str, turns: list[dict[str, Turn]]) -> dict[str, Any]:
    def middle(figure: str) -> float:
        return timing.middle(one[name][figure] for one in turns)

    def ratio(figure: str) -> float:
        return timing.middle(2 * one[name][figure] / (one[NONE][figure] + one[CONTROL][figure]) for one in turns)

    return {
        "members": count,
        "network": switching,
        "filter": name,
        "Gbit/s": middle("tcp"),
        "TCP": ratio("tcp"),
        "TCP CPU": ratio("tcp CPU"),
        "new/s": int(middle("new")),
        "new": ratio("new"),
        "new CPU": ratio("new CPU"),
    }


def changes(backend: str, rounds: int) -> list[dict[str, Any]]:
    """A row for each step of a host with RULES rules: its time, and that which its processes spent in the kernel.

    The host is the sandbox itself: nothing has to enter it.
    """
    wanted = slice_of(SECURITY_GROUPS, grouped.rules(RULES, backend))
    swapped = slice_of(SECURITY_GROUPS, grouped.rules(RULES, backend, swapped=True))
    more = slice_of(SECURITY_GROUPS, grouped.rules(RULES, backend, more=1))
    found: dict[str, list[timing.Cost]] = {}

    def note(name: str, step: Callable[[], Any]) -> None:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_stime, time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        kernel = resource.getrusage(resource.RUSAGE_CHILDREN).ru_stime - before
        found.setdefault(name, []).append(timing.Cost(seconds, 0.0, kernel=kernel))

    def engine(content: dict[str, Any], objects: int | None) -> None:
        done = Transaction(SECURITY_GROUPS, content, Options(removal_limit=None)).apply()
        count = sum(len(set(delta.before) | set(delta.after)) for name, delta in done.deltas.items() if name != "file")
        if (count > 0) != (objects != 0):
            raise SystemExit(f"{backend}: {count} objects differ")

    for _round in range(rounds):
        if backend == "nftables":
            text = _script(wanted)
            note("nft -f", functools.partial(timing.run, ("nft", "-f", "-"), text))
            timing.run(("nft", "delete", "table", "inet", SECURITY_GROUPS.table))
        note("first", lambda: engine(wanted, None))
        note("no-op", lambda: engine(wanted, 0))
        note("one rule swapped", lambda: engine(swapped, 1))
        note("swapped back", lambda: engine(wanted, 1))
        note("one member more", lambda: engine(more, 1))
        note("removed", lambda: engine({}, None))
    return [
        {
            "backend": backend,
            "rules": RULES,
            "run": name,
            "seconds": timing.middle(cost.seconds for cost in costs),
            "kernel": timing.middle(cost.kernel for cost in costs),
        }
        for name, costs in found.items()
    ]


def _script(content: dict[str, Any]) -> str:
    """The whole filter as the one transaction that the engine gives to nft."""
    desired = {name: value for name, value in content["state"]["nft"].items() if name.startswith("inet ")}
    commands = Nft().put(Context(SECURITY_GROUPS, desired), Delta.between({}, desired))
    return "".join(command.stdin or "" for command in commands)


def targets(traffic_rows: Sequence[dict[str, Any]], change_rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was to be reached, where it was measured."""
    rows = []
    for row in change_rows:
        what = f"{row['backend']}: s in the kernel, {row['rules']:,} rules, {row['run']}"
        if row["run"] in ("nft -f", "first"):
            rows.append(target(what, row["kernel"], _LOAD))
        elif row["run"] == "no-op":
            rows.append(target(what, row["kernel"], _IDLE))
    sizes = sorted({row["members"] for row in traffic_rows})
    few, many = sizes[0], sizes[-1]
    ratios = {(row["members"], row["network"], row["filter"]): row for row in traffic_rows}
    for (count, network, name), row in ratios.items():
        if count == many != few and name in BACKENDS:
            for figure in ("TCP CPU", "new CPU"):
                same = row[figure] / ratios[few, network, name][figure]
                what = f"{name}, {network}: {figure} with {many:,} members, of that with {few}"
                rows.append(target(what, same, _SAME, least=True))
    return rows


def main() -> None:
    """Inside the sandbox: arguments are rounds and sizes; prints {traffic: rows, changes: rows, targets: rows}."""
    folder = sandbox.enter()
    rounds, *sizes = map(int, sys.argv[1:])
    found = {
        "changes": [row for backend in BACKENDS for row in changes(backend, rounds)],
        "traffic": [
            row
            for count in sizes
            for switching in SWITCHING
            if switching == "isolated" or has_bridge_nf()
            for row in throughput(count, switching, rounds, folder)
        ],
    }
    print(json.dumps({**found, "targets": targets(found["traffic"], found["changes"])}))


if __name__ == "__main__":
    main()
