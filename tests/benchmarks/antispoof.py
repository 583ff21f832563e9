# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The anti-spoofing guard: what it leaves of a bridge's throughput, and how long changes take. Needs a sandbox."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import filters
import plugging
import sandbox
import timing
import traffic
from bridged import World

SIZES = (10, 1_000, 4_000)
# Of one measurement. Many short turns say more than few long ones: what else the machine does changes within seconds.
SECONDS = 0.3
SECONDS_SMALL = 0.15
# Of all filters, in each round.
TURNS = 8
_GUESTS_TARGET = 4_000
_ENTRIES_TARGET = 100_000


class Turn(dict[str, float]):
    """What one filter let through in one turn, by the name of the figure; more is better."""


def turn(world: World) -> Turn:
    found = Turn()
    for name, end in (("out", "outside"), ("between", "neighbour")):
        stream = traffic.tcp(world.namespace("guest"), world.namespace(end), world.address(end), SECONDS)
        found[name] = stream.gigabits
        found[f"{name} CPU"] = 1 / stream.busy
    found["small"] = traffic.udp(
        world.namespace("guest"), world.namespace("outside"), world.address("outside"), SECONDS_SMALL
    )
    return found


def throughput(count: int, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """A row for each filter with so many guarded VIFs: medians, and medians of the ratios to none in the same turn."""
    installers = filters.all_of_them()
    turns: list[dict[str, Turn]] = []
    for index in range(rounds):
        # Where a bridge's memory lies makes it faster or slower than its like, for as long as it lives.
        worlds = {name: World(f"n{count}r{index}f{at}", count, folder) for at, name in enumerate(installers)}
        for name, install in installers.items():
            install(worlds[name])
        for _turn in range(TURNS):
            turns.append({name: turn(worlds[name]) for name in random.sample(list(worlds), len(worlds))})
        for world in worlds.values():
            world.close()
    return [_row(count, name, turns) for name in installers]


def _row(count: int, name: str, turns: list[dict[str, Turn]]) -> dict[str, Any]:
    def middle(figure: str) -> float:
        return timing.middle(one[name][figure] for one in turns)

    def ratio(figure: str) -> float:
        return timing.middle(
            2 * one[name][figure] / (one[filters.NONE][figure] + one[filters.CONTROL][figure]) for one in turns
        )

    return {
        "VIFs": count,
        "filter": name,
        "out Gbit/s": middle("out"),
        "out": ratio("out"),
        "out CPU": ratio("out CPU"),
        "between Gbit/s": middle("between"),
        "between": ratio("between"),
        "between CPU": ratio("between CPU"),
        "small kpps": middle("small"),
        "small": ratio("small"),
    }


def targets(traffic_rows: list[dict[str, Any]], change_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was to be reached, where it was measured."""
    rows = []
    for row in traffic_rows:
        if row["VIFs"] >= _GUESTS_TARGET and row["filter"] == filters.GUARD:
            where = f"with {row['VIFs']:,} VIFs, of none"
            rows.append(target(f"TCP out {where}", row["out"], 0.9, least=True))
            rows.append(target(f"TCP between {where}", row["between"], 0.9, least=True))
    for row in change_rows:
        if row["entries"] >= _ENTRIES_TARGET:
            rows.append(target(f"s to load {row['entries']:,} entries", row["nft -f"], 1.5))
        rows.append(target(f"s to add a VIF to {row['VIFs']:,}", row["vif add"], 0.05))
    return rows


def target(what: str, found: float, target: float, least: bool = False) -> dict[str, Any]:
    reached = found >= target if least else found <= target
    sign = "at least" if least else "at most"
    # As text: milliseconds count, and so does the third place of a ratio.
    return {"what": what, "found": f"{found:.3f}", "target": f"{sign} {target}", "": "ok" if reached else "missed"}


def main() -> None:
    """Inside the sandbox: arguments are rounds and sizes; prints {traffic: rows, changes: rows, targets: rows}."""
    folder = sandbox.enter()
    rounds, *sizes = map(int, sys.argv[1:])
    found = {
        "changes": plugging.measure(sizes, _ENTRIES_TARGET, rounds, folder),
        "traffic": [row for count in sizes for row in throughput(count, rounds, folder)],
    }
    print(json.dumps({**found, "targets": targets(found["traffic"], found["changes"])}))


if __name__ == "__main__":
    main()
