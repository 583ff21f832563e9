# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of vpn_status: what was found, with times that people can compare with logs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon import verdict
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import TIME, Bgp, Esp, Ike
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.verdict import Found, Tunnel
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.interfaces import Interface

NONE = "none"


def of(tunnels: tuple[Tunnel, ...], found: Mapping[str, Found], now: float) -> dict[str, Any]:
    """{up, tunnels}; now: seconds since 1970."""
    rows = [_row(tunnel, found[tunnel.name], now) for tunnel in tunnels]
    return {"up": all(row["up"] for row in rows), "tunnels": rows}


def _row(tunnel: Tunnel, found: Found, now: float) -> dict[str, Any]:
    text, reason = verdict.of(tunnel, found)
    return {
        "name": tunnel.name,
        "connection": tunnel.connection,
        "peer": tunnel.peer,
        "interface": _interface(tunnel, found.interface),
        "ike": _ike(found.ipsec.ike, now),
        "esp": _esp(found.ipsec.esp, now),
        "bgp": _bgp(tunnel, found.bgp, now) if tunnel.bgp else None,
        "up": text == verdict.UP,
        "verdict": text,
        "reason": reason,
    }


def _interface(tunnel: Tunnel, link: Interface | None) -> dict[str, Any]:
    if link is None:
        return {"name": None, "present": False, "up": False, "mtu": None, "address": None}
    mine = [text for text in link.addresses if text.partition("/")[0] == tunnel.inside_address]
    address = next(iter([*mine, *link.addresses]), None)
    return {"name": link.name, "present": True, "up": link.up, "mtu": link.mtu, "address": address}


def _ike(ike: Ike | None, now: float) -> dict[str, Any]:
    ike = ike or Ike(NONE, False)
    seconds = ike.seconds
    if ike.created is not None:
        seconds = max(0, int(now - time.mktime(time.strptime(ike.created, TIME))))
    return {"state": ike.state, "version": ike.version, **_since(seconds, now), "proposal": ike.proposal}


def _esp(esp: Esp | None, now: float) -> dict[str, Any]:
    esp = esp or Esp(NONE, False)
    return {
        "state": esp.state,
        **_since(esp.seconds, now),
        "bytes_in": esp.bytes_in,
        "packets_in": esp.packets_in,
        "bytes_out": esp.bytes_out,
        "packets_out": esp.packets_out,
        "proposal": esp.proposal,
    }


def _bgp(tunnel: Tunnel, bgp: Bgp | None, now: float) -> dict[str, Any]:
    bgp = bgp or Bgp(NONE)
    return {
        "neighbor": tunnel.peer_inside_address,
        "state": bgp.state,
        **_since(bgp.seconds if bgp.up else None, now),
        "hold_time": bgp.hold,
        "keepalive": bgp.keepalive,
        "last_reset": bgp.reason,
        "received": list(bgp.received or ()),
        "received_count": bgp.received_count,
        "accepted": list(bgp.accepted or ()),
        "accepted_count": bgp.accepted_count,
        "advertised": list(bgp.advertised or ()),
        "advertised_count": bgp.advertised_count,
    }


def _since(seconds: int | None, now: float) -> dict[str, Any]:
    if seconds is None:
        return {"since": None, "seconds": None}
    moment = datetime.fromtimestamp(int(now) - seconds, timezone.utc)
    return {"since": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "seconds": seconds}
