# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public IPv4 addresses of all features: each has one use, and none is anybody's else."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    format_ipv4,
    parse_ipv4,
    special,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import Hosts
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import SECTION, Networks
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.public import FORWARDS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Connection

# Of a range: the router has each of them by itself.
MOST = 1024


class _Use(NamedTuple):
    """first, last: addresses. path: where they stand. user: who has them."""

    first: int
    last: int
    path: str
    user: str


class Space:
    """What public addresses must not be: inside a network, a host's, of the other side of a VPN, or of two features."""

    def __init__(self, hosts: Hosts, networks: Networks, connections: Iterable[Connection]) -> None:
        # Networks do not overlap, or the model is refused anyway.
        self.prefixes = sorted(networks.prefixes[4])
        self.hosts = sorted(hosts.underlay[4])
        self.remote = [use for connection in connections for use in _remote(connection)]
        self.uses: list[_Use] = []
        self.single: dict[int, _Use] = {}

    def take(self, report: Report, path: str, addresses: tuple[int, int], user: str) -> None:
        """Reserve addresses (first, last), and report what is against it. user: FORWARDS for all forwards."""
        first, last = addresses
        text = _text(first, last)
        meaning = special(Prefix(4, first, 32)) or special(Prefix(4, last, 32))
        if meaning:
            report.add(path, f"{text} is not allowed: it is in {meaning}")
        at = bisect_right(self.prefixes, (Prefix(4, last, 33), 0)) - 1
        if at >= 0 and self.prefixes[at][0].last >= first:
            prefix, index = self.prefixes[at]
            report.add(path, f"{text} is inside {SECTION}[{index}].cidr {prefix.text}")
        near = bisect_left(self.hosts, (first, ""))
        if near < len(self.hosts) and self.hosts[near][0] <= last:
            hint = ": leave address out for the router's own" if user == FORWARDS else ""
            report.add(path, f"{text} is {'' if first == last else 'not free: it has '}{self.hosts[near][1]}{hint}")
        behind = next((use for use in self.remote if use.first <= last and first <= use.last), None)
        if behind is not None:
            report.add(path, f"{text} is of the other side of a VPN: {behind.path} {behind.user}")
        use = _Use(first, last, path, user)
        other = self._other(use)
        if other is not None:
            told = "" if (other.first, other.last) == (first, last) else f" {_text(other.first, other.last)}"
            report.add(path, f"{text} is already used by {other.path}{told}")
            return
        if first == last:
            self.single.setdefault(first, use)
        else:
            self.uses.append(use)

    def _other(self, use: _Use) -> _Use | None:
        """An earlier use by somebody else."""
        if use.first == use.last:
            found = self.single.get(use.first)
            if found is not None:
                return found if found.user != use.user else None
        else:
            for address in range(use.first, use.last + 1):
                if address in self.single:
                    return self.single[address]
        return next((other for other in self.uses if other.first <= use.last and use.first <= other.last), None)


def _remote(connection: Connection) -> list[_Use]:
    """What is at, or in the tunnels to, the other side. user: the text of the address or network."""
    key = "accept" if connection.bgp is not None else "static_routes"
    found = [
        _Use(prefix.first, prefix.last, f"{connection.path}.{key}", prefix.text)
        for prefix in connection.remote
        if prefix.length
    ]
    for tunnel in connection.tunnels:
        peer = parse_ipv4(tunnel.peer_outside_address)
        found.append(_Use(peer, peer, f"{tunnel.path}.peer_outside_address", tunnel.peer_outside_address))
        inside = tunnel.inside_cidr
        if inside is not None:
            found.append(_Use(inside.first, inside.last, f"{tunnel.path}.inside_cidr", inside.text))
    return found


def _text(first: int, last: int) -> str:
    return format_ipv4(first) if first == last else f"{format_ipv4(first)}-{format_ipv4(last)}"
