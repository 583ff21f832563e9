# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-networkd: files for /etc/systemd/network. Their names begin so low that they come before an image's own."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import (
    DEFAULT,
    Guest,
    Link,
    Route,
)


def systemd_networkd(guest: Guest) -> dict[str, str]:
    """Texts by file name; .link is for udev, and only where the interface gets a name."""
    files = {}
    for link in guest.links:
        # Not a bridge or VLAN on top of it, which has the same MAC.
        head = [f"# {guest.title}", "[Match]", f"MACAddress={link.mac}", "Type=ether"]
        if link.name:
            files[f"10-vpc{link.number}.link"] = _text([*head, "", "[Link]", f"Name={link.name}"])
        files[f"10-vpc{link.number}.network"] = _text([*head, *_network(link)])
    return files


def _text(lines: list[str]) -> str:
    return "\n".join([*lines, ""])


def _network(link: Link) -> Iterator[str]:
    if link.mtu is not None:
        yield from ("", "[Link]", f"MTUBytes={link.mtu}")
    yield from ("", "[Network]", "DHCP=no", "IPv6AcceptRA=no")
    yield from (f"Address={address}/{length}" for _family, address, length in link.addresses)
    yield from (f"DNS={server}" for server in link.dns)
    if link.search:
        yield f"Domains={' '.join(link.search)}"
    for family, gateway in link.gateways:
        yield from _route(Route(family, DEFAULT[family], gateway))
    for route in link.routes:
        yield from _route(route)
    if link.table is not None:
        for route in link.table_routes:
            yield from (*_route(route), f"Table={link.table}")
        for _family, address, _length in link.addresses:
            yield from (
                "",
                "[RoutingPolicyRule]",
                f"From={address}",
                f"Table={link.table}",
                f"Priority={link.priority}",
            )


def _route(route: Route) -> Iterator[str]:
    yield from ("", "[Route]", f"Destination={route.to}")
    if route.via:
        yield f"Gateway={route.via}"
    elif route.family == 4:
        yield "Scope=link"
    if route.on_link:
        yield "GatewayOnLink=yes"
