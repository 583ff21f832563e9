# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tunnels: the addresses of both ends, and what is negotiated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_ipv4,
    parse_ipv4,
    parse_prefix,
    special,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, kind
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Tunnel
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_crypto import read_dpd, read_esp, read_ike
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_psk import read_reference

_KEYS = frozenset(
    (
        "outside_address",
        "local_address",
        "peer_outside_address",
        "inside_cidr",
        "inside_address",
        "peer_inside_address",
        "psk",
        "psk_variable",
        "ike",
        "esp",
        "dpd",
    )
)
_REQUIRED = frozenset(("outside_address", "peer_outside_address"))
_INSIDE = parse_prefix(4, "169.254.0.0/16")
_INSIDE_ALLOWED = f"a /30 of {_INSIDE.text}"
# AWS keeps these for itself; the last has its time and metadata services.
_RESERVED = frozenset(
    parse_prefix(4, text) for text in (*(f"169.254.{third}.0/30" for third in range(6)), "169.254.169.252/30")
)


def read_tunnel(report: Report, path: str, value: Any, name: str, number: int, bgp: bool) -> Tunnel | None:
    """Read one tunnel by itself; None where something was reported. name: that of the connection."""
    before = len(report.errors)
    if not isinstance(value, Mapping):
        # Not shown: it may be a key.
        report.add(path, f"{kind(value)} is not allowed; a mapping is needed")
        return None
    item = fields.mapping(report, path, value, _KEYS, _REQUIRED)
    if item is None:
        return None
    outside = _outside(report, path, item, "outside_address")
    local = _outside(report, path, item, "local_address")
    peer = _outside(report, path, item, "peer_outside_address")
    for key, address in (("outside_address", outside), ("local_address", local)):
        if address is not None and address == peer:
            report.add(f"{path}.peer_outside_address", f"{address} is the {key} as well")
    inside, address, peer_address = _inside(report, path, item, bgp)
    psk_variable = read_reference(report, path, item)
    ike = read_ike(report, path, item)
    esp = read_esp(report, path, item, ike)
    dpd = read_dpd(report, path, item)
    if outside is None or peer is None or len(report.errors) > before:
        return None
    return Tunnel(
        path,
        f"{name}-{number}",
        number,
        outside,
        local or outside,
        peer,
        inside,
        address,
        peer_address,
        psk_variable,
        ike,
        esp,
        dpd,
    )


def _outside(report: Report, path: str, item: Mapping[str, Any], key: str) -> str | None:
    address = fields.address(report, path, item, key, parse_ipv4)
    if address is None:
        return None
    text = format_ipv4(address)
    meaning = special(Prefix(4, address, 32))
    if meaning:
        report.add(f"{path}.{key}", f"{text} is in {meaning}: a unicast address is needed")
        return None
    return text


def _inside(
    report: Report, path: str, item: Mapping[str, Any], bgp: bool
) -> tuple[Prefix | None, str | None, str | None]:
    """(inside CIDR, our address, the peer's): AWS takes the first, unless something else is written."""
    cidr = _inside_cidr(report, path, item)
    chosen: list[int | None] = []
    for offset, key in ((2, "inside_address"), (1, "peer_inside_address")):
        address = fields.address(report, path, item, key, parse_ipv4)
        if address is not None and cidr is not None and address not in (cidr.base + 1, cidr.base + 2):
            one, two = format_ipv4(cidr.base + 1), format_ipv4(cidr.base + 2)
            report.add(f"{path}.{key}", f"{format_ipv4(address)} is not allowed in {cidr.text}: {one} or {two}")
            address = None
        elif key in item and "inside_cidr" not in item:
            report.add(f"{path}.{key}", "needs inside_cidr")
        chosen.append(address)
        if cidr is not None and key not in item:
            chosen[-1] = cidr.base + offset
    ours, theirs = chosen
    if cidr is not None and ours is not None and ours == theirs:
        other = cidr.base + 3 - (ours - cidr.base)
        if "inside_address" in item and "peer_inside_address" in item:
            report.add(f"{path}.peer_inside_address", f"{format_ipv4(theirs)} is the inside_address as well")
        elif "inside_address" in item:
            theirs = other
        else:
            ours = other
    if bgp and "inside_cidr" not in item:
        report.add(f"{path}.inside_cidr", "is missing: BGP needs it")
    if cidr is None or ours is None or theirs is None:
        return None, None, None
    return cidr, format_ipv4(ours), format_ipv4(theirs)


def _inside_cidr(report: Report, path: str, item: Mapping[str, Any]) -> Prefix | None:
    cidr = fields.prefix(report, path, item, "inside_cidr", 4)
    if cidr is None:
        return None
    if cidr.length != 30 or not _INSIDE.contains(cidr.base):
        report.add(f"{path}.inside_cidr", f"{cidr.text} is not allowed: {_INSIDE_ALLOWED}")
        return None
    if cidr in _RESERVED:
        report.add(f"{path}.inside_cidr", f"{cidr.text} is not allowed: AWS reserves it")
        return None
    return cidr
