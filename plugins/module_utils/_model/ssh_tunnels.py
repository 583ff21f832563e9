# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All tunnels over SSH, read and compared with each other and with the networks of the inventory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_address, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors, Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.ssh_tunnel import (
    SECTION,
    UNREADABLE,
    Reach,
    Route,
    Tunnel,
    read_tunnel,
)

_Network = tuple[str, Prefix]


def parse(raw: Any, hosts: Collection[str], reach: Reach, others: Mapping[str, Any] | None = None) -> list[Tunnel]:
    """Read the list `ssh_tunnels`. Raises ModelErrors with every mistake that was found.

    hosts: every host of the inventory. reach: gives address and port of a host, where the user wrote no address.
    others: the variables `vpc_networks` and `vpc_vpn_connections` as a user wrote them: their networks must not be used
    inside a tunnel. Mistakes in them are for others to report.
    """
    report = Report()
    tunnels = []
    names: dict[str, str] = {}
    for index, value in enumerate(fields.sequence(report, SECTION, raw)):
        path = f"{SECTION}[{index}]"
        name = value.get("name") if isinstance(value, Mapping) else None
        if isinstance(name, str) and names.setdefault(name, path) != path:
            report.add(f"{path}.name", f"{show(name)} is already the name of {names[name]}")
        tunnel = read_tunnel(report, path, value, hosts, reach)
        if tunnel is not None:
            tunnels.append(tunnel)
    _check_hosts(report, tunnels)
    _check_inside(report, tunnels, list(_networks(others or {})))
    _check_routes(report, tunnels)
    if report.errors:
        raise ModelErrors(report.ordered())
    return tunnels


def _check_hosts(report: Report, tunnels: list[Tunnel]) -> None:
    """On one host each tunnel has an interface and an account of its own."""
    units: dict[tuple[str, int], str] = {}
    accounts: dict[tuple[str, str], str] = {}
    for tunnel in tunnels:
        for side in tunnel.sides:
            path = f"{tunnel.path}.{side.key}_unit"
            taken = units.setdefault((side.host, side.unit), path)
            if taken != path and side.unit != UNREADABLE:
                report.add(path, f"tun{side.unit} of {side.host} is already taken by {taken}")
            taken = accounts.setdefault((side.host, tunnel.account), tunnel.path)
            if taken != tunnel.path:
                report.add(
                    f"{tunnel.path}.account", f"{show(tunnel.account)} is already the account of {taken} on {side.host}"
                )


def _check_inside(report: Report, tunnels: list[Tunnel], others: list[_Network]) -> None:
    taken = others
    for tunnel in tunnels:
        for path, network in tunnel.networks:
            other = _overlapped(network, taken)
            if other is not None:
                report.add(path, f"{network.text} overlaps {other[0]} {other[1].text}")
        taken = [*taken, *tunnel.networks]


def _check_routes(report: Report, tunnels: list[Tunnel]) -> None:
    """What is routed into a tunnel is routed into no other one of the host, and is not what carries the tunnel."""
    routed: dict[str, list[_Network]] = {}
    inside = [item for tunnel in tunnels for item in tunnel.networks]
    for tunnel in tunnels:
        address = _address(tunnel.server_address)
        for route in tunnel.server_site:
            if address is not None and route.prefix.overlaps(address):
                report.add(
                    route.path,
                    f"{route.prefix.text} holds {tunnel.path}.server_address {tunnel.server_address}: "
                    "the tunnel would carry itself",
                )
        for host, routes in ((tunnel.client.host, tunnel.server_site), (tunnel.server.host, tunnel.client_site)):
            for route in routes:
                other = _overlapped(route.prefix, [*inside, *_same(route, routed.get(host, []))])
                if other is not None:
                    report.add(route.path, f"{route.prefix.text} overlaps {other[0]} {other[1].text} on {host}")
            routed.setdefault(host, []).extend((route.path, route.prefix) for route in routes)


def _same(route: Route, routed: Iterable[_Network]) -> list[_Network]:
    """Networks with the same prefix: a longer one inside of a shorter one is what routes are for."""
    return [(path, prefix) for path, prefix in routed if prefix == route.prefix]


def _overlapped(network: Prefix, others: Iterable[_Network]) -> _Network | None:
    return next(((path, other) for path, other in others if network.overlaps(other)), None)


def _address(word: str) -> Prefix | None:
    """An address as a network of one; None for the name of a host."""
    family = 6 if ":" in word else 4
    try:
        return Prefix(family, parse_address(family, word), 128 if family == 6 else 32)
    except ValueError:
        return None


def _networks(others: Mapping[str, Any]) -> Iterable[_Network]:
    """Every readable network of the other variables, with its path."""
    for path, value in _values("", others):
        key = path.rpartition(".")[2]
        if key in ("cidr", "cidr6", "inside_cidr") and isinstance(value, str):
            try:
                yield path, parse_prefix(6 if ":" in value else 4, value)
            except ValueError:
                pass


def _values(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _values(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _values(f"{path}[{index}]", item)
    else:
        yield path, value
