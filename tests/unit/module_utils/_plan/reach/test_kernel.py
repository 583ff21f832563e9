# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk and the kernel agree: random groups and ACLs, real packets, each backend."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import trials
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.probing import VERDICTS
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.trials import Trial
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.proof import due
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.question import Packet, Question, ask
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import HOST as A_HOST
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import World as Plans
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_world import (
    BACKENDS,
    HOST,
    NETWORKS,
    World,
    guest,
    plan,
)

# Isolated, bridged and flat guests of one hypervisor, and two of another one.
NAMES = ("a1", "a2", "b1", "b2", "c1", "c2", "r1", "r2")
PLACES = {"a": "net1", "b": "net2", "c": "net3", "r": "net4"}
FAR: dict[str, Any] = {"name": "net4", "cidr": "10.10.40.0/24", "cidr6": "2001:db8:40::/64"}
GROUPS = ("g0", "g1", "g2", "g3")
PORTS = (80, 81, 443)
# Among them are refusals that nobody hears, through br_netfilter and not, and answers that an ACL drops.
ROUNDS = (7, 9, 26)


class Chance(random.Random):
    """Random policies; the same ones in each run."""

    def rule(self, groups: bool) -> dict[str, Any]:
        actions = ("accept", "accept", "accept", "drop", "reject") if groups else ("accept", "accept", "drop")
        found: dict[str, Any] = {"action": self.choice(actions)}
        protocol = self.choice(("all", "tcp", "tcp", "tcp", "udp", "udp", "icmp", "icmpv6"))
        if protocol != "all":
            found["protocol"] = protocol
        if protocol in ("tcp", "udp") and self.random() < 0.7:
            found["ports"] = self.choice((80, [80, 443], "80-81", "32768-60999", "443-20000"))
        if protocol in ("icmp", "icmpv6") and self.random() < 0.5:
            found["type"] = self.choice(("echo-request", "echo-reply"))
        return found

    def rules(self, side: str, own: str = "") -> list[dict[str, Any]]:
        """Of a group, whose name is `own`, or of an ACL."""
        key, groups = ("from" if side == "ingress" else "to"), bool(own)
        peers = ["10.10.8.0/22", "10.10.20.0/24", "2001:db8:10::/64", "2001:db8:20::/47", "10.10.0.0/21", "some"]
        peers += ["self", *(name for name in GROUPS if name != own)] if groups else []
        found: list[dict[str, Any]] = []
        for _each in range(self.randint(1, 4)):
            rule = self.rule(groups)
            if self.random() < 0.6:
                other = {"icmp": ":", "icmpv6": "10."}.get(rule.get("protocol", ""))
                words = [word for word in peers if not other or other not in word]
                rule[key] = sorted(self.sample(words, self.randint(1, 3)))
            found += [rule] if rule not in found else []
        return found

    def group(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {"name": name, "stateful": self.random() < 0.7, "ingress": self.rules("ingress", name)}
        if self.random() < 0.5:
            found["egress"] = self.rules("egress", name)
        return found

    def acl(self) -> dict[str, Any]:
        sides = self.choice((["ingress"], ["egress"], ["ingress", "egress"]))
        found = {side: self.rules(side) for side in sides}
        for rules in found.values():
            if self.random() < 0.7 and {"action": "accept"} not in rules:
                rules.append({"action": "accept"})
        return found

    def variables(self) -> dict[str, Any]:
        networks = [dict(network) for network in NETWORKS]
        for network in networks[:2]:
            if self.random() < 0.6:
                network["acl"] = self.acl()
        return {
            "vpc_networks": [*networks, FAR],
            "vpc_security_groups": [*map(self.group, GROUPS), {"name": "open", "ingress": [{}]}],
            "vpc_prefix_lists": [{"name": "some", "prefixes": ["10.10.30.0/24", "10.10.40.0/25", "2001:db8:40::/64"]}],
            "vpc_instances": [
                guest(name, PLACES[name[0]], *self.sample(GROUPS, self.randint(0, 2)))
                if name[0] != "r"
                # Nobody filters what is on another hypervisor here.
                else guest(name, PLACES[name[0]], "open", *self.sample(GROUPS, 1), hypervisor="host2")
                for name in NAMES
            ],
        }


@pytest.fixture(scope="module", params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(plan(request.param, **Chance(0).variables()))
    yield made
    made.remove()


def questions(chance: Chance) -> Iterator[Question]:
    ports = {"tcp": 6, "udp": 17}
    pairs = [(one, other) for one in (HOST, *NAMES) for other in NAMES if one != other]
    for one, other in pairs:
        flat = [name[0] == "c" for name in (one, other)]
        if one[0] == other[0] == "r" or (flat[0] != flat[1] and one != HOST):
            continue
        # What a hypervisor has to do with a flat network, or with guests elsewhere, is no question of groups.
        if one == HOST and other[0] in "cr":
            continue
        yield Question(one, other, None, 0, 0)
        for _each in range(2):
            yield Question(one, other, ports[chance.choice(("tcp", "udp"))], chance.choice(PORTS), 0)


def trial(world: World, asked: Question, packet: Packet, answer: bool) -> Trial:
    name = "host" if packet.source.kind == A_HOST else asked.source
    target = world.places[asked.target]
    address = target.addresses[packet.family]
    return Trial(
        world.places[name].namespace,
        world.places[name].addresses[packet.family] if name != "host" else "",
        asked.text.partition("/")[0],
        address,
        asked.port,
        answer,
        (target.namespace, address, asked.port) if asked.protocol is not None else None,
    )


def packets(told: Plans, chance: Chance) -> list[tuple[Question, Packet]]:
    """The packets of all questions, each with what the plan says of it."""
    return [(asked, packet) for asked in questions(chance) for packet in ask(told, asked).packets]


@pytest.mark.parametrize("seed", ROUNDS)
def test_random_policies(world: World, seed: int) -> None:
    chance = Chance(seed)
    made = plan(world.plan.model.hosts[HOST].backend, **chance.variables())
    told = Plans(made.summary())
    asked = packets(told, chance)
    world.open()
    outcomes = trials.run([trial(world, question, packet, True) for question, packet in asked])
    assert {outcome.word for outcome in outcomes} == {trials.ANSWERED}
    world.enforce(made)
    world.forget()
    found = trials.run([trial(world, question, packet, packet.way.verdict == "accept") for question, packet in asked])
    wrong = [
        f"{question.text} {packet.source.name} to {packet.target.name} IPv{packet.family} is {outcome}: {packet.way}"
        for (question, packet), outcome in zip(asked, found)
        if outcome.word not in VERDICTS[due(told, packet, False)]
    ]
    assert not wrong
