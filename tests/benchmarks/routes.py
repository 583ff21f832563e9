# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_state on a router through ansible-playbook, next to the same routes by `ip -batch`. Needs a sandbox."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fleet
import sandbox
import timing
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Context, Delta
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.route import Route
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import UNDERLAY
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ROUTER
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir

HYPERVISORS = 200
INVENTORY = f"""---
routers:
  hosts:
    router:
      ansible_host: {fleet.ROUTER}
      ansible_connection: local
      ansible_python_interpreter: /usr/bin/python3
"""
_CHANGED = re.compile(r"^router +: ok=\d+ +changed=(\d+) ", re.M)


class Router:
    """The sandbox as a router, and the plans that it can be given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(INVENTORY)

    def plan(self, guests: int) -> Path:
        """Write the router's slice for so many guests; gives the plan's folder."""
        base = self.folder / f"plan{guests}"
        content = fleet.slice_of("router", "router", fleet.raw(guests, HYPERVISORS, ipv6=False))
        host = {"slices": {"router": content}, "files": {}}
        _plan_dir.write(_plan_dir.host_path(str(base), "router"), host)
        return base

    def apply(self, base: Path, changed: bool, state: str = "present") -> timing.Cost:
        """One run of host_state; one that does not change what it should ends the benchmark."""
        variables = json.dumps({"vpc_plan_dir": str(base), "role": "router", "state": state})
        cost = timing.playbook(
            timing.HERE / "host_state.yml", self.inventory, self.folder / "home", "-v", "-e", variables
        )
        found = _CHANGED.search(cost.text)
        if found is None or int(found[1]) != changed:
            raise SystemExit(f"expected changed={int(changed)}:\n{cost.text}")
        return cost

    def nothing(self) -> timing.Cost:
        return timing.playbook(timing.HERE / "nothing.yml", self.inventory, self.folder / "home")


def batch(base: Path) -> str:
    """The routes of a plan as one text for `ip -batch`."""
    content = _plan_dir.read_slice(str(base), "router", "router") or {}
    routes = {key: value.replace(UNDERLAY, "eth0") for key, value in content["state"]["route"].items()}
    commands = Route().put(Context(ROUTER, routes), Delta({}, routes))
    return "".join(command.stdin or "" for command in commands)


def kernel(text: str, count: int) -> dict[str, timing.Cost]:
    """The floor: what the tool needs to write and to read these routes."""
    add = timing.run(("ip", "-batch", "-"), text)
    dump = timing.run(("ip", "-N", "route", "show", "table", "all"))
    found = dump.text.count(f" proto {ROUTER.protocol} ")
    if found != count:
        raise SystemExit(f"{found} routes instead of {count}")
    timing.run(("ip", "route", "flush", "table", "all", "proto", str(ROUTER.protocol)))
    return {"ip -batch": add, "ip route show": dump}


def measure(router: Router, guests: int, rounds: int) -> dict[str, Any]:
    base, more = router.plan(guests), router.plan(guests + 1)
    text = batch(base)
    count = text.count("\n")
    costs: dict[str, list[timing.Cost]] = {}

    def note(name: str, step: Callable[[], timing.Cost]) -> None:
        costs.setdefault(name, []).append(step())

    for _round in range(rounds):
        for name, cost in kernel(text, count).items():
            costs.setdefault(name, []).append(cost)
        note("ping", router.nothing)
        note("first", lambda: router.apply(base, changed=True))
        note("no-op", lambda: router.apply(base, changed=False))
        note("one guest", lambda: router.apply(more, changed=True))
        note("removed", lambda: router.apply(base, changed=True, state="absent"))
    middle = {name: timing.median(found) for name, found in costs.items()}
    return {
        "routes": count,
        **{name: cost.seconds for name, cost in middle.items()},
        "first / (ping + ip)": middle["first"].seconds / (middle["ping"].seconds + middle["ip -batch"].seconds),
        "no-op / (ping + ip)": middle["no-op"].seconds / (middle["ping"].seconds + middle["ip route show"].seconds),
        "MiB": middle["first"].mebibytes,
    }


def main() -> None:
    """Inside the sandbox: arguments are rounds and sizes; prints a list of rows."""
    router = Router(sandbox.enter())
    sandbox.address(*fleet.underlay("router"))
    rounds, *sizes = map(int, sys.argv[1:])
    print(json.dumps([measure(router, guests, rounds) for guests in sizes]))


if __name__ == "__main__":
    main()
