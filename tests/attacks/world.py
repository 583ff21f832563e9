# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is who in a topology: names, MAC and IP addresses of guests, hypervisor, gateway and the outside."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from ansible_collections.plainlinux.vpc.tests.attacks.policy import (
    DHCP_SERVER,
    ROUTER,
    VRRP,
    Pair,
    Policy,
    Vif,
    link_local,
)

FLAT = "flat"
ROUTED = "routed"
ISOLATED = "isolated"
KINDS = (FLAT, ROUTED, ISOLATED)

# The IPv4 address of nobody.
ANY4 = str(IPv4Address(0))
BROADCAST = "ff:ff:ff:ff:ff:ff"
VIRTUAL_MAC = "00:00:5e:00:01:07"
VIRTUAL_MAC6 = "00:00:5e:00:02:07"
VIRTUAL4 = "192.0.2.70"
VIRTUAL6 = "2001:db8:1::70"
# Nobody's. A bridge floods frames to the second to all ports, as nobody ever sends from it.
UNKNOWN_MAC = "00:16:3e:00:00:99"
FLOODED_MAC = "00:16:3e:00:00:98"

# a attacks, b is the victim, c has only IPv4, r has roles, d is plugged in but declared nowhere.
GUESTS = (
    Vif("vif1.0", "a", "00:16:3e:00:00:01", ("192.0.2.10",), ("2001:db8:1::10",)),
    Vif("vif2.0", "b", "00:16:3e:00:00:02", ("192.0.2.20", "192.0.2.21"), ("2001:db8:1::20", "2001:db8:1::21")),
    Vif("vif3.0", "c", "00:16:3e:00:00:03", ("192.0.2.30",)),
    Vif(
        "vif4.0",
        "r",
        "00:16:3e:00:00:04",
        ("192.0.2.40",),
        ("2001:db8:1::40",),
        (Pair(VIRTUAL_MAC, VIRTUAL4), Pair(VIRTUAL_MAC6, VIRTUAL6)),
        frozenset({ROUTER, DHCP_SERVER, VRRP}),
    ),
)
STRANGER = Vif("vif9.0", "d", "00:16:3e:00:00:09", ("192.0.2.90",), ("2001:db8:1::90",))


@dataclass(frozen=True)
class Station:
    """One end of a conversation: its MAC address, IPv4, IPv6 (or "") and link-local addresses (or "")."""

    mac: str
    ip4: str
    ip6: str
    ll: str


def _station(vif: Vif) -> Station:
    return Station(vif.mac, vif.addresses4[0], vif.addresses6[0] if vif.addresses6 else "", link_local(vif.mac))


@dataclass(frozen=True)
class World:
    """The addresses of one kind of topology.

    flat: the gateway is outside, behind the uplink port. routed and isolated: the hypervisor is the gateway, answers
    ARP for it, and routes to the outside; isolated: ports reach only the hypervisor, which routes between guests.
    """

    kind: str
    # Whether br_netfilter looks at bridged frames; it drops broken IP packets by itself.
    bridge_nf: bool = False

    bridge_mac = "02:00:00:00:0b:01"
    ext_mac = "02:00:00:00:0e:01"
    # The hypervisor's end of the link to the outside, where it routes.
    wan_mac = "02:00:00:00:0b:02"
    outside4 = "198.51.100.1"
    outside6 = "2001:db8:ffff::1"

    @property
    def routed(self) -> bool:
        return self.kind != FLAT

    @property
    def bridge(self) -> str:
        return "br-net1" if self.routed else "xenbr0"

    @property
    def host(self) -> Station:
        return Station(
            self.bridge_mac, "192.0.2.2", "2001:db8:1::2", "fe80::1" if self.routed else link_local(self.bridge_mac)
        )

    @property
    def gw(self) -> Station:
        """The guests' gateway."""
        if self.routed:
            return Station(self.bridge_mac, "192.0.2.1", "", "fe80::1")
        return Station(self.ext_mac, "192.0.2.1", "2001:db8:1::1", link_local(self.ext_mac))

    @property
    def ext(self) -> Station:
        """Somebody outside, beyond the gateway; its MAC address is that of the gateway."""
        return Station(self.gw.mac, self.outside4, self.outside6, self.gw.ll)

    def guest(self, name: str) -> Station:
        return _station(next(vif for vif in (*GUESTS, STRANGER) if vif.guest == name))

    def hop(self, sender: str, to: str) -> str:
        """The MAC address to which a guest sends IP packets for another guest."""
        return self.gw.mac if self.kind == ISOLATED and sender != to else self.guest(to).mac

    @property
    def policy(self) -> Policy:
        return Policy(self.bridge, () if self.routed else ("peth0",), GUESTS)

    def owner(self, mac: str) -> str | None:
        """Who gets frames for this MAC address: a guest's name, host or ext; None: nobody in particular."""
        for vif in (*GUESTS, STRANGER):
            if mac == vif.mac or any(mac == pair.mac for pair in vif.pairs):
                return vif.guest
        if mac == self.bridge_mac:
            return "host"
        return "ext" if mac == self.ext_mac and not self.routed else None

    def reached(self, sender: str, mac: str) -> frozenset[str]:
        """Who gets a frame that nothing filters."""
        if int(mac[:2], 16) & 1:
            everybody = {vif.guest for vif in GUESTS} | {"host"} | (set() if self.routed else {"ext"})
        else:
            one = self.owner(mac)
            everybody = set() if one is None else {one}
        if self.kind == ISOLATED and sender not in ("host", "ext"):
            everybody &= {"host"}
        return frozenset(everybody - {sender})
