# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud-init: network-config, version 2.

Only what cloud-init writes rightly for each of its renderers, from version 22 on. Of those only netplan knows tables,
rules and next hops that are on the link; others would put a table's routes into the main one, and bring no interface up
whose next hop they cannot find.
"""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import Guest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.netplan import device, route
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.yaml_text import document


def cloud_init(guest: Guest) -> str:
    links = {}
    for link in guest.links:
        found = device(link)
        # Of a route to ::/0 version 22 makes one to ::/64, and ifupdown is never told its interface.
        found.update({f"gateway{family}": gateway for family, gateway in link.gateways})
        routes = [route(item) for item in link.routes if not item.on_link]
        if routes:
            found["routes"] = routes
        links[link.label] = found
    return document(guest.title, {"version": 2, "ethernets": links})
