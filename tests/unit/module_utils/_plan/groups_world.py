# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor with its guests in network namespaces, for tests of security groups with real packets.

The networks of the plan are built by hand, as far as packets need them: isolated and bridged ones that the hypervisor
routes to a router, flat ones with the router behind the uplink. The router's namespace has the addresses of all guests
of other hypervisors and of the internet. Between two networks packets go out to the router and come back.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Delta, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.ipset import Ipset
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.iptables import Iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import netfiltered
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import bridge_of
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SECURITY_GROUPS
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import context
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.groups_probes import (
    LOST,
    PASSED,
    PATIENCE,
    SHORT,
    Frame,
    Place,
    Probe,
    Probes,
)

HOST = "host1"
BACKENDS = ("nftables", "iptables")
# In the order in which the engine writes: rules name sets.
SUBSYSTEMS = {item.name: item for item in (Ipset(), Iptables(), Nft())}
OFFICE = {4: "203.0.113.5", 6: "2001:db8:f::5"}
OUTSIDE = {4: "198.51.100.1", 6: "2001:db8:e::1"}
UNDERLAY = {4: "192.168.56.103", 6: "fd56::103"}
ROUTER = {4: "192.168.56.101", 6: "fd56::101"}

# An isolated, a bridged and a flat one.
NETWORKS: list[dict[str, Any]] = [
    {"name": "net1", "cidr": "10.10.10.0/24", "cidr6": "2001:db8:10::/64"},
    {"name": "net2", "cidr": "10.10.20.0/24", "cidr6": "2001:db8:20::/64", "local_switching": "bridged"},
    {
        "name": "net3",
        "cidr": "10.10.30.0/24",
        "cidr6": "2001:db8:30::/64",
        "bridge": "xenbr0",
        "uplinks": ["eth9"],
        "gateway": "10.10.30.1",
        "gateway6": "2001:db8:30::1",
    },
]

_LENGTHS = {4: 32, 6: 128}
_NUMBERS = itertools.count()


def guest(name: str, network: str, *groups: str, hypervisor: str = HOST, **keys: Any) -> dict[str, Any]:
    return {"name": name, "hypervisor": hypervisor, "network": network, "security_groups": list(groups), **keys}


def host(number: int, *groups: str, **variables: Any) -> dict[str, Any]:
    return {
        "groups": list(groups),
        "vpc_underlay_address": f"192.168.56.{number}",
        "vpc_underlay_address6": f"fd56::{number}",
        **variables,
    }


def plan(backend: str = "nftables", **variables: Any) -> Plan:
    """A plan with two hypervisors and a router. variables: of the inventory, without hosts."""
    hosts = {
        HOST: host(103, "hypervisors", vpc_backend=backend),
        "host2": host(104, "hypervisors", vpc_backend=backend),
        "router": host(101, "routers", vpc_backend=backend),
    }
    return Plan(parse({"hosts": hosts, **variables}), "id")


