# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of nft as a state has it, and what both of our tables say: see _kernel/nft.py."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import Groups, Outer
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import destination

TYPES = {4: "ipv4_addr", 6: "ipv6_addr"}
IP = {4: "ip", 6: "ip6"}
# Multicast groups of VRRP.
VRRP = {4: "224.0.0.18", 6: "ff02::12"}
# What keeps a network up, from senders on the link only: ND and MLD die at the first hop.
ND = "ip6 hoplimit 255 icmpv6 type 133-136"
MLD = "ip6 hoplimit 1 icmpv6 type { 130, 131, 132, 143 }"
IGMP = "ip daddr 224.0.0.0/4 meta l4proto 2"
DHCP = {
    4: ("udp sport 68 udp dport 67", "udp sport 67 udp dport 68"),
    6: ("udp sport 546 udp dport 547", "udp sport 547 udp dport 546"),
}

Key = TypeVar("Key", bound=Hashable)


class Table:
    """Collects a table. state: its keys and values."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = {name: "table"}

    def chain(self, name: str, *rules: str) -> None:
        self.state[f"{self.name} chain {name}"] = "\n".join(rules)

    def base(self, name: str, hook: str, priority: int, *rules: str) -> None:
        """A chain at a hook, which lets pass what its rules do not drop."""
        self.chain(name, f"type filter hook {hook} priority {priority}; policy accept;", *rules)

    def map(self, name: str, key: str, elements: Mapping[str, str], interval: bool = False) -> None:
        """A map to verdicts. elements: verdict by key."""
        place = f"{self.name} map {name}"
        self.state[place] = f"type {key} : verdict" + ("; flags interval" if interval else "")
        self.state.update({f"{place} {element}": verdict for element, verdict in elements.items()})

    def set(self, name: str, key: str, elements: Iterable[str], interval: bool = False) -> None:
        place = f"{self.name} set {name}"
        self.state[place] = f"type {key}" + ("; flags interval" if interval else "")
        self.state.update(dict.fromkeys([f"{place} {element}" for element in elements], "element"))

    def addresses(self, name: str, found: Iterable[tuple[int, int]], nets: Iterable[Prefix]) -> dict[int, list[str]]:
        """Sets name4 and name6 of (family, address), and, where there are nets of a family, name4_nets.

        Gives the names of the sets by family.
        """
        words: dict[int, list[str]] = {4: [], 6: []}
        for family, address in found:
            words[family].append(format_address(family, address))
        spans: dict[int, list[str]] = {4: [], 6: []}
        for prefix in nets:
            spans[prefix.family].append(destination(prefix))
        names: dict[int, list[str]] = {}
        for family, key in TYPES.items():
            self.set(f"{name}{family}", key, words[family])
            names[family] = [f"@{name}{family}"]
            if spans[family]:
                self.set(f"{name}{family}_nets", key, spans[family], interval=True)
                names[family].append(f"@{name}{family}_nets")
        return names

    def outer(self, name: str, found: Iterable[Outer], side: str, verdict: Callable[[Groups], str]) -> list[str]:
        """Maps for networks of routers, where there are any; gives the rules that look into them."""
        elements: dict[tuple[int, bool], dict[str, str]] = {}
        for item in found:
            place = item.mac or f'"{item.bridge}"'
            words = elements.setdefault((item.prefix.family, bool(item.mac)), {})
            words[f"{place} . {destination(item.prefix)}"] = verdict(item.groups)
        rules = []
        for (family, mac), words in sorted(elements.items()):
            where = f"ether {side}" if mac else "iifname" if side == "saddr" else "oifname"
            place = f"{name}{family}_{'mac' if mac else 'via'}"
            self.map(place, f"{'ether_addr' if mac else 'ifname'} . {TYPES[family]}", words, interval=True)
            rules.append(f"{where} . {IP[family]} {side} vmap @{place}")
        return rules

    def verdicts(
        self,
        name: str,
        found: Mapping[int, Mapping[str, Key]],
        nets: Iterable[tuple[Prefix, Key]],
        verdict: Callable[[Key], str],
    ) -> dict[int, list[str]]:
        """The same for maps name4, name6 and so on. found: what verdict() is asked, by family and address."""
        spans: dict[int, dict[str, str]] = {4: {}, 6: {}}
        for prefix, value in nets:
            spans[prefix.family][destination(prefix)] = verdict(value)
        # Many addresses have few verdicts.
        known = {value: verdict(value) for words in found.values() for value in set(words.values())}
        names: dict[int, list[str]] = {}
        for family, key in TYPES.items():
            self.map(f"{name}{family}", key, {word: known[value] for word, value in found[family].items()})
            names[family] = [f"@{name}{family}"]
            if spans[family]:
                self.map(f"{name}{family}_nets", key, spans[family], interval=True)
                names[family].append(f"@{name}{family}_nets")
        return names
