# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is who in a topology: names, MAC and IP addresses of guests, hypervisor, gateway and the outside. Pure data."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from itertools import islice

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


@dataclass(frozen=True)
class Station:
    """One end of a conversation: its MAC address, IPv4, IPv6 (or "") and link-local addresses (or "")."""

    mac: str
    ip4: str
    ip6: str
    ll: str


_ABSENT_MAC = "02:fe:ed:5a:9c:61"
# Stands for who, or what, a world does not have: a case in which one of these is said is left out.
ABSENT = Station(_ABSENT_MAC, "247.211.83.97", "2001:db8:5a9c:fe1d::61", link_local(_ABSENT_MAC))


@dataclass(frozen=True)
class Scene:
    """The names and addresses that differ from one place to another.

    guests: a attacks, b is the victim, c has only IPv4, r has roles; a and b are always there. stranger: d, who is
    plugged in but declared nowhere. host: the hypervisor on the bridge. gw: the guests' gateway. ext_mac: of whom the
    hypervisor's, or a flat bridge's, frames come from outside. wan_mac: the hypervisor's end of the link to the
    outside, where it routes. outside4, outside6: somebody beyond the gateway. network4, network6: the guests' prefixes
    (network6: "" for none). remote4: a guest on another hypervisor. others: addresses that are somebody else's.
    answers: whether the outside answers guests; inwards: whether it reaches them unasked. mtu: of all links, in octets.
    """

    bridge: str
    uplinks: tuple[str, ...]
    guests: tuple[Vif, ...]
    stranger: Vif
    host: Station
    gw: Station
    ext_mac: str
    wan_mac: str
    network4: str
    network6: str
    remote4: str = ABSENT.ip4
    outside4: str = "198.51.100.1"
    outside6: str = "2001:db8:ffff::1"
    others: frozenset[str] = frozenset()
    answers: bool = True
    inwards: bool = True
    mtu: int = 9000


