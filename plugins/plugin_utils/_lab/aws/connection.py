# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VPN connections of a plan, as their other end sees them. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# Between the endpoints of a connection and its VPC host; nobody else sees it, and nobody has it in earnest (RFC 2544).
LAN = ipaddress.IPv4Network("198.18.0.0/29")
VPC_HOST = str(LAN[3])
# Of the bridge that it is, before the name of the connection.
LAN_PREFIX = "vpc-"

# What AWS has unless it is told otherwise, where a connection has no BGP.
DEFAULT_ASN = 64512
_DEFAULT = ipaddress.IPv4Network("0.0.0.0/0")


class Tunnel(NamedTuple):
    """One tunnel. name: of the tunnel and of its endpoint, which has the address peer.

    outside: the customer's address as the endpoint sees it; local: the same on the gateway. inside: the endpoint's
    inside address with its prefix length, customer: the gateway's without; None where there is none. mtu: octets.
    version: of IKE. ike, esp: the algorithms, as in the plan.
    """

    path: str
    name: str
    number: int
    peer: str
    outside: str
    local: str
    inside: str | None
    customer: str | None
    mtu: int
    version: int
    ike: Mapping[str, Any]
    esp: Mapping[str, Any]

    @property
    def lan_address(self) -> str:
        """The endpoint's address in the network that it shares with the VPC host."""
        return str(LAN[self.number])


@dataclass(frozen=True)
class Connection:
    """One connection. address: that of the VPC host, None if it has none.

    asn: AWS's; customer_asn, hold_time (in seconds): None without BGP. announce: the customer's networks; remote: the
    VPC's.
    """

    name: str
    gateway: str
    asn: int
    customer_asn: int | None
    hold_time: int | None
    announce: tuple[str, ...]
    remote: tuple[str, ...]
    address: str | None
    tunnels: tuple[Tunnel, ...]

    @property
    def vpc_host(self) -> str:
        """Name of the machine in the VPC."""
        return f"{self.name}-vpc"

    @property
    def lan(self) -> str:
        """Name of the bridge that its machines share."""
        return f"{LAN_PREFIX}{self.name}"

    @property
    def machines(self) -> tuple[str, ...]:
        """Names of all its machines, the endpoints first."""
        return (*(tunnel.name for tunnel in self.tunnels), self.vpc_host)


def read(connections: Mapping[str, Any]) -> tuple[Connection, ...]:
    """The connections of a plan, in order of name."""
    return tuple(_connection(name, connections[name]) for name in sorted(connections))


def _connection(name: str, item: Mapping[str, Any]) -> Connection:
    bgp = item["bgp"]
    return Connection(
        name=name,
        gateway=item["gateway"],
        asn=bgp["amazon_asn"] if bgp else DEFAULT_ASN,
        customer_asn=bgp["customer_asn"] if bgp else None,
        hold_time=bgp["hold_time"] if bgp else None,
        announce=tuple(item["announce"]),
        remote=tuple(item["remote"]),
        address=item["lab_host"],
        tunnels=tuple(map(_tunnel, item["tunnels"])),
    )


def _tunnel(item: Mapping[str, Any]) -> Tunnel:
    inside, length = item["peer_inside_address"], (item["inside_cidr"] or "").partition("/")[2]
    return Tunnel(
        path=item["path"],
        name=item["name"],
        number=item["number"],
        peer=item["peer_outside_address"],
        outside=item["outside_address"],
        local=item["local_address"],
        inside=f"{inside}/{length}" if inside else None,
        customer=item["inside_address"],
        mtu=item["mtu"],
        version=item["ike"]["version"],
        ike=item["ike"],
        esp=item["esp"],
    )


def gateway_addresses(connections: Iterable[Connection], hosts: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Addresses that gateways have besides that of the underlay, in which their tunnels end."""
    found: dict[str, dict[str, None]] = {}
    for connection in connections:
        for tunnel in connection.tunnels:
            if tunnel.local != hosts[connection.gateway]["underlay"]:
                found.setdefault(connection.gateway, {})[tunnel.local] = None
    return {name: tuple(addresses) for name, addresses in found.items()}


def errors(
    connections: Sequence[Connection], hosts: Mapping[str, Any], internet: Iterable[str], prefix: int
) -> Iterator[str]:
    """What a lab cannot have. internet: the addresses of the internet. prefix: length of that of the underlay."""
    yield from _name_errors(connections, hosts)
    taken = {host["underlay"]: f"the underlay address of {name}" for name, host in hosts.items()}
    taken |= dict.fromkeys(internet, "an address of the lab's internet")
    tunnels = [
        (connection.gateway, tunnel)
        for connection in connections
        if connection.gateway in hosts
        for tunnel in connection.tunnels
    ]
    ends: dict[str, str] = {}
    for gateway, tunnel in tunnels:
        if tunnel.local == hosts[gateway]["underlay"]:
            continue
        if tunnel.local in taken or ends.setdefault(tunnel.local, gateway) != gateway:
            owner = taken.get(tunnel.local) or f"an address of {ends[tunnel.local]}"
            yield f"{tunnel.path}: {tunnel.local}, in which it ends on {gateway}, is {owner}"
    taken |= {address: f"an address of {gateway}" for address, gateway in ends.items() if address not in taken}
    for gateway, tunnel in tunnels:
        path = f"{tunnel.path}.peer_outside_address"
        if tunnel.peer in taken:
            yield f"{path}: {tunnel.peer} is {taken[tunnel.peer]}; in a lab each endpoint is a machine of its own"
        taken[tunnel.peer] = f"the endpoint {tunnel.name}"
        near = ipaddress.IPv4Network((hosts[gateway]["underlay"], prefix), strict=False)
        if tunnel.outside != tunnel.local and ipaddress.IPv4Address(tunnel.peer) in near:
            yield f"{path}: {tunnel.peer} is in the lab's underlay {near}, where nobody translates {tunnel.local}"


def _name_errors(connections: Sequence[Connection], hosts: Mapping[str, Any]) -> Iterator[str]:
    names = dict.fromkeys(hosts, "a host of the plan")
    for connection in connections:
        path = f"plan.connections.{connection.name}"
        if f"{connection.name}-".startswith("vm-"):
            yield f"{path}: names that begin with vm- are taken by the lab itself; choose another one"
        for name in connection.machines:
            if name in names:
                yield f"{path}: the lab needs the name {name} for a machine, but it is that of {names[name]}"
            names[name] = f"a machine of {path}"
        for network in map(ipaddress.IPv4Network, (*connection.announce, *connection.remote)):
            if network != _DEFAULT and network.overlaps(LAN):
                yield f"{path}: {network} overlaps {LAN}, which the lab has inside of its VPCs"
        if connection.gateway not in hosts:
            yield f"{path}.gateway: {connection.gateway!r} is not in plan.hosts"
