# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quagga: daemons, bgpd.conf and zebra.conf.

No vty passwords: without one, nobody gets in by telnet, and vtysh does not need it.
"""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import bgp
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway


def daemons(gateway: Gateway) -> str:
    """/etc/quagga/daemons of Debian."""
    return "\n".join(
        (
            "zebra=yes",
            f"bgpd={'yes' if gateway.bgp else 'no'}",
            *(f"{name}=no" for name in ("ospfd", "ospf6d", "ripd", "ripngd", "isisd", "babeld", "pimd")),
            "vtysh_enable=yes",
            'zebra_options="--daemon -A 127.0.0.1"',
            'bgpd_options="--daemon -A 127.0.0.1"',
            "",
        )
    )


def bgpd(gateway: Gateway, router_id: str, hostname: str) -> str:
    """bgpd.conf. Quagga has no maximum-prefix-out: the model's limit of 100 networks stands for it."""
    parts = [[f"hostname {hostname}", "log syslog informational"]]
    found = bgp.neighbours(gateway)
    if found:
        lines = bgp.head(gateway, router_id)
        lines += [f" network {prefix.text}" for prefix in bgp.networks(gateway)]
        for neighbour in found:
            start = f" neighbor {neighbour.address}"
            lines += [
                *bgp.session(neighbour),
                f"{start} soft-reconfiguration inbound",
                f"{start} route-map {neighbour.plan.name}-in in",
                f"{start} route-map {neighbour.plan.name}-out out",
            ]
        parts += [lines, bgp.prefix_lists(gateway), *bgp.route_maps(gateway)]
    return _text([*parts, ["line vty"]])


def zebra(gateway: Gateway, hostname: str) -> str:
    """zebra.conf, with the routes."""
    found = [(prefix, f"Null0 {bgp.DISCARD_DISTANCE}") for prefix in bgp.discarded(gateway)]
    for plan in gateway.tunnels:
        via = plan.tunnel.peer_inside_address
        # Without a peer on a link of ours, the default route leads the packets to where the policies take them.
        if plan.tunnel.number == 1 and via is not None:
            found += [(prefix, via) for prefix in plan.connection.static_routes]
    routes = [f"ip route {prefix.text} {rest}" for prefix, rest in sorted(found, key=lambda item: item[0])]
    return _text([[f"hostname {hostname}", "log syslog informational"], routes, ["line vty"]])


def _text(parts: list[list[str]]) -> str:
    return "".join("\n".join([*part, "!"]) + "\n" for part in parts if part)