class World(Probes):
    """The namespaces of one plan: HOST with its guests, and the router. places: by name, all that probes can name.

    families: those in which guests have addresses; compare() leaves out the probes of others.
    """

    def __init__(self, made: Plan) -> None:
        self.plan = made
        self.families = {family for port in made.layout.ports for family, _address in port.addresses}
        self.prefix = f"vpcg{os.getpid()}-{next(_NUMBERS)}"
        self.host, self.router = f"{self.prefix}-h", f"{self.prefix}-r"
        super().__init__()
        self.places = {
            "host": Place(self.host, UNDERLAY),
            "router": Place(self.router, ROUTER),
            "office": Place(self.router, OFFICE),
            "outside": Place(self.router, OUTSIDE),
        }
        self.state: dict[str, dict[str, str]] = {}
        self.namespaces = [self.host, self.router]
        try:
            self._build()
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], check=False)

    # What is there.

    def _build(self) -> None:
        layout = self.plan.layout
        local = layout.by_hypervisor[HOST]
        lines: list[str] = []
        for port in layout.ports:
            name = port.instance if port.number == 0 else f"{port.instance}.{port.number}"
            namespace = self.router
            if port.hypervisor == HOST:
                namespace = f"{self.prefix}-{len(self.namespaces)}"
                self.namespaces.append(namespace)
            self.places[name] = Place(namespace, dict(port.addresses))
        for namespace in self.namespaces:
            lines += [f"ip netns add {namespace}", *_inside(namespace, _EVERYWHERE)]
        remote = [
            address
            for place in self.places.values()
            if place.namespace == self.router
            for address in place.addresses.items()
        ]
        lines += _inside(
            self.router,
            _ROUTER
            + [
                f"ip addr add {word}/{_LENGTHS[family]} dev lo"
                for family, word in remote
                if word not in ROUTER.values()
            ],
        )
        lines += [f"ip -n {self.host} link add und0 type veth peer name und0 netns {self.router}"]
        lines += _inside(self.host, [*_HOST, *_leg("und0", UNDERLAY), *_default(ROUTER)])
        lines += _inside(self.router, _leg("und0", ROUTER))
        for number, network in enumerate(layout.networks(HOST)):
            ports = [port for port in local if port.network == network.name]
            bridge = bridge_of(network)
            lines += _inside(
                self.host,
                [
                    f"ip link add {bridge} address 02:00:00:00:01:{number:02x} type bridge forward_delay 0",
                    f"ip link set {bridge} type bridge mcast_snooping 0",
                    f"ip link set {bridge} up",
                ],
            )
            if network.flat:
                lines += self._uplink(network, number)
            else:
                lines += self._routed(network, 100 + number, ports)
            for port in ports:
                lines += self._guest(network, port)
        self.shell("\n".join(lines), None)

    def _uplink(self, network: Any, number: int) -> list[str]:
        """A flat network's gateway is an address of the router, behind the uplink."""
        uplink, leg = network.uplinks[0], f"leg{number}"
        gateway = {
            family: (format_address(family, address), cidr.length)
            for family, address, cidr in ((4, network.gateway, network.cidr), (6, network.gateway6, network.cidr6))
            if address is not None
        }
        return [
            f"ip -n {self.host} link add {uplink} type veth peer name {leg} netns {self.router}",
            *_inside(self.host, [f"ip link set {uplink} master {bridge_of(network)} up"]),
            *_inside(
                self.router,
                [
                    f"ip link set {leg} up",
                    *(f"ip addr add {word}/{length} dev {leg}" for word, length in gateway.values()),
                ],
            ),
        ]

    def _routed(self, network: Any, table: int, ports: Iterable[Any]) -> list[str]:
        bridge = bridge_of(network)
        lines = [
            f"ip rule add iif {bridge} lookup {table} priority 20000",
            f"ip -6 rule add iif {bridge} lookup {table} priority 20000",
        ]
        isolated = network.local_switching == "isolated"
        lines += [
            f"echo 1 > /proc/sys/net/ipv4/conf/{bridge}/{key}"
            for key in ("proxy_arp", *(["proxy_arp_pvlan"] if isolated else []))
        ]
        lines += [
            f"echo 0 > /proc/sys/net/ipv4/neigh/{bridge}/proxy_delay",
            f"ip addr add fe80::1/64 dev {bridge} nodad",
        ]
        if network.bridge_address is not None:
            lines += [f"ip addr add {format_address(4, network.bridge_address)}/32 dev {bridge}"]
        for port in ports:
            for family, word in port.addresses:
                for place in ("main", str(table)):
                    lines += [f"ip route add {word}/{_LENGTHS[family]} dev {bridge} table {place}"]
        back = [
            f"ip route add {cidr.text} via {UNDERLAY[cidr.family]}"
            for cidr in (network.cidr, network.cidr6)
            if cidr is not None
        ]
        return [*_inside(self.host, [*lines, *_default(ROUTER, f"table {table}")]), *_inside(self.router, back)]

    def _guest(self, network: Any, port: Any) -> list[str]:
        namespace = self.places[port.instance if port.number == 0 else f"{port.instance}.{port.number}"].namespace
        isolated = not network.flat and network.local_switching == "isolated"
        lines = ["ip link set eth0 up"]
        for family, word in port.addresses:
            if network.flat:
                cidr = network.cidr if family == 4 else network.cidr6
                lines += [f"ip addr add {word}/{cidr.length} dev eth0{_NODAD[family]}"]
                gateway = network.gateway if family == 4 else network.gateway6
                lines += [f"ip route add default via {format_address(family, gateway)}"] if gateway else []
            elif family == 4:
                prefix = 32 if isolated else network.cidr.length
                lines += [
                    f"ip addr add {word}/{prefix} dev eth0",
                    f"ip route add {format_address(4, network.gateway)}/32 dev eth0",
                    f"ip route add default via {format_address(4, network.gateway)}",
                ]
            else:
                prefix = 128 if isolated else network.cidr6.length
                lines += [f"ip addr add {word}/{prefix} dev eth0 nodad", "ip route add default via fe80::1 dev eth0"]
        return [
            f"ip -n {self.host} link add {port.vif} type veth peer name eth0 netns {namespace} address {port.mac}",
            *_inside(
                self.host,
                [
                    f"ip link set {port.vif} master {bridge_of(network)} up",
                    *([f"bridge link set dev {port.vif} isolated on"] if isolated else []),
                ],
            ),
            *_inside(namespace, lines),
        ]

    # What is filtered.

    def slice(self) -> dict[str, Any]:
        return self.plan.slice(HOST, SECURITY_GROUPS.name)

    def enforce(self, made: Plan | None = None) -> dict[str, Delta]:
        """Make the host's filter that of its plan, or of another one with the same guests; gives what differed."""
        self.plan = made or self.plan
        return self.apply(self.slice()["state"])

    def apply(self, state: Mapping[str, Mapping[str, str]]) -> dict[str, Delta]:
        """Write what differs, by subsystem, and read back that nothing differs any more."""
        self.bridge_nf(bool(state))
        deltas: dict[str, Delta] = {}
        settings = {name: context(state.get(name), self.state.get(name), SECURITY_GROUPS) for name in SUBSYSTEMS}
        for name, item in SUBSYSTEMS.items():
            deltas[name] = Delta.between(
                item.parse(settings[name], [self.run(one) for one in item.read(settings[name])]), settings[name].desired
            )
            self._all(item.put(settings[name], deltas[name]))
        for name in reversed(SUBSYSTEMS):
            self._all(SUBSYSTEMS[name].drop(settings[name], deltas[name]))
        self.state = {name: dict(objects) for name, objects in state.items()}
        for name, item in SUBSYSTEMS.items():
            left = Delta.between(
                item.parse(settings[name], [self.run(one) for one in item.read(settings[name])]), settings[name].desired
            )
            assert not left, (name, left)
        return deltas

    def open(self) -> None:
        """Nothing is filtered any more, and nothing remembered."""
        self.apply({})
        self.forget()

    def forget(self) -> None:
        self.shell("conntrack -F 2>/dev/null; ip neigh flush all")

    def bridge_nf(self, on: bool) -> None:
        """Whether the bridges that need it hand their packets to br_netfilter."""
        for name in netfiltered(self.plan.layout, HOST):
            value = int(on)
            self.shell(f"ip link set {name} type bridge nf_call_iptables {value} nf_call_ip6tables {value}")

    # Commands and packets.

    def shell(self, script: str, inside: str | None = HOST) -> str:
        """Run a POSIX shell script in the host's, another, or no namespace; a failure fails the test."""
        namespace = self.host if inside == HOST else inside
        prefix = ["ip", "netns", "exec", namespace] if namespace is not None else []
        done = subprocess.run([*prefix, "dash", "-eu", "-s"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (script, done.stderr)
        return done.stdout

    def run(self, command: Command) -> Output:
        done = subprocess.run(
            ["ip", "netns", "exec", self.host, *command.argv],
            input=command.stdin or "",
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        return Output(done.returncode, done.stdout, done.stderr)

    def mac(self, name: str, device: str) -> str:
        return self.shell(f"cat /sys/class/net/{device}/address", self.places[name].namespace).strip()

    def _all(self, commands: Iterable[Command]) -> None:
        for command in commands:
            output = self.run(command)
            assert output.status in command.ok, (command.argv, (command.stdin or "")[:2000], output.stderr)

    def passes(self, *probes: Probe) -> None:
        found = dict(zip(probes, self.results(probes)))
        assert set(found.values()) <= {PASSED}, [item for item in found.items() if item[1] != PASSED]

    def loses(self, *probes: Probe) -> None:
        found = dict(zip(probes, self.results(probes, SHORT)))
        assert set(found.values()) <= {LOST}, [item for item in found.items() if item[1] != LOST]

    def frames(self, expected: Mapping[str, tuple[Frame, bool]]) -> None:
        """All frames come where nothing is filtered; and then those that are expected to. By what they are."""
        self.open()
        named = {name: frame for name, (frame, _comes) in expected.items()}
        lost = [name for name, came in zip(named, self.seen(named.values(), PATIENCE)) if not came]
        assert not lost, lost
        self.enforce()
        self.forget()
        comes = [name for name, (_frame, come) in expected.items() if come]
        stays = [name for name, (_frame, come) in expected.items() if not come]
        lost = [name for name, came in zip(comes, self.seen([named[name] for name in comes], PATIENCE)) if not came]
        got = [name for name, came in zip(stays, self.seen([named[name] for name in stays], SHORT)) if came]
        assert not lost + got, (lost, got)

    def compare(self, expected: Mapping[Probe, str]) -> None:
        """All of them pass where nothing is filtered; and then each as expected."""
        expected = {probe: result for probe, result in expected.items() if probe.family in self.families}
        self.open()
        self.passes(*expected)
        self.enforce()
        self.forget()
        patient = [probe for probe, result in expected.items() if result != LOST]
        found = dict(zip(patient, self.results(patient)))
        short = [probe for probe, result in expected.items() if result == LOST]
        found.update(zip(short, self.results(short, SHORT)))
        wrong = [item for item in found.items() if item[1] != expected[item[0]]]
        assert not wrong, wrong


_NODAD = {4: "", 6: " nodad"}
_EVERYWHERE = [
    "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad",
    "echo 0 > /proc/sys/net/ipv6/conf/default/accept_ra",
    # Role hypervisor keeps redirects from guests: after one they look for a neighbour where they cannot see it.
    "echo 0 > /proc/sys/net/ipv6/conf/default/accept_redirects",
    # A refusal for each packet that deserves one.
    "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit",
    "echo 0 > /proc/sys/net/ipv6/icmp/ratelimit",
    "ip link set lo up",
]
_FORWARD = [
    "echo 1 > /proc/sys/net/ipv4/ip_forward",
    "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
    "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter",
    "echo 0 > /proc/sys/net/ipv4/conf/default/rp_filter",
    "echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects",
    "echo 0 > /proc/sys/net/ipv4/conf/default/send_redirects",
]
_ROUTER = _FORWARD
_HOST = [
    *_FORWARD,
    "echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables",
    "echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables",
]


def _inside(namespace: str, lines: Iterable[str]) -> list[str]:
    return [f"ip netns exec {namespace} dash -eu -c '", *lines, "'"]


def _leg(name: str, addresses: Mapping[int, str]) -> list[str]:
    return [
        f"ip link set {name} up",
        f"ip addr add {addresses[4]}/24 dev {name}",
        f"ip addr add {addresses[6]}/64 dev {name} nodad",
    ]


def _default(gateway: Mapping[int, str], where: str = "") -> list[str]:
    return [f"ip route add default via {word} {where}" for word in gateway.values()]
