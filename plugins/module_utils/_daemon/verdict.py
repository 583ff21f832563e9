# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be said of a tunnel: one verdict, and where it is not up, the reason that somebody can act on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Bgp, Ipsec
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.interfaces import Interface

UP = "up"
UNKNOWN = "unknown"
NOT_CONFIGURED = "not configured"
IPSEC_DOWN = "IPsec down"
ESP_DOWN = "IKE up, ESP down"
NO_INTERFACE = "IPsec up, interface missing"
INTERFACE_DOWN = "IPsec up, interface down"
BGP_DOWN = "IPsec up, BGP down"
NO_PREFIXES = "BGP up, no prefixes"


@dataclass(frozen=True)
class Tunnel:
    """A tunnel as it is planned. peer, local: outside addresses, local as the gateway has it.

    inside_address, peer_inside_address: None where a static connection has none. bgp: whether there is a session.
    announces, accepts: whether prefixes are to go out and to come in by it.
    """

    name: str
    connection: str
    peer: str
    local: str
    inside_address: str | None
    peer_inside_address: str | None
    bgp: bool
    announces: bool
    accepts: bool

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Tunnel:
        return cls(**{item.name: content[item.name] for item in fields(cls)})


@dataclass(frozen=True)
class Found:
    """What a look at a host found of a tunnel.

    ipsec_error: why nothing is known of IPsec, "" where something is. running: whether there is a daemon to have SAs.
    configured: whether the daemon knows the tunnel; None where that was not asked. own_interface: whether there must be
    one for this tunnel. bgp_error: why nothing is known of BGP. bgp: None where the daemon has no such neighbour.
    """

    ipsec: Ipsec = field(default_factory=Ipsec)
    ipsec_error: str = ""
    running: bool = True
    configured: bool | None = None
    own_interface: bool = True
    interface: Interface | None = None
    bgp: Bgp | None = None
    bgp_error: str = ""


def of(tunnel: Tunnel, found: Found) -> tuple[str, str]:
    """(verdict, reason); the reason is "" for UP."""
    for judge in (_ipsec, _interface, _bgp):
        verdict = judge(tunnel, found)
        if verdict is not None:
            return verdict
    return UP, ""


def _ipsec(tunnel: Tunnel, found: Found) -> tuple[str, str] | None:
    if found.ipsec_error:
        return (UNKNOWN if found.running else IPSEC_DOWN), found.ipsec_error
    ike, esp = found.ipsec.ike, found.ipsec.esp
    # IKEv1 lets an IKE SA end before the ESP SAs that it made.
    if esp is not None and esp.up:
        return None
    if ike is not None and ike.up:
        return ESP_DOWN, f"ESP is {esp.state}" if esp is not None else "there is no ESP SA"
    if found.configured is False:
        return NOT_CONFIGURED, "the daemon does not know the tunnel"
    if ike is None:
        return IPSEC_DOWN, "there is no IKE SA, and the daemon is not making one"
    silent = "" if ike.answered else f", {tunnel.peer} has not answered"
    return IPSEC_DOWN, f"IKE is {ike.state}{silent}"


def _interface(tunnel: Tunnel, found: Found) -> tuple[str, str] | None:
    if found.interface is None:
        if found.own_interface:
            return NO_INTERFACE, f"there is no interface {tunnel.name}"
        if tunnel.inside_address is not None:
            return NO_INTERFACE, f"no interface has {tunnel.inside_address}"
        return None
    name = found.interface.name
    if not found.interface.up:
        return INTERFACE_DOWN, f"{name} is not up"
    if tunnel.inside_address is not None and not any(
        address.partition("/")[0] == tunnel.inside_address for address in found.interface.addresses
    ):
        return INTERFACE_DOWN, f"{name} does not have {tunnel.inside_address}"
    return None


def _bgp(tunnel: Tunnel, found: Found) -> tuple[str, str] | None:
    if not tunnel.bgp:
        return None
    if found.bgp_error:
        return BGP_DOWN, found.bgp_error
    bgp = found.bgp
    if bgp is None:
        return BGP_DOWN, f"the daemon has no neighbor {tunnel.peer_inside_address}"
    if not bgp.up:
        return BGP_DOWN, f"{bgp.state}, {bgp.reason or f'no session with {tunnel.peer_inside_address} yet'}"
    if bgp.unfiltered:
        return NO_PREFIXES, f"no policy for the way {' and '.join(bgp.unfiltered)}: nothing passes"
    if tunnel.accepts and bgp.accepted_count == 0:
        return NO_PREFIXES, _refused(bgp)
    if tunnel.announces and bgp.advertised_count == 0:
        return NO_PREFIXES, "none is announced"
    return None


def _refused(bgp: Bgp) -> str:
    if not bgp.received_count:
        return "the peer announces none"
    return f"of {bgp.received_count} that the peer announces, none is accepted"
