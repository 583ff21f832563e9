# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that a bridge may have: none, the role's backends, and the linear rules of 2008."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import fleet
from ansible_collections.plainlinux.vpc.tests.attacks import guards, policy
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from bridged import BRIDGE, UPLINK, World, has_bridge_nf, slice_of, vif

NONE = "none"
# The same again: how far the ratios of the two are from 1 says how far to believe the others.
CONTROL = "none again"
GUARD = "nftables"


def _macs(names: dict[str, str]) -> dict[str, str]:
    return {name: guest.replace("-", ":") for name, guest in names.items()}


def none(world: World) -> None:
    world.plug({})


def _guard(backend: str) -> Callable[[World], None]:
    """The role, as the engine installs it; the ports that there are get their settings."""

    def install(world: World) -> None:
        content = slice_of(world.count, backend)
        world.plug(_macs(content["ports"]["names"]))
        world.apply(content)
        if world.apply(content, check=True).changed:
            raise SystemExit(f"{backend}: a second run finds differences")

    return install


class _Loader:
    """In place of tests/attacks' Topology: loads rules as tables, since a process for each would take minutes.

    Rules of arptables are left out: none of them sees an IP packet.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def shell(self, script: str) -> None:
        rules: dict[str, list[str]] = {"iptables": [], "ip6tables": []}
        for line in script.splitlines():
            tool, _space, rule = line.replace(" -w ", " ", 1).partition(" ")
            if tool in rules and rule.startswith("-A "):
                rules[tool].append(rule)
        for tool, lines in rules.items():
            self._world.run(_restore(tool), stdin="\n".join(("*filter", ":FORWARD DROP [0:0]", *lines, "COMMIT", "")))


def _restore(tool: str) -> str:
    """The program that loads tables of iptables or ip6tables: that of 2008 where it is left."""
    legacy = f"{tool}-legacy-restore"
    found = any(Path(folder, legacy).exists() for folder in os.environ["PATH"].split(os.pathsep))
    return legacy if found else f"{tool}-restore"


def recipe2008(world: World) -> None:
    """Rules for each VIF, one after the other; those of the VIF that is measured are last."""
    world.plug({})
    world.bridge_nf(True)
    vifs = [
        policy.Vif(vif(number), "", "", (str(fleet.FLAT + number),), (str(fleet.FLAT6 + number),))
        for number in range(1, world.count + 1)
    ]
    guards.recipe2008(cast(Topology, _Loader(world)), policy.Policy(BRIDGE, (UPLINK,), tuple(vifs)))


def all_of_them() -> dict[str, Callable[[World], None]]:
    """What this kernel can have, by name."""
    found = {NONE: none, CONTROL: none, GUARD: _guard(GUARD)}
    if has_bridge_nf():
        found.update({"iptables": _guard("iptables"), "recipe of 2008": recipe2008})
    return found
