# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small world of namespaces: a router, two hypervisors, their guests, the internet; and real packets between them.

Hosts get their slices of a real plan by the real transaction. Sockets are made inside a namespace and used from here.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import Options, Transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.families import only

NETWORKS: list[dict[str, Any]] = [
    {"name": "net1", "vpc": "a", "cidr": "10.10.10.0/24", "cidr6": "2001:db8:10::/64", "nat": True},
    {"name": "net2", "vpc": "b", "cidr": "10.10.20.0/24", "cidr6": "2001:db8:20::/64", "nat": True},
    {"name": "net3", "vpc": "b", "cidr": "10.10.30.0/24"},
    {"name": "net4", "vpc": "c", "cidr": "10.10.40.0/24"},
]
# Guest: hypervisor, network, last part of its addresses.
GUESTS = {
    "vm1": ("host1", "net1", 10),
    "vm2": ("host1", "net1", 11),
    "vm3": ("host2", "net1", 12),
    "vm4": ("host1", "net2", 10),
    "vm5": ("host2", "net2", 11),
    "vm6": ("host2", "net3", 10),
    "vm7": ("host2", "net4", 10),
}
UNDERLAY = {"router": 101, "gw": 102, "host1": 103, "host2": 104}
ROUTER = "192.168.56.101"
INTERNET = "198.51.100.1"
ROUTER6 = "2001:db8:56::65"
INTERNET6 = "2001:db8:ffff::1"
# What is behind the VPN gateway.
REMOTE = "10.20.0.5"
LOST, REFUSED = "lost", "refused"
_PATIENCE = 0.4
_NEWNET = 0x40000000


def address(guest: str, family: int = 4) -> str:
    _host, network, last = GUESTS[guest]
    return f"10.10.{network[3]}0.{last}" if family == 4 else f"2001:db8:{network[3]}0::{last}"


def make_socket(netns: Netns, kind: int, family: int = 4) -> socket.socket:
    """A socket of a namespace, for whoever holds it."""

    def make() -> socket.socket:
        with open(f"/run/netns/{netns.name}", encoding="ascii") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NEWNET) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind)

    # A thread of its own, which ends: a namespace is a thread's.
    with ThreadPoolExecutor(1) as thread:
        sock = thread.submit(make).result()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(_PATIENCE)
    return sock


def listen(netns: Netns, port: int = 0, family: int = 4) -> socket.socket:
    sock = make_socket(netns, socket.SOCK_STREAM, family)
    sock.bind(("", port))
    sock.listen()
    return sock


def connect(
    netns: Netns, target: str, port: int, family: int = 4, source: tuple[str, int] | None = None
) -> socket.socket:
    """An open connection, from an address and port or from any. Raises OSError."""
    sock = make_socket(netns, socket.SOCK_STREAM, family)
    try:
        if source is not None:
            sock.bind(source)
        sock.connect((target, port))
    except OSError:
        sock.close()
        raise
    return sock


