# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule of a packet filter, as security groups and network ACLs have it: what it matches, and what becomes of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix

ACCEPT, DROP, REJECT = ACTIONS = ("accept", "drop", "reject")
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
# Protocols with ports.
PORTS = (TCP, UDP, 132, 136)


class Peer(NamedTuple):
    """The other side of a packet. One of: prefix; list, a name of vpc_prefix_lists; group, of vpc_security_groups."""

    prefix: Prefix | None = None
    list: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule. path: where it was written; no part of its identity.

    protocol: IP protocol number, None for all. ports: (first, last) of destination ports, () for all. icmp: (type,
    code), code None for all, or None for every type. peers: any of them matches; () for anybody of both families. A
    rule with protocol ICMP is for IPv4 only, one with ICMPV6 for IPv6 only.
    """

    path: str = field(compare=False)
    action: str = ACCEPT
    protocol: int | None = None
    ports: tuple[tuple[int, int], ...] = ()
    icmp: tuple[int, int | None] | None = None
    peers: tuple[Peer, ...] = ()
