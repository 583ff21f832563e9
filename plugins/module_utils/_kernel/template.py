# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest's file says of a port, for one name of the port; the helper on the host reads the same in shell.

A file has lines of these forms, `@vif@` being the port's name:

| line | meaning |
|---|---|
| `# port FLAGS` | settings of the bridge port, as bridge(8) takes them |
| `add element TABLE SET { A, B }` | elements of nft; what names no port counts while the port's interface is there |
| `# 4 TAG RULE`, `# 6 TAG RULE` | a rule of iptables-restore for the place `@TAG@` of the family's chains |
| `# ipv6 LINE` | one of the above: counts where the guest's start named an address, which stands for `@address@`,
  as a whole number for `@number@`, its words of 32 bits for `@word1@` to `@word4@` |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from socket import AF_INET6, inet_pton

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import KernelError, State
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import VIF

_ADD = "add element "
_PORT = "# port "
_IPV6 = "# ipv6 "


@dataclass
class Bound:
    """What one port has: elements as nft's keys and values, rules as (family and tag, rule), flags of the port.

    local: elements that name no port: what no machine elsewhere may have while the port's interface is there.
    """

    elements: State = field(default_factory=dict)
    local: State = field(default_factory=dict)
    rules: list[tuple[str, str]] = field(default_factory=list)
    flags: str = ""


def bind(template: str, name: str, address: str = "") -> Bound:
    """A guest's file for the port that is called so. address: the IPv6 address that the guest's start named, or ""."""
    bound = Bound()
    for line in _lines(template.replace(VIF, name), address):
        if line.startswith(_ADD):
            family, table, space, texts = line[len(_ADD) :].split(" ", 3)
            elements = bound.elements if '"' in texts else bound.local
            for text in texts[2:-2].split(", "):
                key, colon, data = text.partition(" : ")
                kind = "map" if colon else "set"
                elements[f"{family} {table} {kind} {space} {key}"] = data if colon else "element"
        elif line.startswith(_PORT):
            bound.flags = line[len(_PORT) :]
        elif line.startswith("# "):
            family, tag, rule = line[2:].split(" ", 2)
            bound.rules.append((f"{family} {tag}", rule))
        else:
            raise KernelError(f"cannot read the line {line!r} of a guest's file")
    return bound


def _lines(text: str, address: str) -> Iterator[str]:
    values = _address_values(address) if address else []
    for line in text.splitlines():
        if not line.startswith(_IPV6):
            yield line
        elif address:
            line = line[len(_IPV6) :]
            for place, value in values:
                line = line.replace(place, value)
            yield line


def _address_values(address: str) -> list[tuple[str, str]]:
    # People write addresses in many ways; nft and iptables print one.
    number = int.from_bytes(inet_pton(AF_INET6, address), "big")
    words = [number >> shift & 0xFFFFFFFF for shift in (96, 64, 32, 0)]
    return [
        ("@address@", format_ipv6(number)),
        ("@number@", f"{number:#x}"),
        *((f"@word{place}@", f"{word:#x}") for place, word in enumerate(words, 1)),
    ]


def compose(family: str, chains: str, rules: Mapping[str, Sequence[str]]) -> State:
    """The chains of a family as the state of subsystem iptables. rules: by family and tag, in their order.

    chains: input of `iptables-restore --noflush`, in which lines `@TAG@` stand for the ports' rules.
    """
    found: dict[str, list[str]] = {}
    table = "filter"
    for line in chains.splitlines():
        if line.startswith("*"):
            table = line[1:]
        for text in rules.get(f"{family} {line[1:-1]}", ()) if line.startswith("@") else (line,):
            if text.startswith(":"):
                found.setdefault(f"{family} {table} {text[1:].split(' ', 1)[0]}", [])
            elif text.startswith("-A "):
                _append, chain, rule = text.split(" ", 2)
                found.setdefault(f"{family} {table} {chain}", []).append(rule)
    return {key: "\n".join(lines) for key, lines in found.items()}
