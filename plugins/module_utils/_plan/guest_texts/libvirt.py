# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt: <interface> elements, for <devices> of a domain or for `virsh attach-device`."""

from __future__ import annotations

import re
from xml.sax.saxutils import quoteattr

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import Guest, Link, Unfit

# Names of libvirt's own making: it drops them from a domain's definition, and gives others.
_OWN = re.compile(r"vnet|vif|macvtap|macvlan")


def libvirt(guest: Guest) -> str:
    """Raises Unfit where libvirt would not take an interface's name."""
    for link in guest.links:
        if _OWN.match(link.vif):
            raise Unfit(
                f"{guest.name}: libvirt drops the name {link.vif} of interface {link.number}, since names that begin "
                "so are its own; give the interface another vif"
            )
    # No comment: the names in it may have two hyphens in a row.
    return "".join(map(_interface, guest.links))


def _interface(link: Link) -> str:
    lines = [
        f"  <mac address={quoteattr(link.mac)}/>",
        f"  <source bridge={quoteattr(link.bridge)}/>",
        f"  <target dev={quoteattr(link.vif)}/>",
        '  <model type="virtio"/>',
    ]
    if link.isolated:
        lines.append('  <port isolated="yes"/>')
    if link.mtu is not None:
        lines.append(f'  <mtu size="{link.mtu}"/>')
    return "\n".join(['<interface type="bridge">', *lines, "</interface>", ""])