def _standard(kind: str) -> Scene:
    """The scene that the suite builds by itself."""
    bridge_mac, ext_mac = "02:00:00:00:0b:01", "02:00:00:00:0e:01"
    host4, host6, gateway4 = "192.0.2.2", "2001:db8:1::2", "192.0.2.1"
    guests = (
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
    flat = kind == FLAT
    return Scene(
        bridge="xenbr0" if flat else "br-net1",
        uplinks=("peth0",) if flat else (),
        guests=guests,
        stranger=Vif("vif9.0", "d", "00:16:3e:00:00:09", ("192.0.2.90",), ("2001:db8:1::90",)),
        host=Station(bridge_mac, host4, host6, link_local(bridge_mac) if flat else "fe80::1"),
        gw=(
            Station(ext_mac, gateway4, "2001:db8:1::1", link_local(ext_mac))
            if flat
            else Station(bridge_mac, gateway4, "", "fe80::1")
        ),
        ext_mac=ext_mac,
        wan_mac="02:00:00:00:0b:02",
        network4="192.0.2.0/24",
        network6="2001:db8:1::/64",
        remote4=ABSENT.ip4 if flat else "192.0.2.120",
    )


@dataclass(frozen=True)
class World:
    """One kind of topology and who is in it.

    flat: the gateway is outside, behind the uplink port. routed and isolated: the hypervisor is the gateway, answers
    ARP for it, and routes to the outside; isolated: ports reach only the hypervisor, which routes between guests.
    bridge_nf: whether br_netfilter looks at bridged frames; it drops broken IP packets by itself. place: None for the
    scene that the suite builds.
    """

    kind: str
    bridge_nf: bool = False
    place: Scene | None = None

    @cached_property
    def scene(self) -> Scene:
        return self.place or _standard(self.kind)

    @property
    def routed(self) -> bool:
        return self.kind != FLAT

    @property
    def bridge(self) -> str:
        return self.scene.bridge

    @property
    def host(self) -> Station:
        return self.scene.host

    @property
    def gw(self) -> Station:
        """The guests' gateway."""
        return self.scene.gw

    @property
    def ext(self) -> Station:
        """Somebody outside, beyond the gateway; its MAC address is that of the gateway."""
        return Station(self.gw.mac, self.scene.outside4, self.scene.outside6, self.gw.ll)

    @cached_property
    def vifs(self) -> dict[str, Vif]:
        """Guests that are there, by letter; with d, who is declared nowhere."""
        return {vif.guest: vif for vif in (*self.scene.guests, self.scene.stranger)}

    def guest(self, name: str) -> Station:
        """A guest with its first addresses; ABSENT, or its addresses, for what is not there."""
        vif = self.vifs.get(name)
        if vif is None:
            return ABSENT
        # c is known for having no IPv6; of the others, every case that speaks of it needs it.
        missing6 = "" if name == "c" else ABSENT.ip6
        ip4 = vif.addresses4[0] if vif.addresses4 else ABSENT.ip4
        return Station(vif.mac, ip4, vif.addresses6[0] if vif.addresses6 else missing6, link_local(vif.mac))

    @property
    def second(self) -> Station:
        """Guest b with its second addresses."""
        vif = self.vifs["b"]
        ip4 = vif.addresses4[1] if len(vif.addresses4) > 1 else ABSENT.ip4
        ip6 = vif.addresses6[1] if len(vif.addresses6) > 1 else ABSENT.ip6
        return Station(vif.mac, ip4, ip6, link_local(vif.mac))

    @property
    def spare6(self) -> str:
        """The address of b on which duplicate address detection is tried."""
        return self.guest("b").ip6 if self.second.ip6 == ABSENT.ip6 else self.second.ip6

    def virtual(self, family: int) -> Pair:
        """The address of the virtual router that r is, with its MAC."""
        pairs = self.vifs["r"].pairs if "r" in self.vifs else ()
        absent = Pair(ABSENT.mac, ABSENT.ip4 if family == 4 else ABSENT.ip6)
        return next((pair for pair in pairs if (":" in pair.address) == (family == 6)), absent)

    @cached_property
    def nobody(self) -> tuple[Station, Station]:
        """Two stations whose addresses are in the guests' networks and are nobody's."""
        taken = {address for vif in self.vifs.values() for address in (*vif.addresses4, *vif.addresses6)}
        taken |= {pair.address for vif in self.vifs.values() for pair in vif.pairs}
        taken |= {self.gw.ip4, self.gw.ip6, self.host.ip4, self.host.ip6, self.scene.remote4, *self.scene.others}
        found4, found6 = free(self.scene.network4, taken, 2), free(self.scene.network6, taken, 2)
        one, two = (
            Station(UNKNOWN_MAC, ip4 or ABSENT.ip4, ip6 or ABSENT.ip6, link_local(UNKNOWN_MAC))
            for ip4, ip6 in zip(found4, found6, strict=True)
        )
        return one, two

    @property
    def broadcast4(self) -> str:
        """The address of all in the guests' network."""
        return str(ipaddress.IPv4Network(self.scene.network4).broadcast_address)

    def hop(self, sender: str, to: str) -> str:
        """The MAC address to which a guest sends IP packets for another guest."""
        return self.gw.mac if self.kind == ISOLATED and sender != to else self.guest(to).mac

    @property
    def policy(self) -> Policy:
        return Policy(self.bridge, self.scene.uplinks, self.scene.guests)

    def owner(self, mac: str) -> str | None:
        """Who gets frames for this MAC address: a guest's name, host, ext or absent; None: nobody in particular."""
        if mac == ABSENT.mac:
            return "absent"
        for vif in self.vifs.values():
            if mac == vif.mac or any(mac == pair.mac for pair in vif.pairs):
                return vif.guest
        if mac == self.host.mac:
            return "host"
        return "ext" if mac == self.scene.ext_mac and not self.routed else None

    def reached(self, sender: str, mac: str) -> frozenset[str]:
        """Who gets a frame that nothing filters."""
        if int(mac[:2], 16) & 1:
            everybody = {vif.guest for vif in self.scene.guests} | {"host"} | (set() if self.routed else {"ext"})
        else:
            one = self.owner(mac)
            everybody = set() if one is None else {one}
        if self.kind == ISOLATED and sender not in ("host", "ext"):
            everybody &= {"host"}
        return frozenset(everybody - {sender})


def free(network: str, taken: set[str], count: int) -> list[str]:
    """The highest usable addresses of a network that are not taken; "" where there is no network."""
    if not network:
        return [""] * count
    prefix = ipaddress.ip_network(network)
    # Not where an IPv6 prefix ends: who reads such an address should see the prefix.
    size = min(prefix.num_addresses, 0x10000)
    found = (str(prefix[number]) for number in range(size - 2, 0, -1))
    return list(islice((address for address in found if address not in taken), count))
