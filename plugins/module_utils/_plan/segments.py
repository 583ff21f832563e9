# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to whom by VPC and peering: classes of sources with equal reach.

| who | reaches |
|---|---|
| a network | the networks of its VPC, the networks behind its VPC's VPN connections, and what its peerings open to it |
| a network behind a VPN connection | the networks of the connection's VPC, and what is behind its other connections |

Reach is symmetric. It is not transitive: a peering leads to no third VPC, and to nobody's VPN connection. Flat networks
have no part in it: what they reach is decided by routers of others.

What is in no segment, such as the internet, reaches every network as far as this is concerned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, disjoint, without
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity


class Segment(NamedTuple):
    """Sources with equal reach. name: of chains and sets; it changes only with the VPC and its peerings.

    networks: names of those in it. sources: their prefixes, and those behind VPN connections, that are no others'.
    reach: the prefixes that they may talk to. Both are disjoint, in order, and of both families.
    """

    name: str
    networks: tuple[str, ...]
    sources: tuple[Prefix, ...]
    reach: tuple[Prefix, ...]


class Segments(NamedTuple):
    """internal: the prefixes of all networks and of all that is behind VPNs, disjoint and in order.

    parts: the segments in order of name. of: the name of each routed network's segment.
    """

    internal: tuple[Prefix, ...]
    parts: tuple[Segment, ...]
    of: dict[str, str]

    @property
    def apart(self) -> bool:
        """Whether there is anybody to keep apart."""
        return len(self.parts) > 1

    def families(self) -> tuple[int, ...]:
        return tuple(sorted({prefix.family for prefix in self.internal}))


def of_model(model: Model) -> Segments:
    """The segments of all VPCs."""
    vpcs = _Vpcs(model)
    taken = vpcs.prefixes(vpcs.keys)
    remotes: dict[str, list[Prefix]] = {}
    outside: list[Prefix] = []
    for connection in model.connections.values():
        for prefix in connection.remote:
            if prefix.length:
                outside.append(prefix)
                # It may be wide enough to have networks in it, which stay what they are.
                remotes.setdefault(connection.vpc, []).extend(without(prefix, taken))
    members: dict[_Key, list[str]] = {(vpc, ()): [] for vpc in remotes}
    for name, key in vpcs.keys.items():
        members.setdefault(key, []).append(name)
    parts: dict[str, Segment] = {}
    of: dict[str, str] = {}
    for key in sorted(members):
        vpc, peerings = key
        names, behind = members[key], remotes.get(vpc, [])
        sources = vpcs.prefixes(names)
        reach = [*vpcs.prefixes(vpcs.reached(vpc, peerings)), *behind]
        word = " ".join((vpc, *peerings))
        while identity.short(word) in parts:
            word += " "
        name = identity.short(word)
        of.update(dict.fromkeys(names, name))
        sources = [*sources, *behind] if not peerings else sources
        parts[name] = Segment(name, tuple(names), tuple(disjoint(sources)), tuple(disjoint(reach)))
    return Segments(tuple(disjoint([*taken, *outside])), tuple(parts[name] for name in sorted(parts)), of)


# What decides a network's reach: its VPC, and the names of its peerings in order.
_Key = tuple[str, tuple[str, ...]]


class _Vpcs:
    """keys: of each routed network, by name."""

    def __init__(self, model: Model) -> None:
        self._model = model
        peered: dict[str, list[str]] = {}
        for peering in sorted(model.peerings):
            for names in model.peerings[peering].networks:
                for name in names:
                    peered.setdefault(name, []).append(peering)
        self.keys: dict[str, _Key] = {}
        self._networks: dict[str, list[str]] = {}
        for network in model.networks.values():
            if not network.flat:
                self.keys[network.name] = (network.vpc, tuple(peered.get(network.name, ())))
                self._networks.setdefault(network.vpc, []).append(network.name)

    def reached(self, vpc: str, peerings: Iterable[str]) -> list[str]:
        """Names of the networks that a network of this VPC with these peerings reaches, in order."""
        found = set(self._networks.get(vpc, ()))
        for name in peerings:
            peering = self._model.peerings[name]
            found.update(peering.networks[1 if peering.vpcs[0] == vpc else 0])
        return sorted(found & self.keys.keys())

    def prefixes(self, names: Iterable[str]) -> list[Prefix]:
        networks = [self._model.networks[name] for name in names]
        return [prefix for network in networks for prefix in (network.cidr, network.cidr6) if prefix is not None]
