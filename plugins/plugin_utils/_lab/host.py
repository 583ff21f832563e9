# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host: its cables, its addresses, and what is written on its disk before it boots. Pure.

Everything is plain data that survives JSON, because the supervisors of the hosts are programs of their own.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .flat import INTERFACE_MAX, Bridge

SWITCH = "switch"


class Cable(NamedTuple):
    """To a host from a bridge in the underlay's namespace, by default the switch that all hosts share.

    port: its end at the bridge; name and mac: the host's end.
    """

    port: str
    name: str
    mac: str
    bridge: str = SWITCH


class File(NamedTuple):
    """A file on a host's disk, written at every boot. path: without the first slash. No file here has a secret."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Host:
    """A lab host. addresses: on the underlay, with prefix lengths. gateways: next hops of the default routes.

    card: its network card, with its MAC and the switch's port for it. bridges: those of flat networks; where one has
    the card as its uplink, it has the addresses too. wires and files: all cables and all configuration of a machine of
    somebody else, as the other end of a VPN; it has neither addresses nor gateways here.
    """

    name: str
    netns: str
    port: str
    mac: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    card: str = "eth0"
    bridges: tuple[Bridge, ...] = ()
    wires: tuple[Cable, ...] = ()
    files: tuple[File, ...] = ()

    @property
    def interface(self) -> str:
        """The interface that has the underlay addresses."""
        return next((bridge.name for bridge in self.bridges if bridge.uplink == self.card), self.card)

    @property
    def cables(self) -> tuple[Cable, ...]:
        """All its cables, that of the network card first."""
        others = [Cable(its.port, its.uplink, its.mac) for its in self.bridges if its.port and its.uplink]
        return self.wires or (Cable(self.port, self.card, self.mac), *others)


def host_from_json(data: Mapping[str, Any]) -> Host:
    """The inverse of `topology.to_json` for a host."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    values["bridges"] = tuple(Bridge(**bridge) for bridge in values["bridges"])
    values["wires"] = tuple(Cable(*wire) for wire in values["wires"])
    values["files"] = tuple(File(*file) for file in values["files"])
    return Host(**values)


def link_local(address: str) -> str:
    """The IPv6 link-local address that has an IPv4 address embedded: 192.168.56.103 -> fe80::c0a8:3867."""
    return str(ipaddress.IPv6Address((0xFE80 << 112) | int(ipaddress.IPv4Address(address))))


def nic_mac(*names: str) -> str:
    """A locally administered MAC address that is always the same for the same names."""
    digest = hashlib.sha256("/".join(names).encode()).hexdigest()
    return ":".join(["02", *(digest[index : index + 2] for index in range(0, 10, 2))])


def port_name(host: str, uplink: str = "") -> str:
    """Name of the underlay switch's port for a host, or for an uplink of it; a digest stands for one that is too long.

    No name of a host has a tilde.
    """
    what = f"{host}~{uplink}" if uplink else host
    name = f"p-{what}"
    return name if len(name) <= INTERFACE_MAX else f"p-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
