# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of rules and guests while guests send: no spoofed frame gets through, and no legitimate one is lost."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Context, Delta
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import state
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy as Rules
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from ansible_collections.plainlinux.vpc.tests.attacks import stream
from ansible_collections.plainlinux.vpc.tests.attacks.arp import REPLY, arp
from ansible_collections.plainlinux.vpc.tests.attacks.case import eth
from ansible_collections.plainlinux.vpc.tests.attacks.guard_nftables import guest_of, install
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from ansible_collections.plainlinux.vpc.tests.attacks.world import FLAT, World
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

pytestmark = pytest.mark.attacks

WORLD = World(FLAT)
RATE = 10_000
TURNS = 60
GAP = "table bridge gap { chain nothing { type filter hook prerouting priority -400; policy drop; }; }"
LEGITIMATE = 7001
SPOOFED = 7002
NEWCOMER = Guest("00:16:3e:00:00:05", ((4, parse_ipv4("192.0.2.50")),))


def _udp(packet: Packet, port: int) -> bytes:
    return bytes(packet / UDP(sport=5353, dport=port) / Raw(bytes(64)))


def _frames() -> tuple[list[bytes], list[bytes]]:
    """What b says to c and r in its own name, and what a says to them as b."""
    a, b, c, r, second = (*map(WORLD.guest, "abcr"), WORLD.second)
    legitimate = [
        _udp(eth(b, c) / IP(src=b.ip4, dst=c.ip4), LEGITIMATE),
        _udp(eth(b, c) / IP(src=second.ip4, dst=c.ip4), LEGITIMATE),
        _udp(eth(b, r) / IPv6(src=b.ip6, dst=r.ip6), LEGITIMATE),
        _udp(eth(b, r) / IPv6(src=second.ip6, dst=r.ip6), LEGITIMATE),
    ]
    spoofed = [
        _udp(eth(a, c) / IP(src=b.ip4, dst=c.ip4), SPOOFED),
        bytes(arp(REPLY, (a.mac, b.ip4), (c.mac, c.ip4), c.mac)).ljust(60, b"\0"),
        _udp(eth(a, r) / IPv6(src=b.ip6, dst=r.ip6), SPOOFED),
        _udp(eth(r, c) / IP(src=r.ip4, dst=c.ip4), SPOOFED),
    ]
    return legitimate, spoofed


