# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host's own boot configuration of its network: what is there before the collection comes. Pure."""

from __future__ import annotations

from .flat import Bridge
from .host import Host

FOLDER = "etc/systemd/network"
PREFIX = "10-lab-"

_QUIET = "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"


def files(host: Host) -> dict[str, str]:
    """Name -> text of the files for systemd-networkd; none for a host that brings its own."""
    if host.files:
        return {}
    found = {f"{PREFIX}{host.interface}.network": _underlay(host)}
    for bridge in host.bridges:
        found[f"{PREFIX}{bridge.name}.netdev"] = _bridge(bridge)
        if bridge.name != host.interface:
            # without an address it is never what systemd-networkd-wait-online takes for online
            text = f"[Match]\nName={bridge.name}\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n{_QUIET}"
            found[f"{PREFIX}{bridge.name}.network"] = text
        if bridge.uplink is not None:
            text = f"[Match]\nName={bridge.uplink}\n\n[Network]\nBridge={bridge.name}\n{_QUIET}"
            found[f"{PREFIX}{bridge.uplink}.network"] = text
    return found


def _bridge(bridge: Bridge) -> str:
    return (
        f"[NetDev]\nName={bridge.name}\nKind=bridge\nMACAddress={bridge.mac}\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n"
    )


def _underlay(host: Host) -> str:
    """The interface with the underlay addresses."""
    lines = ["[Match]", f"Name={host.interface}", "", "[Network]", *_QUIET.splitlines()]
    lines += [f"Gateway={gateway}" for gateway in host.gateways]
    for address in host.addresses:
        # addresses of hosts are unique: do not let the host wait for duplicate address detection
        lines += ["", "[Address]", f"Address={address}", "DuplicateAddressDetection=none"]
    return "\n".join(lines) + "\n"
