# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is logged of packets that security groups drop, in nft: who, in which direction, by which groups, and why.

nft can print only what a rule says literally, so a guest has a chain with a line for each reason. Packets come there on
their way to be dropped only, with the number of the reason as their mark.
"""

from __future__ import annotations

from hashlib import sha256

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.security_group import SecurityGroup
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.nftables_table import IP, Table
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import Endpoint, HostPolicy, rules_of

_WORDS = {"in": "ingress", "out": "egress"}
_LIMIT = "limit rate 5/second burst 10 packets"
# Of the kernel (linux/netfilter/nf_log.h), with the zero at the end.
_PREFIX = 127


class Log:
    """numbers: of the groups here, in the upper half of the marks; empty where nobody wants a log."""

    def __init__(self, policy: HostPolicy) -> None:
        self.policy = policy
        self.guests = [item for item in policy.endpoints if item.logged]
        self.numbers = _numbers(policy.groups) if self.guests else {}

    def mark(self, group: str = "", index: int = -1) -> str:
        """Statement that remembers which rule drops the packet; without one, that none accepted it."""
        if not self.guests:
            return ""
        return f"meta mark set {self._number(group, index):#010x} "

    def lookups(self, table: Table, way: str, own: str) -> list[str]:
        """Rules that log a packet with such a mark for the guest whose address stands where own says."""
        if not self.guests:
            return []
        found: dict[int, dict[str, str]] = {4: {}, 6: {}}
        nets: list[tuple[Prefix, str]] = []
        judged = self.policy.nets()
        for item in self.guests:
            name = f"log_{way}_{item.guest}.{item.number}"
            table.chain(name, *self._lines(item, way), "return")
            for family, address in item.addresses:
                found[family].setdefault(format_address(family, address), name)
            nets += [(net, name) for net, _groups in judged if any(net.overlaps(inner) for inner in item.inner)]
        names = table.verdicts(f"log_{way}", found, nets, lambda name: f"jump {name}")
        return [f"{IP[family]} {own} vmap {name}" for family in IP for name in names[family]]

    def _number(self, group: str, index: int) -> int:
        return self.numbers[group] << 16 | index + 1 if group else 0

    def _lines(self, item: Endpoint, way: str) -> list[str]:
        lines = []
        for group in item.groups:
            for index, rule in enumerate(rules_of(self.policy.groups[group], way) or ()):
                if rule.action != ACCEPT:
                    reason = f"{group} {_WORDS[way]}[{index}] {rule.action}"
                    lines.append(self._line(item, way, self._number(group, index), reason))
        return [*lines, self._line(item, way, 0, "no rule")]

    @staticmethod
    def _line(item: Endpoint, way: str, number: int, reason: str) -> str:
        head, tail = f"plainlinux.vpc {item.guest} {_WORDS[way]} ", f": {reason}: "
        groups = " ".join(item.groups)
        room = _PREFIX - len(head) - len(tail)
        if len(groups) > room:
            groups = f"{groups[: room - 3]}..."
        return f'meta mark {number:#010x} {_LIMIT} log prefix "{head}{groups}{tail}"'


def _numbers(groups: dict[str, SecurityGroup]) -> dict[str, int]:
    """A number for each group that follows from its name, so that another group changes none."""
    numbers: dict[str, int] = {}
    taken = {0}
    for name in sorted(groups):
        number = int.from_bytes(sha256(name.encode()).digest()[:2], "big") & 0x7FFF
        while number in taken:
            number = (number + 1) & 0x7FFF
        numbers[name] = number
        taken.add(number)
    return numbers
