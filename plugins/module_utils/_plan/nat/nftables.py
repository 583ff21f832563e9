# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router's address translation in nftables: an address more is an element more of a map."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.public import HELPERS
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.isolation import FAMILIES, mapped, named, of_family
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.nat.translation import WORDS, Nat, Pool

# IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h: the target of the flow was translated.
TRANSLATED = "ct status 0x20"
_ADDRESSES = "type ipv4_addr; flags interval"
_PREROUTING = """\
type nat hook prerouting priority -100; policy accept;
dnat ip to ip daddr . meta l4proto . th dport map @target_port
dnat ip to ip daddr map @target_one"""
_SERVICES = "type ipv4_addr . inet_proto . inet_service"


def add(state: dict[str, str], table: str, nat: Nat, families: tuple[int, ...]) -> None:
    """Add what translates. families: those with a set of what belongs to VPCs, `internal4` and `internal6`."""
    rules = ["type nat hook postrouting priority 100; policy accept;"]
    for family, word in FAMILIES:
        if family not in families:
            continue
        named(
            state, table, f"nat{family}", f"type ipv{family}_addr; flags interval", of_family(nat.nat[family], family)
        )
        if family == 4 and nat.own_rules:
            named(state, table, "inside", _ADDRESSES, of_family(nat.inside, 4))
            # Their answers could miss the router.
            rules += [f"ip saddr @inside {TRANSLATED} goto shown", "ip daddr != @internal4 goto shown"]
            _shown(state, table, nat)
            _targets(state, table, nat)
        else:
            rules.append(f"{word} saddr @nat{family} {word} daddr != @internal{family} masquerade")
    state[f"{table} chain postrouting"] = "\n".join(rules)
    if nat.helpers:
        _helpers(state, table, nat)


def refusals(state: dict[str, str], table: str, nat: Nat) -> list[str]:
    """The rules for input; adds the set that they use."""
    if not nat.own:
        return []
    named(state, table, "public", _ADDRESSES, of_family(nat.own, 4))
    return ["ip daddr @public meta l4proto != 1 drop"]


def _shown(state: dict[str, str], table: str, nat: Nat) -> None:
    """The chain of what gets another source address."""
    mapped(state, table, "shown_one", "type ipv4_addr : ipv4_addr", {guest: own for own, guest in nat.one.items()})
    pools = {network: _range(pool) for pool in nat.pools for network in of_family(pool.networks, 4)}
    mapped(state, table, "shown_pool", "type ipv4_addr : interval ipv4_addr; flags interval", pools)
    state[f"{table} chain shown"] = "\n".join(
        [
            "snat ip to ip saddr map @shown_one",
            # Persistent: a guest keeps its address, which some protocols expect.
            "snat ip to ip saddr map @shown_pool persistent",
            # Not masqueraded: that would take the address of the interface that it goes out of, maybe a bridge.
            f"ip saddr @inside {TRANSLATED} snat ip to {nat.router}",
            "ip saddr @nat4 masquerade",
        ]
    )


def _targets(state: dict[str, str], table: str, nat: Nat) -> None:
    mapped(state, table, "target_one", "type ipv4_addr : ipv4_addr", nat.one)
    # A rule that shifts a range of ports would be one for each; no map can.
    ports = {
        f"{forward.address} . {forward.protocol} . {port}": f"{forward.guest} . {forward.to + port - forward.first}"
        for forward in nat.forwards
        for port in range(forward.first, forward.last + 1)
    }
    mapped(state, table, "target_port", f"{_SERVICES} : ipv4_addr . inet_service", ports)
    state[f"{table} chain prerouting"] = _PREROUTING


def _helpers(state: dict[str, str], table: str, nat: Nat) -> None:
    # Before the target is translated: a flow that gets its helper later can have no TCP sequence numbers adjusted.
    rules = ["type filter hook prerouting priority -150; policy accept;"]
    for helper, networks in nat.helpers.items():
        protocol, port = HELPERS[helper]
        word = WORDS[protocol]
        state[f"{table} ct helper {helper}"] = f'type "{helper}" protocol {word}; l3proto ip'
        named(state, table, f"from_{helper}", _ADDRESSES, of_family(networks, 4))
        services = [f"{address} . {number} . {outside}" for address, number, outside in nat.helped(helper)]
        named(state, table, f"at_{helper}", _SERVICES, services)
        then = f'ct helper set "{helper}"'
        rules += [
            f"ip saddr @from_{helper} ip daddr != @internal4 {word} dport {port} {then}",
            f"ip daddr . meta l4proto . th dport @at_{helper} {then}",
        ]
    state[f"{table} chain helpers"] = "\n".join(rules)


def _range(pool: Pool) -> str:
    """As nft prints a range of addresses: as a network where it is one."""
    first, last = parse_ipv4(pool.first), parse_ipv4(pool.last)
    size = last - first + 1
    if size & (size - 1) == 0 and first % size == 0:
        return Prefix(4, first, 33 - size.bit_length()).text
    return f"{pool.first}-{pool.last}"
