# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmarks: prints tables, medians of several rounds. `make bench ARGS=--help` lists the options."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / ".build")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])

import planner  # noqa: E402
import sandbox  # noqa: E402

PARTS = ("planner", "ansible", "routes", "counts", "antispoof", "groups")
SIZES = (1_000, 10_000, 100_000)
# On one hypervisor.
VIFS = (10, 1_000, 4_000)
# Of one group.
MEMBERS = (10, 1_000, 10_000)


def machine() -> str:
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, kernel {platform.release()},"
        f" Python {platform.python_version()}, load {load}"
    )


def table(title: str, rows: Sequence[dict[str, Any]]) -> str:
    texts = [list(rows[0]), *([_cell(name, value) for name, value in row.items()] for row in rows)]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in texts]
    return "\n".join((f"\n{title}", *lines))


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if name == "MiB" else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be given again")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement (default 3)")
    default = f"{SIZES}, antispoof {VIFS}, groups {MEMBERS}"
    parser.add_argument("--guests", type=int, action="append", help=f"sizes (default {default})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    options = parser.parse_args()
    sizes = options.guests or SIZES
    wanted = options.only or PARTS
    found: dict[str, Any] = {"machine": machine(), "rounds": options.rounds}
    print(f"{found['machine']}; median of {options.rounds}; seconds unless said otherwise", flush=True)

    def show(name: str, title: str, rows: list[dict[str, Any]]) -> None:
        found[name] = rows
        print(table(title, rows), flush=True)

    if "planner" in wanted:
        rows = [planner.alone(guests, options.rounds) for guests in sizes]
        show("planner", "Planner alone, IPv4 and IPv6: 100 guests a hypervisor and a network", rows)
        rows = [planner.alone(guests, options.rounds, planner.GROUPS) for guests in sizes]
        show("planner with groups", "The same, with guests of many tenants, in two of four groups each", rows)
        rows = [row for guests in sizes for row in planner.with_lock_file(guests, options.rounds)]
        show(
            "planner with a lock file",
            "The same, with guests that leave addresses and MACs out; all of the action",
            rows,
        )
    if "ansible" in wanted:
        rows = [row for guests in sizes for row in planner.in_ansible(guests, options.rounds)]
        show("ansible", "plan.yml: play that does nothing, plan, plan again unchanged", rows)
    if "routes" in wanted:
        rows = sandbox.call(HERE / "routes.py", str(options.rounds), *map(str, sizes))
        show(
            "routes",
            "host_state on a router, through ansible-playbook; ip alone; ping: a module that does nothing",
            rows,
        )
    if "counts" in wanted:
        counted = sandbox.call(HERE / "counts.py", *map(str, sizes))
        show(
            "engine",
            "Processes of one run on a host, and lines on the standard input of those that write",
            counted["engine"],
        )
        show("modules", "Modules that site.yml starts on each host (in check mode)", counted["modules"])
    if "antispoof" in wanted:
        guard = sandbox.call(HERE / "antispoof.py", str(options.rounds), *map(str, options.guests or VIFS))
        show("antispoof changes", "Anti-spoofing guard: nft alone, the helper, the engine's runs", guard["changes"])
        show(
            "antispoof traffic",
            "Traffic through a bridge with so many guarded VIFs; ratios to no filter in the same turn",
            guard["traffic"],
        )
        show("antispoof targets", "Targets of the guard", guard["targets"])
    if "groups" in wanted:
        groups = sandbox.call(HERE / "groups.py", str(options.rounds), *map(str, options.guests or MEMBERS))
        show("groups changes", "Security groups: nft alone, the engine's runs; kernel: of processes", groups["changes"])
        show(
            "groups traffic",
            "From a guest to its neighbour, as a member of a group of so many; ratios to no filter in the same turn",
            groups["traffic"],
        )
        show("groups targets", "Targets of security groups", groups["targets"])
    found["load after"] = os.getloadavg()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
