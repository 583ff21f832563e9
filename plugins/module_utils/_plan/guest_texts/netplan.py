# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""netplan: /etc/netplan/60-vpc.yaml."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import (
    DEFAULT,
    Guest,
    Link,
    Route,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.yaml_text import document


def netplan(guest: Guest) -> str:
    links = {link.label: _link(link) for link in guest.links}
    return document(guest.title, {"network": {"version": 2, "ethernets": links}})


def device(link: Link) -> dict[str, Any]:
    """What netplan and cloud-init have in common: all but routes."""
    found: dict[str, Any] = {"match": {"macaddress": link.mac}}
    if link.name:
        found["set-name"] = link.name
    found.update({"dhcp4": False, "dhcp6": False, "accept-ra": False})
    if link.mtu is not None:
        found["mtu"] = link.mtu
    found["addresses"] = [f"{address}/{length}" for _family, address, length in link.addresses]
    names = {"addresses": list(link.dns), "search": list(link.search)}
    if any(names.values()):
        found["nameservers"] = {key: words for key, words in names.items() if words}
    return found


def route(found: Route) -> dict[str, Any]:
    way: dict[str, Any] = {"via": found.via} if found.via else {"scope": "link"}
    return {"to": found.to, **way, **({"on-link": True} if found.on_link else {})}


def _link(link: Link) -> dict[str, Any]:
    found = device(link)
    defaults = [{"to": DEFAULT[family], "via": gateway} for family, gateway in link.gateways]
    routes = [*defaults, *map(route, link.routes)]
    if link.table is not None:
        routes += [{**route(item), "table": link.table} for item in link.table_routes]
        found["routing-policy"] = [
            {"from": f"{address}/{32 if family == 4 else 128}", "table": link.table, "priority": link.priority}
            for family, address, _length in link.addresses
        ]
    if routes:
        found["routes"] = routes
    return found
