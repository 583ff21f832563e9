# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor with guests in security groups and somebody beyond it, with flows between them that go on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Result, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

GROUP = {"name": "web", "ingress": []}
NETWORKS = [
    {"name": "net1", "cidr": "10.10.10.0/24", "cidr6": "2001:db8:10::/64"},
    {"name": "net2", "cidr": "10.10.20.0/24", "cidr6": "2001:db8:20::/64", "local_switching": "bridged"},
]
# Guest -> network and last part of its addresses; groups are the test's affair.
GUESTS = {"vm1": (1, "10"), "vm2": (1, "11"), "vm3": (2, "10"), "vm4": (2, "11")}

# Whatever comes, on any port of either family, goes back.
_ECHO = """\
import selectors, socket, sys
chosen = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        here = socket.socket(socket.AF_INET6, kind)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        here.bind(("::", port))
        if kind == socket.SOCK_STREAM:
            here.listen()
        chosen.register(here, selectors.EVENT_READ, kind)
print("ready", flush=True)
while True:
    for key, unused in chosen.select():
        here = key.fileobj
        if key.data == socket.SOCK_STREAM:
            chosen.register(here.accept()[0], selectors.EVENT_READ, None)
        elif key.data == socket.SOCK_DGRAM:
            said, sender = here.recvfrom(2048)
            here.sendto(said, sender)
        else:
            try:
                said = here.recv(2048)
                here.sendall(said)
            except OSError:
                said = b""
            if not said:
                chosen.unregister(here)
                here.close()
"""

# A server that says something all the time, whether or not anybody answers.
_STREAM = """\
import socket, sys, time
kind, port = sys.argv[1], int(sys.argv[2])
here = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
here.bind(("", port))
if kind == "tcp":
    here.listen()
print("ready", flush=True)
if kind == "tcp":
    there = here.accept()[0]
else:
    here.connect(here.recvfrom(2048)[1])
    there = here
number = 0
while True:
    there.send(b"%10d" % number)
    number += 1
    time.sleep(0.01)
"""

# Flows are arguments KIND,ADDRESS,PORT. For each line that is read, says of each flow whether an answer came.
_TALK = """\
import json, socket, sys
flows = []
for argument in sys.argv[1:]:
    kind, address, port = argument.split(",")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flow = socket.socket(family, socket.SOCK_DGRAM if kind.startswith("udp") else socket.SOCK_STREAM)
    flow.settimeout(3)
    try:
        flow.connect((address, int(port)))
        if kind == "udp-stream":
            flow.send(b"begin")
        if kind == "ftp":
            # The echo is what a server of FTP says: where data is to be had. The helper begins with a second line.
            for said in (b"220 ready", b"227 Entering Passive Mode (%s,4,210)" % address.replace(".", ",").encode()):
                flow.sendall(said + b"\\r\\n")
                flow.recv(2048)
    except OSError:
        pass
    flows.append((argument, flow))
number = 0
for line in sys.stdin:
    found = {}
    for argument, flow in flows:
        number += 1
        flow.settimeout(float(line))
        text = b"%d" % number
        try:
            if argument.partition(",")[0].endswith("-stream"):
                flow.setblocking(False)
                try:
                    while flow.recv(1 << 20):
                        pass
                except BlockingIOError:
                    flow.settimeout(float(line))
                found[argument] = len(flow.recv(1 << 20)) > 0
                continue
            flow.sendall(text)
            while (said := flow.recv(2048)) and said != text:
                pass
            found[argument] = said == text
        except OSError:
            found[argument] = False
    print(json.dumps(found), flush=True)
"""


class Talk:
    """Flows from one namespace that stay open."""

    def __init__(self, netns: Netns, flows: Iterable[str]) -> None:
        argv = ["ip", "netns", "exec", netns.name, sys.executable, "-c", _TALK, *flows]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answered(self, patience: float = 3) -> dict[str, bool]:
        """Of each flow, whether it is answered now. patience: seconds to wait for one that is not."""
        if self.process.stdin is None or self.process.stdout is None:
            return {}
        self.process.stdin.write(f"{patience}\n")
        self.process.stdin.flush()
        found: dict[str, bool] = json.loads(self.process.stdout.readline())
        return found


class Ping:
    """A steady ping."""

    def __init__(self, netns: Netns, target: str) -> None:
        argv = ["ip", "netns", "exec", netns.name, "ping", "-n", "-i", "0.01", "-W", "1", target]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        # It answers before anything changes.
        if self.process.stdout is not None:
            while "icmp_seq=5" not in self.process.stdout.readline():
                pass

    def missed(self) -> int:
        """End it; gives how many answers did not come, but for one that may be on its way."""
        self.process.send_signal(signal.SIGINT)
        words = self.process.communicate()[0].rpartition(" packets transmitted, ")
        return max(0, int(words[0].split()[-1]) - int(words[2].split()[0]) - 1)


