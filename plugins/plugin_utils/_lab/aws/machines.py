# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of the double, as hosts of a lab. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..host import Cable, File, Host, nic_mac, port_name
from . import ipsec, routing
from .connection import LAN, VPC_HOST, Connection, Tunnel

PACKAGES = (
    "charon-systemd",
    "frr",
    "libcharon-extra-plugins",
    "libstrongswan-standard-plugins",
    "strongswan-swanctl",
)

_QUIET = "[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
_FORWARD = "net.ipv4.ip_forward = 1\nnet.ipv4.conf.all.send_redirects = 0\nnet.ipv4.conf.default.send_redirects = 0\n"
# All machines have the same packages; without a tunnel there is nothing to do.
_ONLY_WITH_TUNNEL = f"[Unit]\nConditionPathExists=/{ipsec.CONNECTION}\n"


def hosts(lab: str, connections: Iterable[Connection], gateway: str) -> Iterator[Host]:
    """The machines of all connections. gateway: their way to the customers, the internet's address on the underlay."""
    for connection in connections:
        for tunnel in connection.tunnels:
            cables = (_cable(lab, tunnel.name), _lan_cable(lab, tunnel.name, "eth1", connection))
            yield _host(lab, tunnel.name, cables, _endpoint(connection, tunnel, gateway))
        name = connection.vpc_host
        yield _host(lab, name, (_lan_cable(lab, name, "eth0", connection),), _vpc_host(connection))


def _host(lab: str, name: str, cables: tuple[Cable, ...], files: Iterable[File]) -> Host:
    return Host(
        name=name,
        netns=f"{lab}-{name}",
        port=cables[0].port,
        mac=cables[0].mac,
        addresses=(),
        gateways=(),
        wires=cables,
        files=tuple(files),
    )


def _cable(lab: str, name: str) -> Cable:
    return Cable(port_name(name), "eth0", nic_mac(lab, name))


def _lan_cable(lab: str, name: str, card: str, connection: Connection) -> Cable:
    lan = connection.lan
    return Cable(port_name(name, lan), card, nic_mac(lab, name, lan), lan)


def _endpoint(connection: Connection, tunnel: Tunnel, gateway: str) -> Iterator[File]:
    """An endpoint knows the way to its customer, and no other: what it hears by BGP may be a default route."""
    way = _route(tunnel.outside, f"Gateway={gateway}", "GatewayOnLink=yes")
    behind = [_route(network, f"Gateway={VPC_HOST}") for network in connection.remote]
    yield _network("eth0", [_section("Address", f"Address={tunnel.peer}/32")], [way])
    yield _network("eth1", [_on_lan(tunnel.lan_address)], behind)
    yield File("etc/sysctl.d/90-lab.conf", _FORWARD)
    yield from ipsec.files(connection, tunnel)
    yield from routing.endpoint(connection, tunnel)


def _vpc_host(connection: Connection) -> Iterator[File]:
    """The VPC host is the whole VPC: the rest of its networks is unreachable."""
    own = [_section("Address", f"Address={connection.address}/32")] if connection.address else []
    networks = [network for network in connection.remote if not network.endswith("/0")]
    yield _network("eth0", [*own, _on_lan(VPC_HOST)], [_route(network, "Type=unreachable") for network in networks])
    yield File(ipsec.DROP_IN, _ONLY_WITH_TUNNEL)
    yield from routing.vpc_host(connection)


def _on_lan(address: str) -> str:
    """An address that nobody but the neighbours is told: the kernel chooses another one for what goes further."""
    return _section("Address", f"Address={address}/{LAN.prefixlen}", "Scope=link")


def _route(network: str, *lines: str) -> str:
    return _section("Route", f"Destination={network}", *lines)


def _section(name: str, *lines: str) -> str:
    return "".join(f"{line}\n" for line in (f"[{name}]", *lines))


def _network(card: str, addresses: Iterable[str], routes: Iterable[str]) -> File:
    text = "\n".join([_section("Match", f"Name={card}"), _QUIET, *addresses, *routes])
    return File(f"etc/systemd/network/10-lab-{card}.network", text)
