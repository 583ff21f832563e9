# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals: whether whoever is refused gets to know it."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import DROP, ICMP, ICMPV6, REJECT, TCP
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter.match import Packet
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.journey import Journey, Stop
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import GUEST, Nic

# Protocol, type and code of "port unreachable".
_REFUSED = {4: (ICMP, 3, 3), 6: (ICMPV6, 1, 4)}


class Refusals(Journey):
    """The way back of a refusal."""

    def told(self, stop: Stop) -> str:
        """The verdict of a stop. Whoever has stateless groups or an ACL may not get to know that it is refused."""
        if stop.verdict != REJECT or self.source.kind != GUEST:
            return stop.verdict
        nic, target = self.own(self.source.nic), self.target.nic
        host = nic.hypervisor if target is None or self.judged is target else target.hypervisor
        if self.protocol == TCP and host == nic.hypervisor and (nic.network, host) in self.world.netfiltered:
            # To where br_netfilter has the packet from, the kernel sends the reset without asking anybody.
            return REJECT
        try:
            for packet in self.refusals(self.address, self.asker(host, nic), self.source_address):
                self.received(nic, packet, "the refusal: ")
        except Stop as lost:
            self.steps.append(f"{lost.reason} ({lost.path})")
            return DROP
        return REJECT

    def asker(self, name: str, nic: Nic) -> int | None:
        """The address from which a host of ours speaks to a guest; None where it has none that is answered."""
        underlay, network = self.world.underlay(name, self.family), self.world.networks[nic.network]
        if nic.hypervisor != name or network["flat"]:
            return underlay
        local = network["bridge_address"] if self.family == 4 else network["guests_get"]["bridge_address6"]
        # Without an address of a wider scope, it asks from that of the bridge.
        gateway = parse_address(6, identity.GATEWAY6)
        return parse_address(self.family, local) if local else underlay if underlay is not None else gateway

    def refusals(self, asked: int | None, host: int | None, asker: int | None) -> Sequence[Packet]:
        """What tells who asks that it is refused: a reset from who was asked, or an ICMP error from the host."""
        if self.protocol == TCP:
            return self.answers(asked, asker)
        protocol, number, code = _REFUSED[self.family]
        return [Packet(self.family, host or 0, asker or 0, protocol, 0, 0, number, code)]
