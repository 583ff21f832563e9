# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ending the live flows that a new policy no longer allows. Whoever changes rules only stops new ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import conntrack
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.conntrack import Flow
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, ICMP, ICMPV6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter.match import Packet, Policy

# Subsystems whose difference is a change of what passes.
FILTERS = ("ipset", "iptables", "nft")


class Flows:
    """The live flows of a host under a new policy, None where the slice has none."""

    def __init__(self, policy: Mapping[str, Any] | None, run: Callable[[Command], Output]) -> None:
        self._policy = policy
        self._run = run
        self._ended: list[Flow] = []

    def missing(self) -> str:
        """Why flows could not be ended here, "" if they can or nobody's have to be."""
        if not self._policy:
            return ""
        if self._run(Command((conntrack.PROGRAM, "--version"))).status != process.NOT_INSTALLED:
            return ""
        return f"{conntrack.PROGRAM} is not installed: flows that a changed rule no longer allows could not be ended"

    def end(self) -> list[str]:
        """End what the policy refuses, and let go on what was ended and is allowed again; gives what to tell the user.

        Raises CommandError, or KernelError where the list cannot be read.
        """
        if not self._policy:
            return []
        policy = Policy(self._policy)
        said = []
        again: list[Flow] = []
        for family in conntrack.FAMILIES:
            refused, allowed = self._judged(policy, family)
            self._ended += refused
            again += allowed
        if self._ended:
            count = self._output(conntrack.end(self._ended, sys.executable)).strip()
            said.append(f"{conntrack.PROGRAM}: ended {count} flows that are no longer allowed")
        if again:
            count = self._output(conntrack.revive(again, sys.executable)).strip()
            said.append(f"{conntrack.PROGRAM}: {count} flows that had been ended may go on")
        return said

    def undo(self) -> None:
        """Let go on what end() ended and is not forgotten."""
        if self._ended:
            self._output(conntrack.revive(self._ended, sys.executable))

    def _judged(self, policy: Policy, family: int) -> tuple[list[Flow], list[Flow]]:
        """Flows of a family that are to be ended, and those that have been and are allowed."""
        listed = Output(0, self._output(conntrack.listed(family)))
        found: list[Flow] = []
        again: list[Flow] = []
        for flow in conntrack.parse(family, listed):
            if _allowed(policy, flow) == flow.ended:
                (again if flow.ended else found).append(flow)
        if not found:
            return found, again
        # What a helper announced needs no rule of its own: it goes with the flow that announced it.
        expected = Output(0, self._output(conntrack.expected(family)))
        announced = {flow.identity for flow in conntrack.parse(family, expected)}
        if announced.isdisjoint(flow.identity for flow in found):
            return found, again
        gone = {flow.identity for flow in found}
        kept: set[str] = set()
        for flow in conntrack.parse(family, listed):
            if flow.helper and flow.identity not in gone:
                kept.update((flow.source, flow.real))
        found = [flow for flow in found if flow.identity not in announced or kept.isdisjoint((flow.source, flow.real))]
        return found, again

    def _output(self, command: Command) -> str:
        output = self._run(command)
        if output.status not in command.ok:
            raise process.CommandError(command, output)
        return output.stdout


def _allowed(policy: Policy, flow: Flow) -> bool:
    """Whether the policy would let the flow begin now. The hooks see its target after, its source before NAT."""
    kind = code = sport = dport = 0
    if flow.protocol in (ICMP, ICMPV6):
        if flow.fields:
            kind, code = int(flow.fields[0]), int(flow.fields[1])
    elif flow.port is not None:
        sport, dport = int(flow.fields[0]), int(flow.port)
    packet = Packet(flow.family, _number(flow.source), _number(flow.real), flow.protocol, sport, dport, kind, code)
    return policy.judge(packet).action == ACCEPT


@lru_cache(maxsize=100_000)
def _number(text: str) -> int:
    return int.from_bytes(inet_pton(AF_INET6 if ":" in text else AF_INET, text), "big")
