# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be counted instead of timed: processes, lines written, module executions. Needs a sandbox."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fleet
import sandbox
import timing
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES

HOSTS = {"router": "router", "hv0": "hypervisor"}
HYPERVISORS = 10
# The two hosts share the sandbox's one interface. Packages are compared in check mode only.
_LINES = re.compile(r"\((\d+) lines\)$")
RUN = ("--check", "-vvv", "--limit", ",".join(HOSTS))


class Counting:
    """Runs commands, and counts them."""

    def __init__(self) -> None:
        self.processes = 0

    def __call__(self, command: Command) -> Output:
        self.processes += 1
        return process.run(command)


def lines_written(commands: Sequence[str]) -> int:
    """Lines on the standard input of commands that write, from what a run says of them."""
    return sum(int(number) for command in commands for number in _LINES.findall(command))


def engine(host: str, guests: int) -> list[dict[str, Any]]:
    """Processes and lines of a first run, a no-op, one guest more, and removal."""
    role = HOSTS[host]
    sandbox.address(*fleet.underlay(host))
    base, more = (fleet.raw(count, HYPERVISORS) for count in (guests, guests + HYPERVISORS))
    # The guest that is added is one of this hypervisor's: guests are dealt out in turn.
    more["vpc_instances"] = more["vpc_instances"][: guests + 1]
    rows = []
    for step, content in (
        ("first", fleet.slice_of(host, role, base)),
        ("no-op", fleet.slice_of(host, role, base)),
        ("one guest", fleet.slice_of(host, role, more)),
        ("removed", {}),
    ):
        counting = Counting()
        done = Transaction(SCOPES[role], content, Options(removal_limit=None), counting).apply()
        if done.changed == (step == "no-op"):
            raise SystemExit(f"{host} {step}: changed is {done.changed}")
        rows.append(
            {
                "guests": guests,
                "role": role,
                "run": step,
                "processes": counting.processes,
                "of them writing": len(done.commands),
                "lines written": lines_written(done.commands),
            }
        )
    return rows


def modules(folder: Path, guests: int) -> list[dict[str, Any]]:
    """Modules that playbooks/site.yml starts on each host; what runs on the controller only is none."""
    sandbox.address(*fleet.underlay(*HOSTS))
    inventory = folder / f"inventory{guests}"
    fleet.write_inventory(inventory, fleet.raw(guests, HYPERVISORS), "json")
    variables = {
        "vpc_plan_dir": str(folder / f"plan{guests}"),
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_become": False,
    }
    text = timing.playbook(
        timing.REPOSITORY / "playbooks" / "site.yml", inventory, folder / "home", *RUN, "-e", json.dumps(variables)
    ).text
    started: dict[str, Counter[str]] = {role: Counter() for role in HOSTS.values()}
    role = ""
    for line in text.splitlines():
        if line.startswith(("PLAY [", "TASK [")):
            role = next((name for name in started if f"plainlinux.vpc.{name} :" in line), "")
        elif line.startswith("Using module file ") and role:
            started[role][Path(line.split()[3]).stem] += 1
    return [
        {
            "guests": guests,
            "role": name,
            "modules": sum(found.values()),
            "which": ", ".join(f"{module} {count}" for module, count in sorted(found.items())),
        }
        for name, found in started.items()
    ]


def main() -> None:
    """Inside the sandbox: arguments are sizes; prints {engine: rows, modules: rows}."""
    folder = sandbox.enter()
    sizes = [int(text) for text in sys.argv[1:]]
    print(
        json.dumps(
            {
                "engine": [row for guests in sizes for host in HOSTS for row in engine(host, guests)],
                "modules": [row for guests in sizes for row in modules(folder, guests)],
            }
        )
    )


if __name__ == "__main__":
    main()
