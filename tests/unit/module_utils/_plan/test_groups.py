# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups of both backends with real packets: each rule lets pass what it says, and none of its neighbours.

Every probe passes before the rules are there: World.compare() sees to that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan import families
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

GROUPS = [
    {
        "name": "web",
        "ingress": [
            {"protocol": "tcp", "ports": [80, 443]},
            {"protocol": "tcp", "ports": "8000-8010", "from": ["app", "self", "office", "198.51.100.9"]},
            {"protocol": "udp", "ports": 53, "from": "office"},
            {"protocol": "icmp", "type": "echo-request"},
            {"protocol": "icmpv6", "type": "echo-request", "from": "app"},
            {"protocol": "udp", "ports": 9000},
            {"protocol": "tcp", "ports": 9100, "from": "0.0.0.0/0"},
        ],
    },
    {
        "name": "app",
        "ingress": [
            {"protocol": "tcp", "ports": 7000, "from": "office", "action": "drop"},
            {"protocol": "tcp", "ports": 7000},
            {"protocol": "tcp", "ports": 22, "action": "reject"},
            {"protocol": "udp", "ports": 22, "action": "reject"},
        ],
        "egress": [
            {"protocol": "tcp", "ports": 80, "to": "web"},
            {"protocol": "tcp", "ports": 5000, "to": "office"},
            {"protocol": "tcp", "ports": 5001, "to": "office", "action": "reject"},
            {"protocol": "icmp", "to": "10.0.0.0/8"},
        ],
    },
    {"name": "shut", "egress": []},
    {"name": "more", "ingress": [{"protocol": "tcp", "ports": 7001}, {"protocol": "tcp", "ports": 22}]},
]
LISTS = [{"name": "office", "prefixes": ["203.0.113.0/24", "2001:db8:f::/48"]}]
# On each network a guest of each kind: w is in web, x as well, a in app, s in shut, o in none.
GUESTS = [
    guest(f"{letter}{number}", network["name"], *groups)
    for number, network in enumerate(NETWORKS, 1)
    for letter, groups in {"w": ["web"], "x": ["web"], "a": ["app"], "s": ["shut"], "o": []}.items()
] + [
    guest("both", "net1", "app", "more"),
    guest("far", "net1", "app", hypervisor="host2"),
    guest("farweb", "net1", "web", hypervisor="host2"),
]
FAMILIES = (4, 6)
KINDS = ("1", "2", "3")


def inventory(**changes: Any) -> dict[str, Any]:
    return {
        "vpc_networks": NETWORKS,
        "vpc_prefix_lists": LISTS,
        "vpc_security_groups": GROUPS,
        "vpc_instances": GUESTS,
        **changes,
    }


@pytest.fixture(scope="module", params=itertools.product(BACKENDS, families.FAMILIES), ids=" ".join)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    backend, kind = request.param
    made = World(plan(backend, **inventory(vpc_networks=families.only(families.FAMILIES[kind], NETWORKS))))
    yield made
    made.remove()


def both(protocol: str, source: str, target: str, port: int = 0) -> list[Probe]:
    return [Probe(protocol, source, target, port, family) for family in FAMILIES]


def table(*rows: tuple[str, list[Probe]]) -> dict[Probe, str]:
    return {probe: result for result, probes in rows for probe in probes}


@pytest.mark.parametrize("kind", KINDS)
def test_ingress(world: World, kind: str) -> None:
    target = f"w{kind}"
    rows = []
    for source in (f"o{kind}", "office", "outside", "host", "router"):
        rows += [(PASSED, both("tcp", source, target, port)) for port in (80, 443)]
        rows += [(LOST, both("tcp", source, target, port)) for port in (79, 81, 442, 444, 7999, 8011)]
        rows += [(LOST, both("udp", source, target, 80)), (PASSED, both("udp", source, target, 9000))]
        rows += [(PASSED if source == "office" else LOST, both("tcp", source, target, port)) for port in (8000, 8010)]
        rows += [(PASSED if source == "office" else LOST, both("udp", source, target, 53))]
        rows += [(LOST, both("tcp", source, target, 53))]
        rows += [(PASSED, [Probe("ping", source, target)]), (LOST, [Probe("ping", source, target, family=6)])]
        # A rule with an IPv4 literal means nothing wider in IPv6.
        rows += [(PASSED, [Probe("tcp", source, target, 9100)]), (LOST, [Probe("tcp", source, target, 9100, 6)])]
    world.compare(table(*rows))


