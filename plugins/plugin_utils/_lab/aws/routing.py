# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FRR of an endpoint and of the VPC host. Pure.

The VPC host hears from both endpoints what they have learned from the customer, and says nothing. It takes one of the
two ways, by the rules of BGP; if these find no difference, the one by the first endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..host import File
from .connection import VPC_HOST, Connection, Tunnel
from .ipsec import DEVICE

# More than these, and AWS ends the session.
_PREFIXES_MAX = 100
# The same from both endpoints: the customer may use both at once.
_METRIC = 100

_DAEMONS = """\
bgpd=yes
vtysh_enable=yes
zebra_options="-A 127.0.0.1"
bgpd_options="-A 127.0.0.1"
staticd_options="-A 127.0.0.1"
"""
_HEAD = "frr defaults traditional\nservice integrated-vtysh-config\n"
# Seconds; whoever is there is on the same wire.
_LAN_TIMERS = ("timers 1 3", "timers connect 1")


def endpoint(connection: Connection, tunnel: Tunnel) -> Iterator[File]:
    """FRR's files on an endpoint."""
    yield File("etc/frr/daemons", _DAEMONS)
    yield File("etc/frr/frr.conf", _HEAD + "".join(f"{line}\n" for line in _endpoint(connection, tunnel)))


def vpc_host(connection: Connection) -> Iterator[File]:
    """FRR's files on the VPC host."""
    yield File("etc/frr/daemons", _DAEMONS)
    yield File("etc/frr/frr.conf", _HEAD + "".join(f"{line}\n" for line in _vpc_host(connection)))


def _endpoint(connection: Connection, tunnel: Tunnel) -> Iterator[str]:
    for number, network in enumerate(connection.remote, 1):
        yield f"ip prefix-list vpc seq {number} permit {network}"
    yield from (
        "route-map to-customer permit 10",
        " match ip address prefix-list vpc",
        f" set metric {_METRIC}",
        "exit",
    )
    yield from ("route-map to-vpc deny 10", " match ip address prefix-list vpc", "exit", "route-map to-vpc permit 20")
    yield from ("exit", "route-map nothing deny 10", "exit")
    yield from ("route-map behind-tunnel permit 10", f" match interface {DEVICE}", "exit")
    yield f"router bgp {connection.asn}"
    yield f" bgp router-id {tunnel.lan_address}"
    yield " no bgp ebgp-requires-policy"
    yield " no bgp network import-check"
    yield f" neighbor {VPC_HOST} remote-as {connection.asn}"
    yield from (f" neighbor {VPC_HOST} {timers}" for timers in _LAN_TIMERS)
    customer = tunnel.customer if connection.customer_asn is not None else None
    if customer:
        hold_time = connection.hold_time or 0
        yield f" neighbor {customer} remote-as {connection.customer_asn}"
        yield f" neighbor {customer} timers {hold_time // 3} {hold_time}"
        yield f" neighbor {customer} timers connect 5"
    yield " address-family ipv4 unicast"
    yield from (f"  network {network}" for network in connection.remote)
    yield f"  neighbor {VPC_HOST} next-hop-self"
    yield f"  neighbor {VPC_HOST} route-map nothing in"
    yield f"  neighbor {VPC_HOST} route-map to-vpc out"
    if customer:
        yield f"  neighbor {customer} maximum-prefix {_PREFIXES_MAX}"
        yield f"  neighbor {customer} route-map to-customer out"
    else:
        yield "  redistribute kernel route-map behind-tunnel"
    yield from (" exit-address-family", "exit")


def _vpc_host(connection: Connection) -> Iterator[str]:
    yield from ("route-map nothing deny 10", "exit")
    yield f"router bgp {connection.asn}"
    yield f" bgp router-id {VPC_HOST}"
    for tunnel in connection.tunnels:
        yield f" neighbor {tunnel.lan_address} remote-as {connection.asn}"
        yield from (f" neighbor {tunnel.lan_address} {timers}" for timers in _LAN_TIMERS)
    yield " address-family ipv4 unicast"
    yield "  maximum-paths ibgp 1"
    yield from (f"  neighbor {tunnel.lan_address} route-map nothing out" for tunnel in connection.tunnels)
    yield from (" exit-address-family", "exit")
