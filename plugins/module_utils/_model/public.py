# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public IPv4 addresses on the router: vpc_public_addresses, vpc_port_forwards, vpc_nat_pools."""

from __future__ import annotations

from dataclasses import dataclass, field

ADDRESSES = "vpc_public_addresses"
FORWARDS = "vpc_port_forwards"
POOLS = "vpc_nat_pools"
# Protocols that carry addresses in their payload: helper -> (IP protocol, port).
HELPERS = {"ftp": (6, 21), "sip": (17, 5060), "tftp": (17, 69), "irc": (6, 6667)}


@dataclass(frozen=True)
class PublicAddress:
    """A 1:1 address. address: integer. instance, number: the interface that has it."""

    path: str = field(compare=False)
    address: int
    instance: str
    number: int


@dataclass(frozen=True)
class PortForward:
    """Ports (first, last) of a public address (None: the router's own) that lead to a guest.

    to_port: where the first of them leads. helper: of HELPERS, or None.
    """

    path: str = field(compare=False)
    address: int | None
    protocol: int
    ports: tuple[int, int]
    instance: str
    number: int
    to_port: int
    helper: str | None = None


@dataclass(frozen=True)
class NatPool:
    """Addresses (first, last) behind which networks with `nat` reach the internet, in place of the router's own."""

    path: str = field(compare=False)
    name: str
    addresses: tuple[int, int]
    networks: tuple[str, ...]
