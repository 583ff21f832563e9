# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner: alone in a fresh process, and inside ansible-playbook."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet
import grouped
import timing
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs, _lock_file, _planner

GUESTS_PER_HYPERVISOR = 100
# Arguments of this program.
GROUPS = "groups"
LOCK = "lock"
MODES = ("first", "locked", "one more")
FORMS = ("json", "yaml")


def size(guests: int) -> int:
    """Number of hypervisors for so many guests."""
    return max(guests // GUESTS_PER_HYPERVISOR, 1)


def alone(guests: int, rounds: int, *what: str) -> dict[str, Any]:
    """Parse, plan and write; each round in a process of its own. Peak memory includes the input. what: GROUPS?"""
    steps: list[dict[str, float]] = []
    costs = []
    for _round in range(rounds):
        cost = timing.run((sys.executable, __file__, str(guests), *what))
        steps.append(json.loads(cost.text))
        costs.append(timing.Cost(sum(steps[-1].values()), cost.mebibytes))
    middle = timing.median(costs)
    found = {step: timing.middle(one[step] for one in steps) for step in steps[0]}
    return {"guests": guests, **found, "seconds": middle.seconds, "MiB": middle.mebibytes}


def with_lock_file(guests: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Without a lock file, with it, and with one guest more than it knows. MiB includes the input."""
    for mode in MODES:
        costs = [timing.run((sys.executable, __file__, str(guests), LOCK, mode)) for _round in range(rounds)]
        steps = [json.loads(cost.text) for cost in costs]
        yield {
            "guests": guests,
            "run": mode,
            "lines": int(steps[0]["lines"]),
            "lines changed": int(steps[0]["lines changed"]),
            "seconds": timing.middle(step["planned"] for step in steps),
            "MiB": timing.middle(cost.mebibytes for cost in costs),
        }


def in_ansible(guests: int, rounds: int) -> Iterator[dict[str, Any]]:
    """The whole of playbooks/plan.yml, next to a play over the same inventory that does nothing."""
    for form in FORMS:
        with tempfile.TemporaryDirectory(prefix="plainlinux-vpc-benchmark-") as name:
            folder = Path(name)
            fleet.write_inventory(folder / "inventory", fleet.raw(guests, size(guests)), form)
            costs: dict[str, list[timing.Cost]] = {"nothing": [], "plan": [], "planned": []}
            for index in range(rounds):
                target = f"vpc_plan_dir={folder}/plan{index}"
                for step, playbook in (
                    ("nothing", timing.HERE / "load.yml"),
                    ("plan", timing.REPOSITORY / "playbooks" / "plan.yml"),
                    ("planned", timing.REPOSITORY / "playbooks" / "plan.yml"),
                ):
                    costs[step].append(timing.playbook(playbook, folder / "inventory", folder / "home", "-e", target))
        middle = {step: timing.median(found) for step, found in costs.items()}
        yield {
            "guests": guests,
            "group_vars": form,
            **{step: cost.seconds for step, cost in middle.items()},
            "of it ours": middle["plan"].seconds - middle["nothing"].seconds,
            "MiB": middle["plan"].mebibytes,
        }


def main() -> None:
    """One round, in this process: seconds of each step as JSON."""
    guests = int(sys.argv[1])
    raw = fleet.raw(guests, size(guests))
    if GROUPS in sys.argv[2:]:
        raw = grouped.in_groups(raw)
    if LOCK in sys.argv[2:]:
        print(json.dumps(locked(raw)))
        return
    with tempfile.TemporaryDirectory(prefix="plainlinux-vpc-benchmark-") as folder, _planner.without_collector():
        start = time.perf_counter()
        identity = _inputs.identity(raw)
        parsed = time.perf_counter()
        model = parse(raw)
        planned = time.perf_counter()
        plan = Plan(model, identity)
        written = time.perf_counter()
        _planner.write(plan, folder)
        steps = {
            "identity": parsed - start,
            "parse": planned - parsed,
            "plan": written - planned,
            "write": time.perf_counter() - written,
        }
    print(json.dumps(steps))


def locked(raw: dict[str, Any]) -> dict[str, float]:
    """What the action does of guests that leave everything out. sys.argv: mode, and where to leave the lock file."""
    for guest in raw["vpc_instances"]:
        for key in ("address", "address6"):
            guest.pop(key, None)
    mode = sys.argv[3]
    with tempfile.TemporaryDirectory(prefix="plainlinux-vpc-benchmark-") as folder:
        file = Path(folder, _lock_file.DEFAULT)
        if mode != MODES[0]:
            # In another process: its memory is not the run's.
            argv = (sys.executable, __file__, sys.argv[1], LOCK, MODES[0], str(file))
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        if mode == MODES[2]:
            raw["vpc_instances"].append({"name": "one-more", "hypervisor": "hv0", "network": "n0"})
        with _planner.without_collector():
            start = time.perf_counter()
            text = _lock_file.read(str(file))
            found = _planner.planned(raw, f"{folder}/plan", text, file.name, look=True)
            if found.after != found.before:
                _lock_file.replace(str(file), found.before, found.after or "")
            seconds = time.perf_counter() - start
        if len(sys.argv) > 4:
            file.rename(sys.argv[4])
        before, after = ((side or "").splitlines() for side in (found.before, found.after))
        changed = len(set(after).symmetric_difference(before))
        return {"planned": seconds, "lines changed": changed, "lines": len(after)}


if __name__ == "__main__":
    main()