class World:
    """router, host1, host2, gw, internet: namespaces on one wire. guests: by name.

    router: name of the host that is one; also host1, which then is both. families: of all networks; () for NETWORKS,
    of which not all have both. networks: keys that differ, by name. With iptables what bridges switch goes through its
    chains too, as the guard wants it.
    """

    def __init__(
        self,
        folder: Path,
        backend: str,
        router: str = "router",
        families: tuple[int, ...] = (),
        **networks: dict[str, Any],
    ) -> None:
        self.folder = folder
        self.backend = backend
        self.router = router
        self.families = families or (4, 6)
        found = [{**network, **networks.get(network["name"], {})} for network in NETWORKS]
        if families:
            found = only(families, ({"cidr6": f"2001:db8:{item['name'][3]}0::/64", **item} for item in found))
        self.networks = found
        self.hosts: dict[str, Netns] = {}
        self.guests: dict[str, Netns] = {}
        self.wire = Netns()
        self.internet = Netns()
        try:
            self._build()
        except BaseException:
            self.remove()
            raise

    def _build(self) -> None:
        self.wire.sh("ip link add br0 up type bridge")
        self._plug(self.internet)
        self.internet.sh(
            f"""
            ip addr add 192.168.56.1/24 dev eth0
            ip addr add {INTERNET}/24 dev eth0
            ip addr add 2001:db8:56::1/64 dev eth0 nodad
            ip addr add {INTERNET6}/128 dev lo
            """
        )
        for name, number in UNDERLAY.items():
            host = self.hosts[name] = Netns()
            host.sh("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad")
            calls = int(self.backend == "iptables" and name != self.router)
            host.sh(f"for file in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do echo {calls} >$file; done")
            self._plug(host)
            host.sh(
                f"""
                ip addr add 192.168.56.{number}/24 dev eth0
                ip addr add fe80::c0a8:38{number:02x}/64 dev eth0 nodad
                ip addr add 2001:db8:56::{number:x}/64 dev eth0 nodad
                ip route add default via 192.168.56.1
                ip -6 route add default via 2001:db8:56::1
                """
            )
        self.hosts["gw"].sh(
            f"""
            echo 1 >/proc/sys/net/ipv4/ip_forward
            ip addr add {REMOTE}/32 dev lo
            ip route add 10.10.0.0/16 via {ROUTER} src {REMOTE}
            """
        )
        self.apply()
        for name in GUESTS:
            self._guest(name)

    def remove(self) -> None:
        for netns in (*self.guests.values(), *self.hosts.values(), self.internet, self.wire):
            netns.remove()

    def has(self, guest: str, family: int) -> bool:
        """Whether a guest has an address of the family."""
        network = next(item for item in self.networks if item["name"] == GUESTS[guest][1])
        return ("cidr" if family == 4 else "cidr6") in network

    def inventory(self, **changes: Any) -> dict[str, Any]:
        instances = [
            {"name": name, "hypervisor": host, "network": network}
            | ({"address": address(name)} if self.has(name, 4) else {})
            | ({"address6": address(name, 6)} if self.has(name, 6) else {})
            for name, (host, network, _last) in GUESTS.items()
        ]
        groups: dict[str, list[str]] = {"router": [], "host1": ["hypervisors"], "host2": ["hypervisors"]}
        groups["gw"] = ["vpn_gateways"]
        groups[self.router].append("routers")
        hosts = {
            name: {
                "groups": groups[name],
                "vpc_underlay_address": f"192.168.56.{number}",
                "vpc_underlay_address6": f"fe80::c0a8:38{number:02x}",
                "vpc_backend": self.backend,
            }
            for name, number in UNDERLAY.items()
        }
        return {"vpc_networks": self.networks, "vpc_instances": instances, "hosts": hosts, **changes}

    def apply(self, settled: bool = False, **changes: Any) -> None:
        """Give every host what the inventory with these changes says. settled: see that nothing is left to do."""
        plan = Plan(parse(self.inventory(**changes)), "test")
        # What was asked of nobody is not asked again at once.
        self.internet.sh("ip neigh flush all")
        roles = [(host.name, role) for host in plan.model.hosts.values() for role in host.roles]
        for host, role in roles:
            if role not in ("hypervisor", "router"):
                continue
            content = plan.slice(host, role)
            root = self.folder / host
            root.mkdir(exist_ok=True)
            options = Options(root=str(root), lock=str(root / "lock"), removal_limit=None)
            Transaction(SCOPES[role], content, options, self.hosts[host].run).apply()
            if settled:
                again = Transaction(SCOPES[role], content, options, self.hosts[host].run).apply()
                assert not again.changed, again.deltas

    def open(self, *hosts: str) -> None:
        """Take the rules away that keep VPCs apart, until the next apply()."""
        for name in hosts:
            role = "router" if name == "router" else "hypervisor"
            if self.backend == "nftables":
                chains = [f"flush chain inet plainlinux_{role} {chain}" for chain in ("forward", "input")]
                self.hosts[name].sh(f"nft '{'; '.join(chains)}'")
            else:
                chains = [f"$tool -F vpc-{role}-{chain}" for chain in ("forward", "input")]
                tools = " ".join({4: "iptables", 6: "ip6tables"}[family] for family in self.families)
                self.hosts[name].sh(f"for tool in {tools}; do {'; '.join(chains)}; done")

    def ask(self, source: Netns, seen: Netns, target: str, port: int, family: int = 4, at: int | None = None) -> str:
        """Connect to an address where somebody listens (at: on another port): the source that he sees, or LOST."""
        with closing(listen(seen, at or port, family)) as server:
            try:
                with closing(connect(source, target, port, family)) as client:
                    peer, (shown, *_port) = server.accept()
                    with closing(peer):
                        peer.settimeout(_PATIENCE)
                        peer.sendall(b"x")
                        client.recv(1)
                        return str(shown)
            except ConnectionRefusedError:
                return REFUSED
            except OSError:
                return LOST

    def pairs(self, *pairs: str, family: int = 4) -> list[str]:
        """The same for guests that connect to others, all at once: `vm1 vm5`."""

        def ask(item: tuple[int, str]) -> str:
            source, target = item[1].split()
            name = address(target, family)
            return self.ask(self.guests[source], self.guests[target], name, 8080 + item[0], family)

        with ThreadPoolExecutor(len(pairs)) as threads:
            return list(threads.map(ask, enumerate(pairs)))

    def seen(self, *pairs: str) -> list[str]:
        """pairs() in each family that both guests have."""
        found: list[str] = []
        for family in self.families:
            both = self._both(pairs, family)
            found += self.pairs(*both, family=family) if both else []
        return found

    def sources(self, *pairs: str) -> list[str]:
        """What seen() gives where nothing is in the way: the addresses of those who ask."""
        return [address(pair.split()[0], family) for family in self.families for pair in self._both(pairs, family)]

    def _both(self, pairs: Iterable[str], family: int) -> list[str]:
        return [pair for pair in pairs if all(self.has(guest, family) for guest in pair.split())]

    def ping(self, source: Netns, target: str) -> bool:
        return source.sh(f"ping -n -q -c 1 -W 1 {target} >/dev/null 2>&1 && echo yes || true") == "yes\n"

    def answering(self, source: Netns, *targets: str) -> list[str]:
        """Those that answer a ping, all asked at once."""
        with ThreadPoolExecutor(len(targets)) as threads:
            answers = threads.map(lambda target: self.ping(source, target), targets)
            return [target for target, answer in zip(targets, answers) if answer]

    def _plug(self, netns: Netns) -> None:
        """Give it an interface on the wire."""
        netns.sh("ip link add eth0 type veth peer name wire0")
        port = f"p{netns.name.rpartition('-')[2]}"
        netns.sh(f"ip link set wire0 netns {self.wire.name} name {port}; ip link set eth0 up")
        self.wire.sh(f"ip link set {port} master br0 up")

    def _guest(self, name: str) -> None:
        host, network, _last = GUESTS[name]
        guest = self.guests[name] = Netns()
        bridge = identity.bridge_name(network)
        isolated = next(item for item in self.networks if item["name"] == network).get("local_switching") != "bridged"
        self.hosts[host].sh(
            f"""
            ip link add {name}.0 type veth peer name eth0 netns {guest.name}
            ip link set {name}.0 master {bridge} up
            bridge link set dev {name}.0 isolated {"on" if isolated else "off"}
            """
        )
        guest.sh("ip link set eth0 up")
        if self.has(name, 4):
            guest.sh(
                f"""
                ip addr add {address(name)}/24 dev eth0
                ip route add default via 10.10.{network[3]}0.1
                """
            )
        if self.has(name, 6):
            guest.sh(
                f"""
                ip addr add {address(name, 6)}/128 dev eth0 nodad
                ip -6 route add default via fe80::1 dev eth0
                """
            )
