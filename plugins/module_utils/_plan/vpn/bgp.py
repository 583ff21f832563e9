# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BGP of a gateway, as FRR and Quagga both see it: who the neighbours are, what they may say and what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import MODES, Bgp, Connection
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway, TunnelPlan

Lines = list[str]

# A virtual private gateway takes 100 prefixes and drops the session at the next one.
MAX_ANNOUNCED = 100
CONNECT_SECONDS = 10
# Worse than whatever else knows a way there: it only keeps packets for nobody from following the default route.
DISCARD_DISTANCE = 254
_PREFERRED = 200
_STEP = 5


@dataclass(frozen=True)
class Neighbour:
    """The other end of a tunnel."""

    plan: TunnelPlan
    bgp: Bgp
    address: str

    @property
    def keepalive(self) -> int:
        return self.bgp.hold_time // 3


def neighbours(gateway: Gateway) -> list[Neighbour]:
    """In order of address."""
    found = []
    for plan in gateway.bgp:
        bgp, address = plan.connection.bgp, plan.tunnel.peer_inside_address
        if bgp is not None and address is not None:
            found.append(Neighbour(plan, bgp, address))
    return sorted(found, key=lambda neighbour: parse_ipv4(neighbour.address))


def head(gateway: Gateway, router_id: str) -> Lines:
    """The first lines of `router bgp`, for a gateway with a neighbour."""
    asn = neighbours(gateway)[0].bgp.customer_asn
    return [f"router bgp {asn}", f" bgp router-id {router_id}", " bgp log-neighbor-changes"]


def session(neighbour: Neighbour) -> Lines:
    """The lines of `router bgp` that make the session with a neighbour."""
    start = f" neighbor {neighbour.address}"
    return [
        f"{start} remote-as {neighbour.bgp.amazon_asn}",
        f"{start} description {neighbour.plan.name}",
        f"{start} timers {neighbour.keepalive} {neighbour.bgp.hold_time}",
        f"{start} timers connect {CONNECT_SECONDS}",
    ]


def networks(gateway: Gateway) -> list[Prefix]:
    """What is announced to any neighbour, in order."""
    return sorted({prefix for plan in gateway.bgp for prefix in plan.connection.announce})


def discarded(gateway: Gateway) -> list[Prefix]:
    """What is announced must be known to the own routing table; the default route is announced while there is one."""
    return [prefix for prefix in networks(gateway) if prefix.length]


def paths(gateway: Gateway) -> int:
    """How many equal paths are used at once."""
    active = (
        len(connection.tunnels)
        for connection in gateway.connections
        if connection.bgp is not None and connection.mode == MODES[0]
    )
    return max(active, default=1)


def prefix_lists(gateway: Gateway) -> Lines:
    """`ip prefix-list` lines, in order of name."""
    lists: dict[str, Lines] = {}
    for connection in gateway.connections:
        if connection.bgp is not None:
            lists[f"{connection.name}-in"] = list(_accepted(gateway, connection))
            lists[f"{connection.name}-out"] = [f"permit {prefix.text}" for prefix in sorted(connection.announce)]
    return [
        f"ip prefix-list {name} seq {number * _STEP} {rule}"
        for name in sorted(lists)
        for number, rule in enumerate(lists[name], 1)
    ]


def route_maps(gateway: Gateway) -> Iterator[Lines]:
    """`route-map` blocks, each without an end, in order of name."""
    found = {f"{plan.name}-{way}": (plan, way) for plan in gateway.bgp for way in ("in", "out")}
    for name, (plan, way) in sorted(found.items(), key=lambda item: item[0]):
        lines = [f"route-map {name} permit 10", f" match ip address prefix-list {plan.connection.name}-{way}"]
        yield [*lines, *(f" {line}" for line in (_learned(plan) if way == "in" else _told(plan)))]


def _accepted(gateway: Gateway, connection: Connection) -> Iterator[str]:
    """A part of what is accepted may come as well, but nothing that is ours: a longer prefix would take it."""
    ours = sorted({*gateway.internal, *(prefix for other in gateway.connections for prefix in other.announce)})
    for prefix in ours:
        lengths = [wide.length for wide in connection.accept if wide.length and wide.overlaps(prefix)]
        if lengths and max(lengths) <= prefix.length:
            yield f"deny {_and_longer(prefix)}"
    for prefix in sorted(connection.accept):
        yield f"permit {_and_longer(prefix)}"


def _and_longer(prefix: Prefix) -> str:
    """The default route means itself only: with anything longer it would mean everything."""
    return f"{prefix.text} le 32" if 0 < prefix.length < 32 else prefix.text


def _learned(plan: TunnelPlan) -> Lines:
    # A gateway is no way from one connection to another. What a change may add comes last, as FRR prints it.
    lines = ["set community no-advertise"]
    if plan.connection.mode == MODES[1] and not plan.standby:
        lines.append(f"set local-preference {_PREFERRED}")
    return lines


def _told(plan: TunnelPlan) -> Lines:
    bgp = plan.connection.bgp
    return [f"set as-path prepend {bgp.customer_asn} {bgp.customer_asn}"] if bgp is not None and plan.standby else []
