# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What remembers nothing, with both backends: stateless security groups, and network ACLs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_probes import (
    LOST,
    PASSED,
    REFUSED,
    Probe,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_world import (
    BACKENDS,
    NETWORKS,
    World,
    guest,
    plan,
)

INSIDE = ["10.0.0.0/8", *(network["cidr6"] for network in NETWORKS)]
LISTS = [{"name": "office", "prefixes": ["203.0.113.0/24", "2001:db8:f::/48"]}]
GROUPS = [
    {
        "name": "plain",
        "stateful": False,
        "ingress": [
            {"protocol": "tcp", "ports": 80},
            {"protocol": "udp", "ports": 9000},
            {"protocol": "icmp", "type": "echo-request"},
            {"protocol": "tcp", "ports": 22, "action": "reject"},
            # Answers to what it asks the office.
            {"protocol": "tcp", "ports": "32768-65535", "from": "office"},
        ],
        "egress": [
            {"protocol": "tcp", "ports": "32768-65535", "to": ["office", "plain", *INSIDE]},
            {"protocol": "udp", "ports": "32768-65535", "to": ["office", *INSIDE]},
            {"protocol": "tcp", "ports": [5000, 80]},
            {"protocol": "icmp", "type": "echo-reply"},
        ],
    },
    {"name": "web", "ingress": [{"protocol": "tcp", "ports": 80}]},
]
# p is stateless, m stateful by its second group, w stateful, o not filtered.
GUESTS = [
    guest(f"{letter}{number}", network["name"], *groups)
    for number, network in enumerate(NETWORKS, 1)
    for letter, groups in {"p": ["plain"], "m": ["plain", "web"], "w": ["web"], "o": []}.items()
]
KINDS = ("1", "2", "3")
ACL = {
    "ingress": [
        {"protocol": "tcp", "ports": 81, "from": "office", "action": "drop"},
        {"protocol": "tcp", "ports": [80, 81]},
        {"protocol": "tcp", "ports": "32768-65535", "from": "office"},
        {"protocol": "udp", "ports": 9000, "from": "office"},
        {"protocol": "icmp"},
    ],
    "egress": [
        {"protocol": "tcp", "ports": "32768-65535"},
        {"protocol": "udp", "ports": "32768-65535", "to": ["203.0.113.0/24", "2001:db8:f::/48"]},
        {"protocol": "tcp", "ports": 5000, "to": ["office", "10.10.20.0/24"]},
        {"protocol": "icmp", "to": "0.0.0.0/0"},
    ],
}


def both(protocol: str, source: str, target: str, port: int = 0, size: int = 8) -> list[Probe]:
    return [Probe(protocol, source, target, port, family, size) for family in (4, 6)]


def table(*rows: tuple[str, list[Probe]]) -> dict[Probe, str]:
    return {probe: result for result, probes in rows for probe in probes}


