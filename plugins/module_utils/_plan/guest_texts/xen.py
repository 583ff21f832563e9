# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Xen: lines for /etc/xen/<guest>.cfg."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import Guest, Link


def xen(guest: Guest) -> str:
    lines = [f"# {guest.title}", *_addresses6(guest), "vif = ["]
    lines += [f"  '{','.join(_words(link))}'," for link in guest.links]
    return "\n".join([*lines, "]", ""])


def _addresses6(guest: Guest) -> Iterator[str]:
    """A line for each interface, in their order, up to the last that has an address. xl takes it for a comment."""
    found = [next((address for family, address, _length in link.addresses if family == 6), "") for link in guest.links]
    while found and not found[-1]:
        found.pop()
    return (f"#ipv6={address}" for address in found)


def _words(link: Link) -> Iterator[str]:
    yield from (f"mac={link.mac}", f"bridge={link.bridge}", f"vifname={link.vif}")
    # Xen's own script may allow nothing else.
    if link.strict:
        yield from (f"ip={address}" for family, address, _length in link.addresses if family == 4)
    if link.mtu is not None:
        yield f"mtu={link.mtu}"
