# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ifupdown: /etc/network/interfaces.d/vpc. It knows DNS servers where resolvconf or systemd-resolved is there, too.

Its word `rename` is not used: it fails where the interface has the name already, so also in `ifdown`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import (
    Guest,
    Link,
    Route,
)


def ifupdown(guest: Guest) -> str:
    return "\n".join([f"# {guest.title}", *(line for link in guest.links for line in _link(link)), ""])


def _link(link: Link) -> Iterator[str]:
    # Without a name: whatever has the MAC address is configured as what is called so below.
    yield from ("", f"auto {link.name or f'mac/{link.mac}={link.label}'}")
    for number, (family, address, length) in enumerate(link.addresses):
        yield f"iface {link.label} {'inet' if family == 4 else 'inet6'} static"
        yield f"    address {address}/{length}"
        yield from (f"    gateway {gateway}" for found, gateway in link.gateways if found == family)
        if family == 6:
            yield from ("    accept_ra 0", "    autoconf 0")
        yield from (f"    {line}" for line in _names(link, family, number == 0))
        # The option mtu of inet6 is not the device's.
        if number == 0 and link.mtu is not None:
            yield f'    pre-up ip link set dev "$IFACE" mtu {link.mtu}'
        yield from (f"    up ip -{family} route replace {_route(way)}" for way in link.routes if way.family == family)
        if link.table is not None:
            yield from (f"    {line}" for line in _policy(link, family, address))


def _names(link: Link, family: int, first: bool) -> Iterator[str]:
    servers = [server for server in link.dns if (":" in server) == (family == 6)]
    if servers:
        yield f"dns-nameservers {' '.join(servers)}"
    if first and link.search:
        yield f"dns-search {' '.join(link.search)}"


def _policy(link: Link, family: int, address: str) -> Iterator[str]:
    for way in link.table_routes:
        if way.family == family:
            yield f"up ip -{family} route replace {_route(way)} table {link.table}"
    rule = f"from {address} lookup {link.table} priority {link.priority}"
    yield f"up ip -{family} rule add {rule}"
    # Unlike routes, rules outlive the interface.
    yield f"down ip -{family} rule delete {rule} || true"


def _route(route: Route) -> str:
    via = f" via {route.via}" if route.via else ""
    return f'{route.to}{via} dev "$IFACE"{" onlink" if route.on_link else ""}'
