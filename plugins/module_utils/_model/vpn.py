# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VPN connections to an AWS VPC: what is known of one that has been read and checked.

The words for algorithms are AWS's choices in the spelling of this collection; a provider translates them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix

SECTION = "vpc_vpn_connections"
MODES = ("active_active", "active_passive")

# The strongest first, here and in what is read.
ENCRYPTION = ("aes256-gcm16", "aes256", "aes128-gcm16", "aes128")
GCM = frozenset(("aes256-gcm16", "aes128-gcm16"))
HASHES = ("sha512", "sha384", "sha256", "sha1")
IKE_GROUPS = (2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24)
ESP_GROUPS = (2, 5, *IKE_GROUPS[1:])

# Of the document that AWS gives, and AWS's own defaults.
HOLD_TIME = 30
CUSTOMER_ASN = 65000
AMAZON_ASN = 64512


@dataclass(frozen=True)
class Ike:
    """What is offered for the IKE SA; every list in the order of preference.

    version: 1 (main mode) or 2. encryption: of ENCRYPTION, at least one; GCM only with version 2. integrity: of HASHES,
    for what is not GCM; empty where all of encryption is GCM. prf: of HASHES, for GCM; empty where nothing is GCM (the
    hash of integrity is the PRF there). dh: of IKE_GROUPS, at least one. lifetime: seconds, 900 to 28800.
    """

    version: int
    encryption: tuple[str, ...]
    integrity: tuple[str, ...]
    prf: tuple[str, ...]
    dh: tuple[int, ...]
    lifetime: int


@dataclass(frozen=True)
class Esp:
    """What is offered for the ESP SAs; every list in the order of preference.

    encryption: of ENCRYPTION, at least one. integrity: of HASHES, for what is not GCM; empty where all is GCM. dh: of
    ESP_GROUPS, at least one (perfect forward secrecy). lifetime: seconds, 900 to 3600, less than that of IKE.
    """

    encryption: tuple[str, ...]
    integrity: tuple[str, ...]
    dh: tuple[int, ...]
    lifetime: int


@dataclass(frozen=True)
class Dpd:
    """Dead peer detection. interval: seconds between probes. retries: unanswered probes until the peer is dead."""

    interval: int
    retries: int


@dataclass(frozen=True)
class Bgp:
    """The BGP session in each tunnel of a connection. hold_time: seconds; a keepalive is sent three times in it."""

    customer_asn: int
    amazon_asn: int
    hold_time: int


@dataclass(frozen=True)
class Tunnel:
    """One tunnel. path: where it was written; no part of its identity.

    name: `<name of the connection>-<number>`, at most 12 characters; number: 1 or 2. Addresses are canonical IPv4 text.
    outside_address: ours as the peer sees it, our IKE identity. local_address: that on the gateway; another one behind
    NAT. inside_cidr: a /30, and inside_address (ours) and peer_inside_address in it; all None where a static connection
    has none. psk_variable: the variable that has the PSK; None: it is `psk` of this tunnel in vpc_vpn_connections.
    """

    path: str = field(compare=False)
    name: str
    number: int
    outside_address: str
    local_address: str
    peer_outside_address: str
    inside_cidr: Prefix | None
    inside_address: str | None
    peer_inside_address: str | None
    psk_variable: str | None
    ike: Ike
    esp: Esp
    dpd: Dpd

    @property
    def nat(self) -> bool:
        """Whether the gateway is behind NAT."""
        return self.local_address != self.outside_address


@dataclass(frozen=True)
class Connection:
    """A VPN connection. path: where it was written; no part of its identity.

    gateway: a host of the group vpn_gateways. vpc: whose networks reach the other side. bgp: None with static routes.
    announce: our side's networks, sorted; with BGP they are announced, at most 100. accept: what BGP may bring, each
    of them or a part of it, but 0.0.0.0/0 only as itself; sorted, empty without BGP. static_routes: the other side's
    networks, sorted, empty with BGP. mode: "active_active", or "active_passive" where the first of two tunnels is
    preferred. internet: whether the other side reaches the internet behind the gateway. tunnels: one or two.
    """

    path: str = field(compare=False)
    name: str
    gateway: str
    vpc: str
    bgp: Bgp | None
    announce: tuple[Prefix, ...]
    accept: tuple[Prefix, ...]
    static_routes: tuple[Prefix, ...]
    mode: str
    internet: bool
    tunnels: tuple[Tunnel, ...]

    @property
    def remote(self) -> tuple[Prefix, ...]:
        """The other side's networks, learned or static."""
        return self.accept if self.bgp is not None else self.static_routes
