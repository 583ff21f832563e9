# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of security groups while packets flow, with both backends: what may pass is kept, nothing else gets in."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_probes import SHORT, Frame, marked
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_world import (
    BACKENDS,
    NETWORKS,
    World,
    guest,
    plan,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

# asm-generic/socket.h
_SO_RCVBUFFORCE = 33
GROUPS: list[dict[str, Any]] = [
    {"name": "web", "ingress": [{"protocol": "udp", "ports": 9000}, {"protocol": "tcp", "ports": 80}]},
    {"name": "app", "ingress": [{"protocol": "udp", "ports": 9000, "from": "10.10.20.0/24"}]},
    {"name": "plain", "stateful": False, "ingress": [{"protocol": "udp", "ports": 9000}]},
]
GUESTS = [guest("o2", "net2"), guest("w2", "net2", "web"), guest("x1", "net1", "web"), guest("y2", "net2", "web")]


def variants(backend: str) -> list[Plan]:
    """Plans that let the same packets pass to w2, each another way."""
    swapped = [{**GROUPS[0], "ingress": GROUPS[0]["ingress"][::-1]}, *GROUPS[1:]]
    logged = [{**GROUPS[0], "log": True}, *GROUPS[1:]]
    other = [GUESTS[0], guest("w2", "net2", "app", "web"), *GUESTS[2:]]
    stateless = [*GUESTS[:3], guest("y2", "net2", "plain")]
    networks = [{**network, "acl": {"ingress": []}} if network["name"] == "net1" else network for network in NETWORKS]
    made = [
        (NETWORKS, GROUPS, GUESTS),
        (NETWORKS, swapped, GUESTS),
        (NETWORKS, logged, GUESTS),
        (NETWORKS, GROUPS, other),
        (NETWORKS, GROUPS, stateless),
        (networks, GROUPS, GUESTS),
    ]
    return [
        plan(backend, vpc_networks=where, vpc_security_groups=groups, vpc_instances=guests)
        for where, groups, guests in made
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_lost_and_nothing_slips_through(backend: str) -> None:
    plans = variants(backend)
    world = World(plans[0])
    try:
        macs = {port.instance: port.mac for port in world.plan.layout.ports}
        ends = world.places["o2"].addresses[4], world.places["w2"].addresses[4]
        sports = itertools.count(1024)
        stop = threading.Event()
        sent: dict[str, set[bytes]] = {"known": set(), "new": set(), "denied": set()}
        came: set[bytes] = set()

        def frame(sport: int, dport: int) -> Frame:
            packet = IP(src=ends[0], dst=ends[1]) / UDP(sport=sport, dport=dport) / Raw(marked())
            return Frame(bytes(Ether(src=macs["o2"], dst=macs["w2"]) / packet), ("o2", "eth0"), ("w2", "eth0"))

        def send() -> None:
            with world.packets(("o2", "eth0")) as out:
                while not stop.is_set():
                    for kind, sport, dport in (("known", 1000, 9000), ("new", next(sports), 9000), ("denied", 7, 9001)):
                        data = frame(sport, dport).data
                        sent[kind].add(data[-12:])
                        out.send(data)
                    time.sleep(0.0005)

        def receive(into: socket.socket) -> None:
            """Until nothing has come for a while and nothing more will."""
            into.settimeout(SHORT)
            # A busy machine may let this wait: what is lost must be lost on the way.
            into.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 26)
            while True:
                try:
                    data, address = into.recvfrom(2000)
                except socket.timeout:
                    if stop.is_set():
                        return
                else:
                    if address[2] != socket.PACKET_OUTGOING:
                        came.add(data[-12:])

        world.enforce()
        with world.packets(("w2", "eth0")) as into, ThreadPoolExecutor(2) as pool:
            flows = [pool.submit(receive, into), pool.submit(send)]
            try:
                for made in [*plans[1:], *plans]:
                    world.enforce(made)
            finally:
                stop.set()
            for done in flows:
                done.result()
        assert len(sent["known"]) > 100
        assert (sent["known"] - came, sent["new"] - came, sent["denied"] & came) == (set(), set(), set())
        # The same without a filter, or nothing was shown.
        world.open()
        assert world.seen([frame(1, 9001)], 5) == [True]
    finally:
        world.remove()