@pytest.mark.parametrize("kind", KINDS)
def test_members(world: World, kind: str) -> None:
    """Groups as peers, wherever their members are; and those that have no part in it."""
    rows = []
    for other in KINDS:
        rows += [(PASSED, both("tcp", f"x{other}", f"w{kind}", port)) for port in (8000, 8010)]
        rows += [(LOST, both("tcp", f"x{other}", f"w{kind}", port)) for port in (7999, 8011, 22)]
        rows += [(PASSED, both("tcp", f"a{other}", f"w{kind}", 80)), (LOST, both("tcp", f"a{other}", f"w{kind}", 443))]
        rows += [(LOST, both("tcp", f"a{other}", f"w{kind}", 8000)), (LOST, both("tcp", f"o{other}", f"w{kind}", 8000))]
        rows += [(LOST, both("tcp", f"s{other}", f"w{kind}", 80)), (LOST, both("tcp", f"w{kind}", f"s{other}", 80))]
    rows += [(PASSED, both("tcp", "far", f"w{kind}", 8005)), (PASSED, both("tcp", "farweb", f"w{kind}", 8005))]
    rows += [(PASSED, both("ping", "far", f"w{kind}")), (LOST, [Probe("ping", "farweb", f"w{kind}", family=6)])]
    world.compare(table(*rows))


@pytest.mark.parametrize("kind", KINDS)
def test_egress(world: World, kind: str) -> None:
    source = f"a{kind}"
    rows = [
        (PASSED, both("tcp", source, "office", 5000)),
        (LOST, [*both("tcp", source, "office", 4999), *both("udp", source, "office", 5000)]),
        (LOST, [*both("tcp", source, "outside", 5000), *both("tcp", source, f"o{kind}", 5000)]),
        (LOST, [*both("tcp", source, "host", 5000), *both("tcp", source, "router", 5000)]),
        (PASSED, both("tcp", source, "farweb", 80)),
        (LOST, [*both("tcp", source, "farweb", 81), *both("tcp", source, "far", 80)]),
        (PASSED, [Probe("ping", source, f"o{kind}")]),
        (LOST, [Probe("ping", source, f"o{kind}", family=6), Probe("ping", source, "outside")]),
        (LOST, [*both("tcp", f"s{kind}", "outside", 80), *both("ping", f"s{kind}", "host")]),
        # Open: everything, also the hypervisor.
        (PASSED, [*both("tcp", f"w{kind}", "host", 80), *both("udp", f"w{kind}", "outside", 53)]),
        (PASSED, [*both("ping", f"w{kind}", "office"), *both("tcp", f"w{kind}", f"o{kind}", 22)]),
    ]
    world.compare(table(*rows))


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_refusals(world: World, kind: str) -> None:
    target = f"a{kind}"
    rows = []
    for source in (f"o{kind}", "outside", "host"):
        rows += [(PASSED, both("tcp", source, target, 7000)), (REFUSED, both("tcp", source, target, 22))]
        # The hypervisor's own programs learn of it when they send: "not permitted".
        rows += [(LOST if source == "host" else REFUSED, both("udp", source, target, 22))]
        rows += [(LOST, both("tcp", source, target, 23))]
        rows += [(LOST, both("ping", source, target))]
    rows += [(LOST, both("tcp", "office", target, 7000)), (REFUSED, both("tcp", target, "office", 5001))]
    world.compare(table(*rows))


def test_groups_add_up_and_the_first_match_decides(world: World) -> None:
    rows = [(PASSED, [*both("tcp", "o1", "both", 7001), *both("tcp", "o1", "both", 7000)])]
    rows += [(REFUSED, both("tcp", "o1", "both", 22)), (LOST, both("tcp", "office", "both", 7000))]
    # The egress of more is open.
    rows += [(PASSED, both("tcp", "both", "outside", 1234)), (LOST, both("tcp", "o1", "both", 7002))]
    world.compare(table(*rows))
