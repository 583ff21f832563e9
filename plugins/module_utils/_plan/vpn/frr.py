# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FRR: `frr.conf` in the words and the order of `show running-config` (8.4), so that a reload finds no difference."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import bgp
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.bgp import Lines
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway

VTYSH = "service integrated-vtysh-config\n"
# The action plugin makes `no ipv6 forwarding` of this line, or takes it away.
NO_FORWARDING6 = "@no ipv6 forwarding@"


def config(gateway: Gateway, router_id: str, hostname: str, forwarding6: bool | None) -> str:
    """frr.conf.

    hostname: that of the host. forwarding6: whether it forwards IPv6 now. FRR's configuration always has both: what is
    missing in the file, a reload takes away, and the opposite of `no ipv6 forwarding` is to turn it on. None: the line
    is a token.
    """
    parts = [
        _head(hostname, forwarding6),
        _static(gateway),
        _router(gateway, router_id) if gateway.bgp else [],
        bgp.prefix_lists(gateway),
        *([*lines, "exit"] for lines in bgp.route_maps(gateway)),
    ]
    return "".join("\n".join([*part, "!"]) + "\n" for part in parts if part)


def daemons(gateway: Gateway) -> str:
    """/etc/frr/daemons: zebra and staticd always run. A change of it needs a restart."""
    return "\n".join(
        (
            f"bgpd={'yes' if gateway.bgp else 'no'}",
            "vtysh_enable=yes",
            'zebra_options="-A 127.0.0.1 -s 90000000"',
            'bgpd_options="-A 127.0.0.1"',
            'staticd_options="-A 127.0.0.1"',
            "",
        )
    )


def _head(hostname: str, forwarding6: bool | None) -> Lines:
    lines = ["frr defaults traditional", f"hostname {hostname}", "log syslog informational"]
    if not forwarding6:
        lines.append(NO_FORWARDING6 if forwarding6 is None else "no ipv6 forwarding")
    # With nexthop objects, an interface that was down for a moment is missing from its routes ever after
    # (FRRouting/frr pull request 13413).
    return [*lines, "no zebra nexthop kernel enable", "service integrated-vtysh-config"]


def _static(gateway: Gateway) -> Lines:
    """Routes: what is announced and nobody has, and the other sides without BGP."""
    found = [(prefix, f"blackhole {bgp.DISCARD_DISTANCE}") for prefix in bgp.discarded(gateway)]
    for plan in gateway.tunnels:
        # Both tunnels at once would need that somebody sees the end of one of them.
        distance = "" if plan.tunnel.number == 1 else f" {plan.tunnel.number}"
        found += [(prefix, f"{plan.name}{distance}") for prefix in plan.connection.static_routes]
    return [f"ip route {prefix.text} {rest}" for prefix, rest in sorted(found, key=_order)]


def _order(route: tuple[Prefix, str]) -> tuple[int, Prefix]:
    """FRR's: short prefixes first."""
    return route[0].length, route[0]


def _router(gateway: Gateway, router_id: str) -> Lines:
    sessions = [line for neighbour in bgp.neighbours(gateway) for line in bgp.session(neighbour)]
    return [*bgp.head(gateway, router_id), *sessions, " !", *_family(gateway), "exit"]


def _family(gateway: Gateway) -> Iterator[str]:
    yield " address-family ipv4 unicast"
    for prefix in bgp.networks(gateway):
        yield f"  network {prefix.text}"
    for neighbour in bgp.neighbours(gateway):
        start = f"  neighbor {neighbour.address}"
        yield f"{start} soft-reconfiguration inbound"
        yield f"{start} maximum-prefix-out {bgp.MAX_ANNOUNCED}"
        yield f"{start} route-map {neighbour.plan.name}-in in"
        yield f"{start} route-map {neighbour.plan.name}-out out"
    yield f"  maximum-paths {bgp.paths(gateway)}"
    yield " exit-address-family"
