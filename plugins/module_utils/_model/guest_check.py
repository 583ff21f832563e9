# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether guests can be told what their networks say: by name, and by an address that follows from the MAC."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.guest_settings import SLAAC, slaac_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Instance
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Place

# What of a guest's name no part of a domain name can begin or end with, or be.
_NO_LABELS = re.compile(r"\.[._-]|[_-]\.")


def check_guests(report: Report, instances: Iterable[Instance], places: Mapping[str, Place]) -> None:
    """Report guests of networks with dhcp whose name no DNS has, or whose address is not that of their MAC."""
    served = {name: place for name, place in places.items() if place.guests.dhcp}
    if not served:
        return
    for instance in instances:
        for interface in instance.interfaces:
            place = served.get(interface.network)
            if place is None:
                continue
            if _NO_LABELS.search(instance.name):
                report.add(
                    f"{instance.path}.name",
                    f"{show(instance.name)} is not allowed, as {place.path} has dhcp: beside a dot stands a letter or "
                    "digit",
                )
            cidr6 = place.cidr[6]
            if not place.guests.slaac or cidr6 is None or interface.address6 is None or interface.mac is None:
                # Where the MAC is left out, the plan knows it.
                continue
            made = slaac_address(cidr6, interface.mac)
            if made != interface.address6:
                report.add(
                    f"{interface.path}.address6",
                    f"{format_ipv6(interface.address6)} is not {format_ipv6(made)}, which {interface.mac} makes: "
                    f"ipv6_addressing of {place.path} is {SLAAC}",
                )
