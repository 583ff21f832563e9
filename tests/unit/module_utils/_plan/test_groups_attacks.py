# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups under attack, with both backends: packets that no honest program sends get no further than others.

Each attack arrives before the rules are there.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan import groups_packets as packets
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_packets import (
    ICMP,
    ICMP6,
    SYN,
    TCP,
    UDP,
    Attacks,
    Wire,
    dhcp,
    flags,
    fragment,
    fragments,
    headers,
    icmp,
    ip,
    option,
    protocols,
    tcp,
    tricks,
    udp,
    word,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_world import (
    BACKENDS,
    LOST,
    NETWORKS,
    PASSED,
    Probe,
    World,
    guest,
    plan,
)

KINDS = ("1", "2", "3")
# Of these, the networks from which the outside is behind a router: nobody's DHCP leads there.
ROUTED = ("1", "2")
FAMILIES = (4, 6)
OPEN_PORT, SHUT_PORT, DENIED = 9000, 22, 7000
GROUPS: list[dict[str, Any]] = [
    {"name": "web", "ingress": [{"protocol": "tcp", "ports": 80}, {"protocol": "udp", "ports": OPEN_PORT}]},
    {
        "name": "deny",
        "ingress": [
            {"protocol": "tcp", "ports": DENIED, "action": "drop"},
            {"protocol": "udp", "ports": DENIED, "action": "drop"},
            {"protocol": 47, "action": "drop"},
            {},
        ],
    },
    {"name": "shut", "egress": [{"protocol": "udp", "ports": OPEN_PORT}]},
    {
        "name": "plain",
        "stateful": False,
        "ingress": [{"protocol": "tcp", "ports": 80}, {"protocol": "udp", "ports": OPEN_PORT}],
    },
]
GUESTS = [
    guest(f"{letter}{number}", network["name"], *groups)
    for number, network in enumerate(NETWORKS, 1)
    for letter, groups in {"w": ["web"], "d": ["deny"], "s": ["shut"], "p": ["plain"], "o": []}.items()
]


def made(backend: str, guests: list[dict[str, Any]]) -> World:
    inventory = {"vpc_networks": NETWORKS, "vpc_security_groups": GROUPS, "vpc_instances": guests}
    world = World(plan(backend, **inventory))
    for namespace in world.namespaces:
        # The hypervisor would tell guests of isolated networks to send to each other.
        world.shell("for file in /proc/sys/net/ipv6/conf/*/accept_redirects; do echo 0 > $file; done", namespace)
    return world


@pytest.fixture(scope="module", params=BACKENDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    found = made(request.param, GUESTS)
    yield found
    found.remove()


@pytest.fixture(scope="module", params=BACKENDS)
def untracked(request: pytest.FixtureRequest) -> Iterator[World]:
    """A host of stateless guests."""
    found = made(request.param, [item for item in GUESTS if item["name"][0] in "po"])
    yield found
    found.remove()


def stopped(world: World, source: str, target: str, attacks: Attacks, fence: tuple[int, int, int]) -> None:
    """All of them arrive where nothing is filtered, none where it is."""
    wire = Wire(world, source, target)
    try:
        world.open()
        assert wire.arrived(attacks, fence) == set(attacks)
        world.enforce()
        world.forget()
        assert wire.arrived(attacks, fence) == set()
    finally:
        wire.close()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_asked_for(world: World, kind: str, family: int) -> None:
    target = f"w{kind}"
    there = world.places[target].addresses[family]
    for source in (f"o{kind}", "outside"):
        here = world.places[source].addresses[family]
        attacks = {
            **flags(here, there, SHUT_PORT),
            **protocols(here, there),
            **tricks(here, there, family),
            **fragments(here, there, family, SHUT_PORT),
            **(headers(here, there, SHUT_PORT) if family == 6 else {}),
            **(dhcp(here, there, family) if kind in ROUTED and source == "outside" else {}),
        }
        stopped(world, source, target, attacks, (family, OPEN_PORT, 40000))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_rule_drops_before_another_accepts_all(world: World, kind: str, family: int) -> None:
    target = f"d{kind}"
    there = world.places[target].addresses[family]
    for source in (f"o{kind}", "outside"):
        here = world.places[source].addresses[family]
        text = word()
        hidden = word()
        attacks = {
            **flags(here, there, DENIED),
            **fragments(here, there, family, DENIED),
            **(headers(here, there, DENIED) if family == 6 else {}),
            "gre": (text, [ip(here, there, 47, b"\0" * 16 + text)]),
        }
        if family == 6:
            attacks["gre behind options"] = (hidden, [ip(here, there, 60, option(47, b"\0" * 16 + hidden))])
        stopped(world, source, target, attacks, (family, OPEN_PORT, 40000))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_guest_may_not_send(world: World, kind: str, family: int) -> None:
    """Also as an answer to nothing, and as an error about nothing."""
    source, target = f"s{kind}", "outside"
    here, there = (world.places[name].addresses[family] for name in (source, target))
    attacks = {
        **flags(here, there, 80),
        **protocols(here, there),
        **tricks(here, there, family),
        **fragments(here, there, family, 80),
        **(headers(here, there, 80) if family == 6 else {}),
        **(dhcp(here, there, family) if kind in ROUTED else {}),
    }
    stopped(world, source, target, attacks, (family, OPEN_PORT, 40000))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_errors_about_flows_of_others(world: World, kind: str, family: int) -> None:
    """Conntrack calls an error related to the flow that it quotes: the target has to be an end of that."""
    world.enforce()
    world.forget()
    source, target = f"o{kind}", f"w{kind}"
    here, there = (world.places[name].addresses[family] for name in (source, target))
    away = world.places["outside"].addresses[family]
    # A flow of the attacker's own, which is allowed.
    with world.socket(source, socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as flow:
        flow.bind((here, 46000))
        flow.sendto(b"x", (away, 46001))
    protocol, unreachable = (ICMP, 3) if family == 4 else (ICMP6, 1)
    attacks = {}
    quotes = {
        "own flow": ip(here, away, UDP, udp(here, away, 46000, 46001)),
        "own flow, turned": ip(away, here, UDP, udp(away, here, 46001, 46000)),
        "no flow": ip(there, away, UDP, udp(there, away, 46000, 46001)),
    }
    for name, quoted in quotes.items():
        text = word()
        error = icmp(here, there, unreachable, 3 if family == 4 else 4, data=quoted + text)
        attacks[name] = (text, [ip(here, there, protocol, error)])
    stopped(world, source, target, attacks, (family, OPEN_PORT, 40000))
    # What the target does have is told of, or path MTU discovery would break.
    with world.socket(target, socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as flow:
        flow.bind((there, 46000))
        flow.sendto(b"x", (away, 46001))
    text = word()
    wire = Wire(world, source, target)
    try:
        quoted = ip(there, away, UDP, udp(there, away, 46000, 46001))
        error = icmp(here, there, unreachable, 3 if family == 4 else 4, data=quoted + text)
        related = {"its own flow": (text, [ip(here, there, protocol, error)])}
        assert wire.arrived(related, (family, OPEN_PORT, 40000)) == set(related)
    finally:
        wire.close()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["1", "2"])
def test_unknown_senders_on_a_bridge_of_ours(world: World, kind: str, family: int) -> None:
    """Also without the guard nobody there has an address that no groups judge."""
    source, target = f"o{kind}", f"w{kind}"
    there = world.places[target].addresses[family]
    attacks: Attacks = {}
    for stranger in {4: ("10.77.0.1", "10.10.10.7", "10.10.20.7"), 6: ("2001:db8:77::1", "2001:db8:20::77")}[family]:
        for protocol, payload in ((UDP, udp(stranger, there, 40000, OPEN_PORT, word())),):
            attacks[f"{stranger} {protocol}"] = (payload[-10:], [ip(stranger, there, protocol, payload)])
    stopped(world, source, target, attacks, (family, OPEN_PORT, 40000))


@pytest.mark.parametrize("kind", ["2", "3"])
def test_frames_that_hide_their_packet_or_target(world: World, kind: str) -> None:
    """Tagged frames, and groups: whoever is on the same switch sends what he likes."""
    source, target = f"o{kind}", f"w{kind}"
    ports = {port.instance: port for port in world.plan.layout.ports}
    here, there = (world.places[name].addresses[4] for name in (source, target))
    here6, there6 = (world.places[name].addresses[6] for name in (source, target))
    sender, receiver = (bytes.fromhex(ports[name].mac.replace(":", "")) for name in (source, target))
    wide = b"\xff" * 6
    frames: dict[bytes, tuple[str, bytes]] = {}

    def put(name: str, mac: bytes, family: int, packet: bytes, text: bytes, tags: tuple[bytes, ...] = ()) -> None:
        kind = b"\x08\0" if family == 4 else b"\x86\xdd"
        frames[text] = (name, mac + sender + b"".join(tags) + kind + packet)

    priority, inner, outer = b"\x81\0\0\0", b"\x81\0\0\x05", b"\x88\xa8\0\0"
    for name, tags in {
        "tag": (priority,),
        "vlan": (inner,),
        "two": (priority, priority),
        "outer": (outer, inner),
    }.items():
        text = word()
        put(f"{name} 4", receiver, 4, ip(here, there, TCP, tcp(here, there, 47000, SHUT_PORT, SYN, text)), text, tags)
        text = word()
        put(
            f"{name} 6",
            receiver,
            6,
            ip(here6, there6, TCP, tcp(here6, there6, 47000, SHUT_PORT, SYN, text)),
            text,
            tags,
        )
    text = word()
    put("to all by MAC", wide, 4, ip(here, there, UDP, udp(here, there, 47000, SHUT_PORT, text)), text)
    for group in ("255.255.255.255", f"10.10.{kind}0.255", "224.0.0.1", "224.0.0.251", "239.1.2.3"):
        text = word()
        put(group, wide, 4, ip(here, group, UDP, udp(here, group, 47000, SHUT_PORT, text)), text)
    for group in ("ff02::1", "ff02::fb", "ff05::1:3"):
        text = word()
        mac = b"\x33\x33" + packets.packed(group)[12:]
        put(group, mac, 6, ip(here6, group, UDP, udp(here6, group, 47000, SHUT_PORT, text)), text)
        text = word()
        put(f"{group} ping", mac, 6, ip(here6, group, ICMP6, icmp(here6, group, 128, data=text)), text)
    wire = Wire(world, source, target)
    fence = (4, OPEN_PORT, 40000)
    try:
        for enforced in (False, True):
            if enforced:
                world.enforce()
                world.forget()
            else:
                world.open()
            wire.came([], wire.udp(*fence))
            wire.frames(frame for _name, frame in frames.values())
            came = {frames[text][0] for text in wire.came(frames, wire.udp(*fence))}
            assert came == (set() if enforced else {name for name, _frame in frames.values()})
    finally:
        wire.close()


def test_the_hypervisor_behind_every_address(world: World) -> None:
    """Who may send nothing reaches the hypervisor at none of its addresses; nor does it reach who may get nothing."""
    bridges = {"1": "10.10.10.1", "2": "10.10.20.1"}
    for kind, word4 in bridges.items():
        world.shell(f"ip addr replace {word4}/32 dev br-net{kind}")
        world.places[f"bridge{kind}"] = world.places["host"]._replace(addresses={4: word4})
    world.shell("ip addr replace 2001:db8:ff::1/128 dev lo")
    world.places["loopback"] = world.places["host"]._replace(addresses={6: "2001:db8:ff::1"})
    there = {"bridge1": 4, "bridge2": 4, "loopback": 6, "host": 6}
    probes = [
        Probe(protocol, f"s{kind}", name, port, family)
        for kind in bridges
        for name, family in there.items()
        for protocol, port in (("tcp", 80), ("udp", 53), ("ping", 0))
    ]
    probes += [Probe("tcp", "host", f"w{kind}", SHUT_PORT, family) for kind in KINDS for family in FAMILIES]
    allowed = [Probe("udp", f"o{kind}", name, 53, family) for kind in bridges for name, family in there.items()]
    world.compare({**dict.fromkeys(probes, LOST), **dict.fromkeys(allowed, PASSED)})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_stateless_guests(untracked: World, kind: str, family: int) -> None:
    """Where nothing is tracked, pieces of packets have no ports of their own to go by, and no answers pass."""
    world = untracked
    target = f"p{kind}"
    there = world.places[target].addresses[family]
    for source in (f"o{kind}", "outside"):
        here = world.places[source].addresses[family]
        attacks = {
            **flags(here, there, SHUT_PORT),
            **tricks(here, there, family),
            **fragments(here, there, family, SHUT_PORT),
            **(headers(here, there, SHUT_PORT) if family == 6 else {}),
        }
        # The payload of a later piece looks like the beginning of what is allowed.
        for number, (protocol, port) in enumerate(((UDP, OPEN_PORT), (TCP, 80))):
            text = word()
            data = (udp if protocol == UDP else tcp)(here, there, 40000, port, data=text)
            piece = (
                ip(here, there, protocol, data, offset=64, number=300 + number)
                if family == 4
                else ip(here, there, 44, fragment(protocol, 64, False, 300 + number, data))
            )
            attacks[f"later piece {protocol}"] = (text, [piece])
        text = word()
        attacks["answer"] = (text, [ip(here, there, UDP, udp(here, there, OPEN_PORT, 40000, text))])
        stopped(world, source, target, attacks, (family, OPEN_PORT, 40000))
