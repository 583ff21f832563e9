# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tunnels of one VPN gateway: names, numbers and sizes, and what the kernel is told of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import GCM, MODES, Connection, Esp, Tunnel
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import (
    KERNEL,
    RACOON,
    STRONGSWAN,
    USERLAND,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import UNDERLAY, State

# Numbers of tunnels: XFRM interface ids, and with userland ESP route tables and marks. Far from what people choose, and
# from the route tables of the networks. if_id 0 means none.
NUMBER_BASE = 2_000_000_000
NUMBER_SIZE = 100_000_000

LINK_MTU = 1500
# strongSwan's userland ESP reads at most this much of a packet, whatever the MTU of its device is.
_USERLAND_MTU = 1400
_IP_HEADER, _UDP_HEADER, _ESP_HEADER, _ESP_TRAILER = 20, 8, 8, 2
_IP_AND_TCP_HEADER = 40
# (initialization vector, block) and integrity check value, in octets: RFC 4106, 3602, 2404, 4868.
_GCM = (8, 4)
_CBC = (16, 16)
_GCM_ICV = 16
_ICV = {"sha1": 12, "sha256": 16, "sha384": 24, "sha512": 32}


@dataclass(frozen=True)
class TunnelPlan:
    """One tunnel with what follows from it. id: see NUMBER_BASE. mtu, mss: octets, of IPv4 inside of the tunnel."""

    connection: Connection
    tunnel: Tunnel
    id: int
    mtu: int
    mss: int

    @property
    def name(self) -> str:
        """That of the interface, the swanctl connection and its child, the FRR route-maps."""
        return self.tunnel.name

    @property
    def standby(self) -> bool:
        """Whether it carries traffic only while the first tunnel of its connection does not."""
        return self.connection.mode == MODES[1] and self.tunnel.number > 1


@dataclass(frozen=True)
class Gateway:
    """A host with VPN connections.

    connections: its own, in order of name. internal: IPv4 networks of all VPCs. firewall: "nftables" or "iptables".
    provider: STRONGSWAN or RACOON. ipsec: of IPSEC_BACKENDS. tunnels: those of all its connections, in order of name.
    """

    host: str
    connections: tuple[Connection, ...]
    internal: tuple[Prefix, ...] = ()
    firewall: str = "nftables"
    provider: str = STRONGSWAN
    ipsec: str = KERNEL
    link_mtu: int = LINK_MTU
    tunnels: tuple[TunnelPlan, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = [(connection, tunnel) for connection in self.connections for tunnel in connection.tunnels]
        ids = numbers(tunnel.name for connection, tunnel in found)
        plans = []
        for connection, tunnel in found:
            size = mtu(tunnel.esp, tunnel.nat or self.ipsec == USERLAND, self.link_mtu)
            if self.ipsec == USERLAND:
                size = min(size, _USERLAND_MTU)
            plans.append(TunnelPlan(connection, tunnel, ids[tunnel.name], size, size - _IP_AND_TCP_HEADER))
        object.__setattr__(self, "tunnels", tuple(sorted(plans, key=lambda plan: plan.name)))

    @classmethod
    def of(cls, model: Model, name: str) -> Gateway:
        """The gateway that a host of the model is; without a connection, what it has is nothing."""
        host = model.hosts[name]
        return cls(
            name,
            tuple(connection for key, connection in sorted(model.connections.items()) if connection.gateway == name),
            tuple(network.cidr for network in model.networks.values() if network.cidr is not None),
            host.backend,
            host.vpn_provider,
            host.ipsec_backend,
        )

    @property
    def bgp(self) -> list[TunnelPlan]:
        """The tunnels with a BGP session."""
        return [plan for plan in self.tunnels if plan.connection.bgp is not None]


def numbers(names: Iterable[str]) -> dict[str, int]:
    """The id of each tunnel: a hash of its name. Equal ones are told apart in order of name."""
    ids: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(names):
        offset = int.from_bytes(hashlib.sha256(f"tunnel {name}".encode()).digest()[:8], "big") % NUMBER_SIZE
        while NUMBER_BASE + offset in taken:
            offset = (offset + 1) % NUMBER_SIZE
        ids[name] = NUMBER_BASE + offset
        taken.add(ids[name])
    return ids


def mtu(esp: Esp, nat: bool, link_mtu: int = LINK_MTU) -> int:
    """The largest IPv4 packet that fits whatever of the offer is chosen, in ESP or, behind NAT, in ESP in UDP."""
    sizes = []
    for encryption in esp.encryption:
        vector, block = _GCM if encryption in GCM else _CBC
        for check in [_GCM_ICV] if encryption in GCM else [_ICV[name] for name in esp.integrity]:
            room = link_mtu - _IP_HEADER - (_UDP_HEADER if nat else 0) - _ESP_HEADER - vector - check
            sizes.append(room // block * block - _ESP_TRAILER)
    return min(sizes)


def psk_token(tunnel: Tunnel) -> str:
    """What stands for the tunnel's key in texts until the role puts it in; no key can look like this."""
    return f"@psk {tunnel.name}@"


def state(gateway: Gateway) -> State:
    """The kernel's part of the gateway by subsystem, without the firewall.

    The devices of userland ESP come and go with their daemons, which set them up: see userland.py.
    """
    found: State = {"sysctl": {"net/ipv4/ip_forward": "1"} if gateway.tunnels else {}}
    if gateway.provider == RACOON:
        # A peer of BGP must be on a link of ours; policies take the packets out of it.
        found["address"] = {
            f"{UNDERLAY} {plan.tunnel.inside_address}/30": "present"
            for plan in gateway.tunnels
            if plan.tunnel.inside_address is not None
        }
        return found
    if len(gateway.bgp) > 1:
        # The kernel's default sends all of one pair of hosts through one of two equal tunnels.
        found["sysctl"]["net/ipv4/fib_multipath_hash_policy"] = "1"
    if gateway.ipsec == USERLAND:
        return found
    found["xfrm"] = {plan.name: f"xfrm if_id {plan.id:#x} mtu {plan.mtu}" for plan in gateway.tunnels}
    found["address"] = {
        f"{plan.name} {plan.tunnel.inside_address}/30": "present"
        for plan in gateway.tunnels
        if plan.tunnel.inside_address is not None
    }
    for plan in gateway.tunnels:
        found["sysctl"].update(sysctls(plan))
    return found


def sysctls(plan: TunnelPlan) -> dict[str, str]:
    """Parameters of a tunnel's interface."""
    conf = f"net/ipv4/conf/{plan.name}"
    # What goes out through one tunnel may come back through the other.
    return {f"{conf}/rp_filter": "2|0", f"{conf}/send_redirects": "0"}
