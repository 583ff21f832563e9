# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that keep segments apart: on routers by the source's address, on hypervisors by the guests' bridge.

Reach is symmetric, so replies need no memory. A network more of a VPC that is there already changes sets and maps. A
hypervisor repeats what the router does: a packet that got to it by any other way reaches no guest of another VPC, and
a guest's own is not sent out. There is nothing to do, and no rule, where all networks are one segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import destination
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import Scope
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.segments import Segment, Segments

FAMILIES = ((4, "ip"), (6, "ip6"))


def of_family(prefixes: Iterable[Prefix], family: int) -> list[str]:
    """Prefixes of one family as nft and ipset print them: without the length of a single address."""
    return [destination(prefix) for prefix in prefixes if prefix.family == family]


# nftables


def named(state: dict[str, str], table: str, name: str, header: str, elements: Iterable[str]) -> None:
    """Add a set."""
    state[f"{table} set {name}"] = header
    state.update({f"{table} set {name} {element}": "element" for element in elements})


def mapped(state: dict[str, str], table: str, name: str, header: str, elements: Mapping[str, str]) -> None:
    """Add a map."""
    state[f"{table} map {name}"] = header
    state.update({f"{table} map {name} {key}": value for key, value in elements.items()})


def internal(state: dict[str, str], table: str, segments: Segments) -> None:
    """Add the sets of what belongs to VPCs."""
    for family in segments.families():
        header = f"type ipv{family}_addr; flags interval"
        named(state, table, f"internal{family}", header, of_family(segments.internal, family))


def router_rules(state: dict[str, str], table: str, segments: Segments) -> list[str]:
    """Add chains, sets and maps; gives the rules for forward and input, none where nobody is kept apart."""
    if not segments.apart:
        return []
    rules = []
    for part in segments.parts:
        _chain(state, table, segments, part, "sent", "daddr")
    for family, word in FAMILIES:
        if family in segments.families():
            elements = {
                source: f"jump sent_{part.name}"
                for part in segments.parts
                for source in of_family(part.sources, family)
            }
            mapped(state, table, f"from{family}", f"type ipv{family}_addr : verdict; flags interval", elements)
            rules.append(f"{word} saddr vmap @from{family}")
    return rules


def bridge_rules(
    state: dict[str, str], table: str, segments: Segments, bridges: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Add chains, sets and maps; gives the rules for what comes from bridges, and for what goes to them.

    bridges: segment of each bridge, by name.
    """
    if not segments.apart or not bridges:
        return [], []
    internal(state, table, segments)
    local = set(bridges.values())
    for part in segments.parts:
        if part.name in local:
            _chain(state, table, segments, part, "sent", "daddr")
            _chain(state, table, segments, part, "got", "saddr")
    for name, chain in (("from", "sent"), ("to", "got")):
        elements = {f'"{bridge}"': f"jump {chain}_{part}" for bridge, part in bridges.items()}
        mapped(state, table, name, "type ifname : verdict", elements)
    return ["iifname vmap @from"], ["oifname vmap @to"]


def _chain(state: dict[str, str], table: str, segments: Segments, part: Segment, start: str, end: str) -> None:
    """A chain for packets of which one end is in the segment: dropped where it does not reach the other one."""
    rules = []
    for family, word in FAMILIES:
        if family in segments.families():
            name = f"reach{family}_{part.name}"
            named(state, table, name, f"type ipv{family}_addr; flags interval", of_family(part.reach, family))
            rules += [f"{word} {end} @{name} return", f"{word} {end} @internal{family} drop"]
    state[f"{table} chain {start}_{part.name}"] = "\n".join(rules)


# iptables. A set has no verdicts: one rule for each segment, or bridge, that only packets to networks of VPCs get to.


class Sets:
    """Sets of a scope."""

    def __init__(self, scope: Scope) -> None:
        self.start = scope.prefix
        self.state: dict[str, str] = {}

    def add(self, name: str, header: str, members: Iterable[str]) -> str:
        """Add a set and give its whole name."""
        full = f"{self.start}{name}"
        self.state[full] = header
        self.state.update({f"{full} {member}": "member" for member in members})
        return full

    def prefixes(self, name: str, family: int, prefixes: Iterable[Prefix]) -> str:
        header = f"hash:net family {'inet' if family == 4 else 'inet6'}"
        return self.add(name, header, of_family(prefixes, family))


def router_matches(sets: Sets, segments: Segments, family: int, everything: str) -> list[str]:
    """The rules for forward and input. everything: name of the set of what belongs to VPCs."""
    if not segments.apart:
        return []
    rules = [f"-m set ! --match-set {everything} dst -j RETURN"]
    for part in segments.parts:
        source = sets.prefixes(f"of{family}-{part.name}", family, part.sources)
        reach = sets.prefixes(f"to{family}-{part.name}", family, part.reach)
        rules.append(f"-m set --match-set {source} src -m set ! --match-set {reach} dst -j DROP")
    return rules


def bridge_matches(
    sets: Sets, segments: Segments, family: int, bridges: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """The rules for what comes from bridges, and for what goes to them."""
    if not segments.apart or not bridges:
        return [], []
    everything = sets.prefixes(f"internal{family}", family, segments.internal)
    local = set(bridges.values())
    reach = {
        part.name: sets.prefixes(f"to{family}-{part.name}", family, part.reach)
        for part in segments.parts
        if part.name in local
    }
    sent = [f"-m set ! --match-set {everything} dst -j RETURN"]
    sent += [f"-i {bridge} -m set ! --match-set {reach[part]} dst -j DROP" for bridge, part in bridges.items()]
    got = [
        f"-o {bridge} -m set --match-set {everything} src -m set ! --match-set {reach[part]} src -j DROP"
        for bridge, part in bridges.items()
    ]
    return sent, got
