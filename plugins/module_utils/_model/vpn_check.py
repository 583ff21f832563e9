# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VPN connections: what cannot be seen in one of them alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_ipv4,
    parse_ipv4,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Hosts
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import SECTION as NETWORKS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Connection, Tunnel
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import RACOON, STRONGSWAN, impossible

_Found = Iterable[tuple[Prefix, str]]


def check_remote(report: Report, remote: _Found, announce: _Found, hosts: Hosts, networks: Networks) -> None:
    """Report networks of the other side that would take what is ours: a longer prefix wins, also a learned one.

    Each of them, and of ours, comes with its path. The default route is nobody's: whatever is ours is longer.
    """
    ours = [(prefix, f"{NETWORKS}[{index}].cidr") for prefix, index in networks.prefixes[4]]
    taken = {prefix for prefix, path in ours}
    ours += [(prefix, path) for prefix, path in announce if prefix.length and prefix not in taken]
    for prefix, path in remote:
        if not prefix.length:
            continue
        reason = ""
        for other, where in ours:
            if prefix.overlaps(other) and prefix.length >= other.length:
                reason = f"{prefix.text} is inside {where} {other.text}"
                break
        inside = [(address, where) for address, where in hosts.underlay[4] if prefix.contains(address)]
        if not reason and inside:
            address, where = min(inside)
            more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
            reason = f"{prefix.text} contains {where} {format_ipv4(address)}{more}"
        if reason:
            report.add(path, reason)


def check_connections(report: Report, connections: list[Connection], hosts: Hosts, networks: Networks) -> None:
    """Report what one gateway cannot have twice, and addresses that lead somewhere else.

    Of a connection with a mistake there is what could be read; the name of its gateway may be empty.
    """
    for connection in connections:
        for path, message in impossible(connection, hosts.providers.get(connection.gateway, STRONGSWAN)):
            report.add(path, message)
    _check_tunnels(report, connections)
    _check_ways(report, connections, hosts)
    _check_gateways(report, connections)
    _check_addresses(report, connections, hosts, networks)


def _all_tunnels(connections: list[Connection]) -> Iterator[tuple[Connection, Tunnel]]:
    for connection in connections:
        for tunnel in connection.tunnels:
            yield connection, tunnel


def _check_tunnels(report: Report, connections: list[Connection]) -> None:
    """A pair of outside addresses is one tunnel; an inside CIDR is one link of a gateway."""
    pairs: dict[tuple[str, str], str] = {}
    inside: dict[tuple[str, Prefix], str] = {}
    for connection, tunnel in _all_tunnels(connections):
        pair = (tunnel.outside_address, tunnel.peer_outside_address)
        earlier = pairs.setdefault(pair, tunnel.path)
        if earlier != tunnel.path:
            report.add(f"{tunnel.path}.peer_outside_address", f"{pair[1]} has already a tunnel to {pair[0]}: {earlier}")
        if tunnel.inside_cidr is not None and connection.gateway:
            earlier = inside.setdefault((connection.gateway, tunnel.inside_cidr), tunnel.path)
            if earlier != tunnel.path:
                report.add(
                    f"{tunnel.path}.inside_cidr",
                    f"{tunnel.inside_cidr.text} is already taken by {earlier}.inside_cidr on the same gateway, "
                    f"{connection.gateway}",
                )


def _check_ways(report: Report, connections: list[Connection], hosts: Hosts) -> None:
    """A network of the other side is behind one gateway, and belongs to one VPC; on one gateway, BGP decides."""
    for index, connection in enumerate(connections):
        for earlier in connections[:index] if connection.gateway else ():
            for prefix, other in _common(connection, earlier):
                reason = ""
                if earlier.gateway not in ("", connection.gateway):
                    reason = f"on another gateway, {earlier.gateway}"
                elif earlier.vpc != connection.vpc:
                    reason = f"of another vpc, {earlier.vpc}"
                elif prefix == other and connection.bgp is None and earlier.bgp is None:
                    reason = "on the same gateway: without BGP nothing decides between them"
                elif prefix == other and hosts.providers.get(connection.gateway) == RACOON:
                    reason = f"on the same gateway: with {RACOON} a policy decides, and there can be only one"
                if reason:
                    where = f"{earlier.path}.{_remote_key(earlier)}"
                    report.add(
                        f"{connection.path}.{_remote_key(connection)}",
                        f"{prefix.text} overlaps {where} {other.text} {reason}",
                    )
                    break


def _common(one: Connection, two: Connection) -> Iterator[tuple[Prefix, Prefix]]:
    """Networks of two other sides that overlap. The default route is nobody's."""
    for prefix in one.remote:
        for other in two.remote:
            if prefix.length and other.length and prefix.overlaps(other):
                yield prefix, other


def _remote_key(connection: Connection) -> str:
    return "accept" if connection.bgp is not None else "static_routes"


def _check_gateways(report: Report, connections: list[Connection]) -> None:
    """A gateway has one AS number, and an address that is not translated has one gateway."""
    numbers: dict[str, Connection] = {}
    owners: dict[str, tuple[str, str]] = {}
    for connection in connections:
        if connection.bgp is not None and connection.gateway:
            first = numbers.setdefault(connection.gateway, connection)
            if first.bgp is not None and first.bgp.customer_asn != connection.bgp.customer_asn:
                report.add(
                    f"{connection.path}.customer_asn",
                    f"{connection.bgp.customer_asn} differs from {first.path}.customer_asn {first.bgp.customer_asn} "
                    f"on the same gateway, {connection.gateway}",
                )
    for connection, tunnel in _all_tunnels(connections):
        key = "local_address" if tunnel.nat else "outside_address"
        gateway, path = owners.setdefault(tunnel.local_address, (connection.gateway, f"{tunnel.path}.{key}"))
        if gateway and connection.gateway not in ("", gateway):
            report.add(
                f"{tunnel.path}.{key}",
                f"{tunnel.local_address} is already taken by {path} on another gateway, {gateway}",
            )


def _check_addresses(report: Report, connections: list[Connection], hosts: Hosts, networks: Networks) -> None:
    """A peer must be reached outside of every network and every tunnel."""
    ours = [(prefix, f"{NETWORKS}[{index}].cidr") for prefix, index in networks.prefixes[4]]
    for connection, tunnel in _all_tunnels(connections):
        peer = parse_ipv4(tunnel.peer_outside_address)
        path = f"{tunnel.path}.peer_outside_address"
        for prefix, where in ours:
            if prefix.contains(peer):
                report.add(path, f"{tunnel.peer_outside_address} is inside {where} {prefix.text}")
        for prefix in connection.remote:
            # The gateway keeps its way to the peers where a default route comes through the tunnels.
            if prefix.length and prefix.contains(peer):
                where = f"{connection.path}.{_remote_key(connection)}"
                report.add(path, f"{tunnel.peer_outside_address} is inside {where} {prefix.text}: a loop")
        for address, where in hosts.underlay[4]:
            if address == peer:
                report.add(path, f"{tunnel.peer_outside_address} is {where}")
            if tunnel.inside_cidr is not None and tunnel.inside_cidr.contains(address):
                report.add(
                    f"{tunnel.path}.inside_cidr", f"{tunnel.inside_cidr.text} contains {where} {format_ipv4(address)}"
                )
