# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Without groups, ACLs and VPCs all gets through that they are to stop: else their silence would prove nothing."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import place as lab
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import trials
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.trials import ANSWERED, Trial
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import expectations, proof
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import World


def main() -> int:
    given = lab.arguments(__doc__ or "")
    place = lab.Place(given)
    attempts = _stopped(place, given)
    place.apply(_open(place.model()), playbook="../../playbooks/site.yml")
    place.plugged()
    outcomes = trials.run(
        [
            Trial(
                f"{place.lab}-{item.source}",
                item.source_address,
                item.kind,
                item.address,
                item.port,
                True,
                None if item.listen is None else (f"{place.lab}-{item.listen[0]}", *item.listen[1:]),
                item.others,
            )
            for item in attempts
        ]
    )
    wrong = [f"{item.text}: {found}" for item, found in zip(attempts, outcomes) if found.word != ANSWERED]
    if wrong or not attempts:
        lab.fail("\n".join([f"of {len(attempts)} packets these do not get through an open network", *wrong]))
    lab.say(f"all {len(attempts)} packets that are to be stopped get through an open network")
    return 0


def _stopped(place: lab.Place, given: argparse.Namespace) -> list[proof.Attempt]:
    """The packets of the inventory's expectations that do not get through, and could."""
    folder: Path = given.plan.with_name("plan-guarded")
    place.apply(place.inventory, f"--extra-vars=vpc_plan_dir={folder}", playbook="../../playbooks/plan.yml")
    world = World(json.loads((folder / "plan.json").read_text(encoding="utf-8")))
    found = proof.attempts(world, expectations.of_summary(json.loads((folder / "plan.json").read_text()), world))
    return [item for item in found if item.verdict != "accept" and item.source and _possible(item)]


def _possible(item: proof.Attempt) -> bool:
    """Whether there is anybody behind the address, and a way there: the internet has no route to guests' own."""
    return (item.listen is not None or item.kind == "ping") and not (item.source == "internet" and ":" in item.address)


def _open(model: dict[str, Any]) -> dict[str, Any]:
    """The model without anything that stops a packet."""
    for instance in model["vpc_instances"]:
        for interface in (instance, *instance.get("interfaces", ())):
            interface.pop("security_groups", None)
    for network in model["vpc_networks"]:
        network.pop("acl", None)
        network["vpc"] = "all"
    return {**model, "vpc_security_groups": [], "vpc_peerings": []}


if __name__ == "__main__":
    sys.exit(main())
