# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tunnel is black-holed while a guest talks: how long it hears nothing, and that nothing leaves in clear meanwhile.

The guest asks the host in the VPC five times a second on each of many UDP flows; the gateway spreads them.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import sys
import time
from collections import Counter
from contextlib import suppress

import twin as lab

_PORT = 7
_FLOWS = 24
_PAUSE = 0.2
# The criterion, in seconds.
_MOST = 30.0
# All flows are well when they have been answered for so long.
_WELL = 1.5
# Until the gateway has given up an IKE SA: the first probe, and its repetitions.
_DEAD = 42.0
_TOLD = 6.0


class Flows:
    """Asks, answers, and looks at what the gateway sends."""

    def __init__(self, twin: lab.Twin) -> None:
        self._twin = twin
        self._server = twin.socket(twin.far, socket.AF_INET, socket.SOCK_DGRAM)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.bind((twin.far_address, _PORT))
        self._clients = [twin.socket(lab.GUEST, socket.AF_INET, socket.SOCK_DGRAM) for number in range(_FLOWS)]
        for client in self._clients:
            client.connect((twin.far_address, _PORT))
        self._names = {client.getsockname()[1]: number for number, client in enumerate(self._clients)}
        self._endpoints = {name: twin.sniffer(name, "ipsec0") for name in twin.tunnels}
        self._outside = twin.sniffer(twin.gateway, "eth0")
        self._remote = [ipaddress.IPv4Network(text) for text in twin.connection["remote"]]
        now = time.monotonic()
        self.answered = [now] * _FLOWS
        self.gaps = [0.0] * _FLOWS
        self.way: list[str | None] = [None] * _FLOWS
        self.clear = 0
        self._due = now

    def spend(self, seconds: float) -> None:
        """Let them talk for so long."""
        poll = select.poll()
        sockets = {one.fileno(): one for one in (self._server, *self._clients)}
        for number in sockets:
            poll.register(number, select.POLLIN)
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if now >= self._due:
                self._ask()
                self._due = now + _PAUSE
            for number, _event in poll.poll(max(0.0, min(self._due, end) - now) * 1000):
                self._take(sockets[number])
        self._look()

    def _ask(self) -> None:
        for number, client in enumerate(self._clients):
            with suppress(OSError):
                client.send(struct.pack("!I", number))

    def _take(self, one: socket.socket) -> None:
        content, peer = one.recvfrom(64)
        if one is self._server:
            with suppress(OSError):
                one.sendto(content, peer)
            return
        number, now = struct.unpack("!I", content)[0], time.monotonic()
        self.gaps[number] = max(self.gaps[number], now - self.answered[number])
        self.answered[number] = now

    def _look(self) -> None:
        for name, sniffer in self._endpoints.items():
            for packet, _out in lab.drain(sniffer):
                _source, target, protocol, payload = lab.ends(packet)
                if target == self._twin.far_address and protocol == socket.IPPROTO_UDP:
                    self.way[self._names.get(lab.ports(payload)[0], 0)] = name
        for packet, out in lab.drain(self._outside):
            target = ipaddress.IPv4Address(lab.ends(packet)[1])
            self.clear += out and any(target in network for network in self._remote)

    @property
    def well(self) -> bool:
        """Whether all have been answered just now."""
        return min(self.answered) > time.monotonic() - 3 * _PAUSE

    def forget(self) -> None:
        """Measure from now on."""
        self.gaps, self.way = [0.0] * _FLOWS, [None] * _FLOWS


def main() -> int:
    found = lab.parser(__doc__ or "")
    found.add_argument("do", choices=["cut", "down", "up"])
    found.add_argument("tunnels", nargs="*")
    given = found.parse_args()
    twin = lab.Twin(given.lab, given.plan)
    flows = Flows(twin)
    if given.do == "cut":
        _cut(twin, flows, given.tunnels)
    else:
        {"down": _down, "up": _up}[given.do](twin, flows)
    if flows.clear:
        lab.fail(f"{flows.clear} packets left the gateway in clear")
    return 0


def _settle(flows: Flows, names: set[str], seconds: float) -> float:
    """Wait until all flows are answered, and just these tunnels carry some. Returns how long that took."""

    def is_so() -> bool:
        flows.forget()
        flows.spend(_WELL)
        return flows.well and {way for way in flows.way if way} == names

    return lab.wait(f"all flows are answered, through {sorted(names)}", seconds, is_so)


def _cut(twin: lab.Twin, flows: Flows, names: list[str]) -> None:
    """Black-hole the tunnels that are named, and measure until all flows are well."""
    _settle(flows, set(twin.tunnels), 60)
    before = Counter(flows.way)
    flows.forget()
    twin.cut(*names)
    start = time.monotonic()
    flows.spend(2)
    # Only those that the tunnel carried, there or back.
    hurt = sum(answered < start + 1 for answered in flows.answered)
    took = lab.wait("all flows are answered again", 90, lambda: flows.spend(_PAUSE) or flows.well)
    flows.spend(_WELL)
    gap = max(flows.gaps)
    lab.say(
        f"{', '.join(names)} black-holed: {hurt} of {_FLOWS} flows hurt, carried before: {dict(before)},"
        f" outage {gap:.1f} s, all well after {took + 2:.1f} s"
    )
    if not hurt:
        lab.fail("the cut hurt nobody, so that it proves nothing")
    if gap > _MOST:
        lab.fail(f"the outage was longer than {_MOST:.0f} s")
    flows.forget()
    flows.spend(_WELL)
    if {way for way in flows.way if way} & set(names):
        lab.fail(f"{names} still carry packets")


def _down(twin: lab.Twin, flows: Flows) -> None:
    """Black-hole all tunnels. Packets stop at the gateway; without the route that does it, they are seen outside."""
    twin.cut(*twin.tunnels)
    start = time.monotonic()

    def no_way() -> bool:
        flows.spend(_PAUSE)
        return twin.inside(twin.gateway, "ip", "route", "get", twin.far_address).returncode != 0

    took = lab.wait("the gateway has no way any more", 90, no_way)
    flows.spend(2)
    # The kernel tells nobody who asks as often as the flows do.
    time.sleep(max(_TOLD, start + _DEAD - time.monotonic()))
    told = twin.inside(lab.GUEST, "ping", "-n", "-c", "1", "-W", "1", twin.far_address).stdout
    if f"From {twin.underlay[twin.gateway]}" not in told or "Unreachable" not in told:
        lab.fail(f"the guest is not told that the other side is out of reach: {told}")
    if flows.clear:
        lab.fail(f"{flows.clear} packets left the gateway in clear")
    prefix = str(twin.connection["remote"][0])
    route = twin.inside(twin.gateway, "ip", "route", "show", "type", "unreachable", prefix).stdout.split()
    twin.inside(twin.gateway, "ip", "route", "del", *route)
    flows.spend(1)
    seen, flows.clear = flows.clear, 0
    twin.inside(twin.gateway, "ip", "route", "add", *route)
    lab.say(f"all tunnels down after {took:.1f} s: nothing in clear; without the unreachable route: {seen} packets")
    if not seen:
        lab.fail("the control has not leaked either")


def _up(twin: lab.Twin, flows: Flows) -> None:
    """Repair everything."""
    twin.cut()
    took = _settle(flows, set(twin.tunnels), 90)
    lab.say(f"repaired: all flows are answered, through all tunnels, after {took:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