@pytest.fixture(scope="module", params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(
        plan(
            request.param,
            vpc_networks=NETWORKS,
            vpc_prefix_lists=LISTS,
            vpc_security_groups=GROUPS,
            vpc_instances=GUESTS,
        )
    )
    yield made
    made.remove()


@pytest.mark.parametrize("kind", KINDS)
def test_every_packet_needs_a_rule(world: World, kind: str) -> None:
    target = f"p{kind}"
    rows = [
        (PASSED, [*both("tcp", "office", target, 80), *both("tcp", f"o{kind}", target, 80)]),
        # It gets in, and the answer does not get out.
        (LOST, both("tcp", "outside", target, 80)),
        (LOST, [*both("tcp", "office", target, 79), *both("tcp", "office", target, 81)]),
        (PASSED, [Probe("ping", "outside", target)]),
        (LOST, [Probe("ping", "outside", target, family=6)]),
        (PASSED, both("tcp", target, "office", 5000)),
        (LOST, [*both("tcp", target, "outside", 5000), *both("tcp", target, f"o{kind}", 5000)]),
        (PASSED, [*both("udp", "office", target, 9000, 4000), *both("udp", f"o{kind}", target, 9000, 4000)]),
        (LOST, [*both("udp", "office", target, 9001, 4000), *both("udp", "outside", target, 9000, 4000)]),
        (REFUSED, both("tcp", f"o{kind}", target, 22)),
    ]
    world.compare(table(*rows))


@pytest.mark.parametrize("kind", KINDS)
def test_a_stateful_group_makes_a_guest_stateful(world: World, kind: str) -> None:
    rows = [
        (PASSED, [*both("tcp", "outside", f"m{kind}", 80), *both("tcp", f"m{kind}", "outside", 5000)]),
        (LOST, [*both("tcp", "outside", f"m{kind}", 81), *both("udp", "outside", f"m{kind}", 53)]),
        (PASSED, [*both("tcp", f"w{kind}", "outside", 443), *both("tcp", "outside", f"w{kind}", 80)]),
    ]
    # The stateful end is tracked, and the other one judged packet by packet.
    rows += [(PASSED, both("tcp", f"w{other}", f"p{kind}", 80)) for other in KINDS]
    world.compare(table(*rows))


def test_nothing_is_tracked(world: World) -> None:
    world.enforce()
    world.forget()
    probes = [probe for kind in KINDS for probe in both("tcp", "office", f"p{kind}", 80)]
    world.passes(*probes)
    addresses = {world.places[f"p{kind}"].addresses[family] for kind in KINDS for family in (4, 6)}
    tracked = [world.shell(f"conntrack -L -f {family} 2>/dev/null") for family in ("ipv4", "ipv6")]
    assert not [address for address in addresses if any(f"={address} " in text for text in tracked)]
    world.passes(*both("tcp", "office", "w1", 80))
    assert f"={world.places['w1'].addresses[4]} " in world.shell("conntrack -L -f ipv4 2>/dev/null")


@pytest.fixture(scope="module", params=BACKENDS)
def listed(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world with an ACL on each network of ours, and no group at all."""
    networks: list[dict[str, Any]] = [
        {**network, "acl": ACL} if "bridge" not in network else network for network in NETWORKS
    ]
    guests = [guest(f"o{number}", network["name"]) for number, network in enumerate(networks, 1)]
    guests += [guest("n1", "net1"), guest("n2", "net2"), guest("far", "net1", hypervisor="host2")]
    made = World(plan(request.param, vpc_networks=networks, vpc_prefix_lists=LISTS, vpc_instances=guests))
    yield made
    made.remove()


@pytest.mark.parametrize("kind", ["1", "2"])
def test_acl(listed: World, kind: str) -> None:
    inside = f"o{kind}"
    rows = [
        (PASSED, [*both("tcp", "outside", inside, 80), *both("tcp", "outside", inside, 81)]),
        (PASSED, [*both("tcp", "office", inside, 80), *both("udp", "office", inside, 9000, 4000)]),
        (LOST, [*both("tcp", "office", inside, 81), *both("tcp", "outside", inside, 82)]),
        (LOST, [*both("udp", "outside", inside, 9000), *both("udp", "office", inside, 9001, 4000)]),
        (LOST, [*both("udp", "office", inside, 8999), *both("tcp", "outside", inside, 79)]),
        (PASSED, both("tcp", inside, "office", 5000)),
        (LOST, [*both("tcp", inside, "office", 5001), *both("tcp", inside, "outside", 5000)]),
        (PASSED, [Probe("ping", inside, "outside"), Probe("ping", "outside", inside)]),
        (LOST, [Probe("ping", inside, "outside", family=6), Probe("ping", "outside", inside, family=6)]),
        # The hypervisor's own address is outside as well.
        (LOST, [*both("tcp", inside, "host", 81), *both("tcp", "host", inside, 82)]),
        (PASSED, both("tcp", "host", inside, 80)),
        # Neighbours are not asked.
        (PASSED, [*both("tcp", f"n{kind}", inside, 1), *both("udp", f"n{kind}", inside, 1, 4000)]),
    ]
    listed.compare(table(*rows))


def test_acls_of_both_ends_are_asked(listed: World) -> None:
    rows = [
        (PASSED, [*both("tcp", "far", "o1", 1), *both("tcp", "o1", "far", 1)]),
        (LOST, [*both("tcp", "o1", "o2", 80), *both("tcp", "o1", "o2", 5000)]),
        (LOST, [*both("tcp", "o3", "o1", 79), *both("tcp", "o1", "o3", 79)]),
        (PASSED, both("tcp", "o3", "o1", 80)),
    ]
    listed.compare(table(*rows))
