# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner: alone in a fresh process, and inside ansible-playbook."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet
import grouped
import timing
from ansible_collections.plainlinux.vpc.plugins.action import plan as action
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs

GUESTS_PER_HYPERVISOR = 100
# An argument of this program.
GROUPS = "groups"
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
    with tempfile.TemporaryDirectory(prefix="plainlinux-vpc-benchmark-") as folder, action.without_collector():
        start = time.perf_counter()
        identity = _inputs.identity(raw)
        parsed = time.perf_counter()
        model = parse(raw)
        planned = time.perf_counter()
        plan = Plan(model, identity)
        written = time.perf_counter()
        action.write(plan, folder)
        steps = {
            "identity": parsed - start,
            "parse": planned - parsed,
            "plan": written - planned,
            "write": time.perf_counter() - written,
        }
    print(json.dumps(steps))


if __name__ == "__main__":
    main()