@dataclass
class Traffic:
    """Two steady streams to c and r, whose namespaces count what comes in."""

    topology: Topology
    sent: dict[str, list[int]] = field(default_factory=dict)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        a = WORLD.guest("a")
        for name in "cr":
            rules = [
                f"udp dport {LEGITIMATE} counter drop",
                f"udp dport {SPOOFED} counter drop",
                f"arp operation reply arp saddr ether {a.mac} counter drop",
            ]
            chain = "\n".join(["type filter hook ingress device eth0 priority 0;", *rules])
            table = f"table netdev seen {{\nchain in {{\n{chain}\n}}\n}}\n"
            self.topology.run("nft", "-f", "-", stdin=table, inside=name)
        cpus = sorted(os.sched_getaffinity(0))
        running = {
            name: self._start(name, cpus[number % len(cpus)], frames)
            for number, (name, frames) in enumerate(zip("ba", _frames()))
        }
        for process in running.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "sending\n"
        try:
            yield
        finally:
            for name, process in running.items():
                seconds, *counts = process.communicate()[0].split()
                self.sent[name] = [int(count) for count in counts]
                print(f"{name}: {sum(self.sent[name])} frames in {seconds} s")

    def _start(self, name: str, cpu: int, frames: list[bytes]) -> subprocess.Popen[str]:
        program = [sys.executable, stream.__file__, str(cpu), "eth0", str(RATE), *(frame.hex() for frame in frames)]
        return subprocess.Popen(
            ["ip", "netns", "exec", self.topology.namespace(name), *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def counts(self) -> tuple[int, int]:
        """(lost legitimate frames, spoofed frames that got through)."""
        came, leaked = 0, 0
        for name in "cr":
            text = self.topology.run("nft", "list", "table", "netdev", "seen", inside=name)
            first, *others = (int(number) for number in re.findall(r"counter packets (\d+)", text))
            came, leaked = came + first, leaked + sum(others)
        return sum(self.sent["b"]) - came, leaked


class Host:
    """The hypervisor's side: two policies, and the helper's files as the role writes them."""

    def __init__(self, topology: Topology, folder: Path) -> None:
        self.topology = topology
        self.folder = folder
        self.nft = Nft()
        self.run = folder / "run/antispoof"
        own = {vif.name: guest_of(vif) for vif in WORLD.policy.vifs}
        b = own["vif2.0"]
        wide = b._replace(
            addresses=(*b.addresses, (4, parse_ipv4("192.0.2.60"))), prefixes=(parse_prefix(4, "203.0.113.0/24"),)
        )
        uplinks = WORLD.policy.uplinks
        self.policies: list[tuple[Rules, Mapping[str, Guest]]] = [
            (Rules(uplinks), own),
            (
                Rules(uplinks, trusted=("mon*",), protected4=(parse_ipv4(WORLD.gw.ip4),), broadcasts=50, log=True),
                {**own, "vif2.0": wide, "vif4.0": own["vif4.0"]._replace(roles=frozenset())},
            ),
        ]
        self.now = 0
        self.program = self._write()
        for command in self.nft.put(self._context(), Delta.between({}, state.static(self.policies[0][0]))):
            topology.run(*command.argv, stdin=command.stdin)
        for name, guest in own.items():
            self.call("add", name, guest.mac)

    def call(self, *words: str, locked: bool = False) -> None:
        self.topology.run(*self.argv(*words, locked=locked))

    def argv(self, *words: str, locked: bool = False) -> list[str]:
        """A call of the helper."""
        settings = [f"PLAINLINUX_VPC_RUN={self.folder}/run", f"PLAINLINUX_VPC_LOCKED={int(locked)}"]
        return ["env", *settings, str(self.program), *words]

    def change(self) -> None:
        """The other policy, as the engine brings it about: rules and elements, then files, then the helper's sync."""
        before = self._state()
        self.now = 1 - self.now
        with (self.run / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for command in self.nft.put(self._context(), Delta.between(before, self._state())):
                self.topology.run(*command.argv, stdin=command.stdin)
            self._write()
            self.call("sync", locked=True)

    def gap(self) -> None:
        """Nothing passes for a moment, long enough for a sender on a busy machine to have its turn."""
        self.topology.run("nft", "-f", "-", stdin=GAP)
        time.sleep(0.5)
        self.topology.run("nft", "delete", "table", "bridge", "gap")

    def _state(self) -> dict[str, str]:
        rules, guests = self.policies[self.now]
        return {**state.static(rules), **state.of_guests(guests)}

    def _context(self) -> Context:
        return Context(ANTISPOOF, self._state())

    def _write(self) -> Path:
        return install(self.folder, [*self.policies[self.now][1].values(), NEWCOMER])

    @contextmanager
    def plugging(self) -> Iterator[None]:
        """Meanwhile, a guest comes and goes as fast as its hooks can be called."""
        self.topology.shell(
            "ip link add vif5.0 type veth peer name peer5\nip link set vif5.0 master xenbr0 up\nip link set peer5 up\n"
        )
        going = self.folder / "going"
        going.touch()
        add, remove = (" ".join(self.argv(*words)) for words in (("add", "vif5.0", NEWCOMER.mac), ("del", "vif5.0")))
        loop = f"while [ -e {going} ]; do {add}; {remove}; printf .; done"
        command = ["ip", "netns", "exec", self.topology.host, "dash", "-eu", "-c", loop]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            yield
        finally:
            going.unlink()
            output = process.communicate()[0]
            print(f"{len(output)} plugs")
            assert process.returncode == 0
            assert output


def _under_traffic(folder: Path, act: Callable[[Host, Traffic], None]) -> tuple[int, int]:
    with Topology(WORLD) as topology:
        host, traffic = Host(topology, folder), Traffic(topology)
        with traffic():
            act(host, traffic)
        return traffic.counts()


def test_changes_lose_nothing_and_let_nothing_through(tmp_path: Path) -> None:
    def act(host: Host, _traffic: Traffic) -> None:
        with host.plugging():
            for _turn in range(TURNS):
                host.change()

    assert _under_traffic(tmp_path, act) == (0, 0)


def test_a_gap_is_noticed(tmp_path: Path) -> None:
    """The same streams and counters, against what a change must not do."""

    def act(host: Host, _traffic: Traffic) -> None:
        host.gap()

    lost, leaked = _under_traffic(tmp_path, act)
    assert lost > 0
    assert leaked == 0


def test_without_the_guard_spoofed_frames_are_counted(tmp_path: Path) -> None:
    def act(host: Host, _traffic: Traffic) -> None:
        host.topology.run("nft", "flush", "ruleset")

    assert _under_traffic(tmp_path, act)[1] > 0
