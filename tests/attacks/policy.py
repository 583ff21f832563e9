# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guard is told: the addresses and roles of each VIF, and the ports of the bridge. Plain data, no scapy.

A guard may use nothing else of this suite than this file and topology.Topology.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

ROUTER = "router"
DHCP_SERVER = "dhcp_server"
VRRP = "vrrp"


def link_local(mac: str) -> str:
    """The link-local address that EUI-64 makes of a MAC address, in the form that the kernel prints."""
    raw = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([raw[0] ^ 2, *raw[1:3], 0xFF, 0xFE, *raw[3:]])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface))


@dataclass(frozen=True)
class Pair:
    """An address that a VIF may use with this MAC address, which may differ from its own: that of a virtual router."""

    mac: str
    address: str


@dataclass(frozen=True)
class Vif:
    """A declared VIF. addresses4, addresses6: without prefix length; empty: the guest may not use that family.

    Roles: router sends router advertisements and IGMP and MLD queries; dhcp_server answers DHCP and DHCPv6 clients;
    vrrp sends protocol 112 from its own addresses, with its own MAC address or with one of its pairs.
    """

    name: str
    guest: str
    mac: str
    addresses4: tuple[str, ...] = ()
    addresses6: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    roles: frozenset[str] = frozenset()

    @property
    def link_local(self) -> str | None:
        """The one link-local address that the guest may use; None without IPv6."""
        return link_local(self.mac) if self.addresses6 else None


@dataclass(frozen=True)
class Policy:
    """All that is declared for one bridge. uplinks: its ports to the outside, beyond which no guest of this host is."""

    bridge: str
    uplinks: tuple[str, ...]
    vifs: tuple[Vif, ...]
