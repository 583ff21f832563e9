# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long changes of the anti-spoofing guard take: all of it, one VIF by the helper, runs of the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timing
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Context, Delta
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.template import bind
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import TABLE
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from bridged import BRIDGE, World, slice_of, vif

# A name that no plan gives: guests get another with each start.
NEW = "vif70001.0"
# Calls of the helper in each round.
CALLS = 5


def elements(content: dict[str, Any]) -> dict[str, str]:
    """Elements of all guests as a state of subsystem nft, once each has the port that the plan names."""
    found: dict[str, str] = {}
    for name, guest in content["ports"]["names"].items():
        bound = bind(content["ports"]["guests"][guest], name)
        found.update({**bound.elements, **bound.local})
    return found


def script(content: dict[str, Any], known: dict[str, str]) -> str:
    """The whole guard as the one transaction that the engine gives to nft."""
    desired = {**known, **content["state"]["nft"]}
    commands = Nft().put(Context(ANTISPOOF, desired), Delta.between({}, desired))
    return "".join(command.stdin or "" for command in commands)


def measure(sizes: Sequence[int], entries: int, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """A row for each size, and one for so many guests that they have this many entries."""
    each = len(elements(slice_of(1_000, "nftables"))) / 1_000
    return [_size(count, rounds, folder) for count in (*sizes, int(entries / each) + 1)]


def _size(count: int, rounds: int, folder: Path) -> dict[str, Any]:
    # The last guest is the one that comes and goes.
    content, less = slice_of(count, "nftables"), slice_of(count - 1, "nftables")
    known = elements(content)
    text = script(content, known)
    world = World(f"c{count}", count, folder)
    names = {name: guest.replace("-", ":") for name, guest in content["ports"]["names"].items()}
    world.plug(names)
    world.run("ip", "link", "add", NEW, "master", BRIDGE, "up", "type", "veth", "peer", "name", "wire")
    seconds: dict[str, list[float]] = {}

    def note(name: str, step: Callable[[], Any]) -> None:
        start = time.perf_counter()
        step()
        seconds.setdefault(name, []).append(time.perf_counter() - start)

    def call(*words: str) -> None:
        timing.run(world.helper(*words))

    def engine(wanted: dict[str, Any], changed: bool) -> None:
        if world.apply(wanted).changed != changed:
            raise SystemExit(f"expected changed={changed} with {count} guests")

    for _round in range(rounds):
        note("nft -f", lambda: world.run("nft", "-f", "-", stdin=text))
        world.run("nft", "delete", "table", *TABLE.split())
        note("first", lambda: engine(less, changed=True))
        note("no-op", lambda: engine(less, changed=False))
        note("one guest", lambda: engine(content, changed=True))
        for _call in range(CALLS):
            note("vif add", lambda: call("add", NEW, names[vif(count)]))
            note("vif del", lambda: call("del", NEW))
        note("vif sync", lambda: call("sync"))
        note("removed", lambda: engine({}, changed=True))
    middle = {name: timing.middle(found) for name, found in seconds.items()}
    order = ("nft -f", "vif add", "vif del", "vif sync", "first", "no-op", "one guest", "removed")
    return {"VIFs": count, "entries": len(known), **{name: middle[name] for name in order}}