class Host:
    """Namespaces: the host, its guests, and `out`, 192.168.56.1, which the host's default route leads to."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.backend = backend
        self.root = folder / "root"
        self.options = {"root": str(self.root), "lock": str(folder / "lock")}
        self.run_folder = self.root / "run/plainlinux-vpc"
        self.programs: list[str] = []
        self.netns = Netns()
        self.out = Netns()
        self.guests = {name: Netns() for name in GUESTS}
        self._started: list[subprocess.Popen[str]] = []
        self.netns.sh(
            f"""
            echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
            echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
            echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables
            ip link add eth0 up type veth peer name eth0 netns {self.out.name}
            ip addr add 192.168.56.103/24 dev eth0
            ip addr add fe80::c0a8:3867/64 dev eth0 nodad
            ip addr add 2001:db8:56::103/64 dev eth0 nodad
            """
        )
        self.out.sh(
            """
            ip link set eth0 up
            ip addr add 192.168.56.1/24 dev eth0
            ip addr add 2001:db8:56::1/64 dev eth0 nodad
            ip route add 10.10.0.0/16 via 192.168.56.103
            ip route add 2001:db8::/32 via 2001:db8:56::103
            """
        )

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        for netns in (self.netns, self.out, *self.guests.values()):
            netns.remove()

    def plan(self, groups: Iterable[Mapping[str, Any]] = (), **members: Iterable[str]) -> Plan:
        """groups: security groups. members: groups of guests, by name of the guest."""
        return Plan(
            parse(
                {
                    "vpc_networks": NETWORKS,
                    "vpc_security_groups": list(groups),
                    "vpc_instances": [
                        {
                            "name": name,
                            "hypervisor": "host1",
                            "network": f"net{number}",
                            "address": f"10.10.{number}0.{last}",
                            "address6": f"2001:db8:{number}0::{last}",
                            "security_groups": list(members.get(name, ())),
                        }
                        for name, (number, last) in GUESTS.items()
                    ],
                    "hosts": {
                        "host1": {
                            "groups": ["hypervisors"],
                            "vpc_underlay_address": "192.168.56.103",
                            "vpc_underlay_address6": None,
                            "vpc_backend": self.backend,
                        },
                        "router": {
                            "groups": ["routers"],
                            "vpc_underlay_address": "192.168.56.1",
                            "vpc_underlay_address6": "2001:db8:56::1",
                        },
                    },
                }
            ),
            "test",
        )

    def run(self, command: Command) -> Output:
        self.programs.append(" ".join(command.argv[:3]))
        return self.netns.run(command)

    def apply(self, plan: Plan, role: str, run: Callable[[Command], Output] | None = None, **options: Any) -> Result:
        self.programs.clear()
        chosen = Options(**{**self.options, "removal_limit": None, **options})
        return Transaction(SCOPES[role], plan.slice("host1", role), chosen, run or self.run).apply()

    def absent(self, role: str) -> Result:
        return Transaction(SCOPES[role], {}, Options(**self.options, removal_limit=None), self.run).apply()

    def boot(self) -> None:
        """What the boot unit does, after a boot has emptied the folder of records."""
        shutil.rmtree(self.run_folder, ignore_errors=True)
        script = (self.root / "etc/plainlinux-vpc/boot").read_text()
        file = self.root / "boot.sh"
        file.write_text(script.replace("/etc/plainlinux-vpc", f"{self.root}/etc/plainlinux-vpc"))
        self.netns.sh(f"PLAINLINUX_VPC_RUN={self.run_folder} dash {file}")
        file.unlink()

    def plug(self, *names: str) -> None:
        """Start guests; the bridges must be there."""
        for name in names:
            number, last = GUESTS[name]
            guest = self.guests[name]
            self.netns.sh(
                f"""
                ip link add {name}.0 type veth peer name eth0 netns {guest.name}
                ip link set {name}.0 master br-net{number} up
                """
            )
            guest.sh(
                f"""
                echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
                echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
                ip link set eth0 up
                ip addr add 10.10.{number}0.{last}/24 dev eth0
                ip addr add 2001:db8:{number}0::{last}/128 dev eth0 nodad
                ip route add default via 10.10.{number}0.1
                ip route add default via fe80::1 dev eth0
                """
            )
            if number == 2:
                guest.sh("ip route add 2001:db8:20::/64 dev eth0")

    def echo(self, netns: Netns, *ports: int) -> None:
        """A server in a namespace."""
        self._serve(netns, _ECHO, *ports)

    def stream(self, netns: Netns, kind: str, port: int) -> None:
        """One that says something all the time to the first client. kind: tcp, udp."""
        self._serve(netns, _STREAM, kind, port)

    def _serve(self, netns: Netns, program: str, *arguments: str | int) -> None:
        argv = ["ip", "netns", "exec", netns.name, sys.executable, "-c", program, *map(str, arguments)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._started.append(process)
        if process.stdout is not None:
            process.stdout.readline()

    def talk(self, netns: Netns, *flows: str) -> Talk:
        found = Talk(netns, flows)
        self._started.append(found.process)
        return found

    def ping(self, target: str) -> Ping:
        """From `out`."""
        found = Ping(self.out, target)
        self._started.append(found.process)
        return found
