# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards by name. A guard is called once, after the topology is up and before any frame is sent, and installs itself.

It works in the namespace topology.host, through topology.run() and topology.shell(), and is told what is declared by
the policy. Nothing has to be taken away: the namespace goes with the test.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from ansible_collections.plainlinux.vpc.tests.attacks.policy import Policy
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology

Guard = Callable[[Topology, Policy], None]


def none(topology: Topology, policy: Policy) -> None:
    """No guard: shows that every attack of the suite works."""


def recipe2008(topology: Topology, policy: Policy) -> None:
    """The rules of 2008 as they stand: iptables, ip6tables and arptables, FORWARD, physdev. They need br_netfilter."""
    topology.shell("\n".join(_recipe2008(policy)))


def _recipe2008(policy: Policy) -> Iterator[str]:
    for tool in ("iptables -w", "ip6tables -w", "arptables-legacy"):
        yield f"{tool} -P FORWARD DROP"
        yield f"{tool} -F FORWARD"
    for vif in policy.vifs:
        pairs = [(vif.mac, address) for address in vif.addresses4 + vif.addresses6]
        pairs += [(pair.mac, pair.address) for pair in vif.pairs]
        yield f"arptables-legacy -A FORWARD --opcode Request --in-interface {vif.name} -j ACCEPT"
        yield f"arptables-legacy -A FORWARD --opcode Request --out-interface {vif.name} -j ACCEPT"
        for uplink in policy.uplinks:
            yield (
                f"arptables-legacy -A FORWARD --opcode Reply --out-interface {vif.name} "
                f"--in-interface {uplink} -j ACCEPT"
            )
        for mac, address in pairs:
            tool = "ip6tables -w" if ":" in address else "iptables -w"
            yield f"{tool} -A FORWARD -m physdev --physdev-out {vif.name} --destination {address} -j ACCEPT"
            for uplink in policy.uplinks:
                yield (
                    f"{tool} -A FORWARD -m physdev --physdev-in {vif.name} --physdev-out {uplink} "
                    f"--source {address} -j ACCEPT"
                )
            if ":" not in address:
                yield (
                    f"arptables-legacy -A FORWARD --opcode Reply --in-interface {vif.name} "
                    f"--source-ip {address} --source-mac {mac} -j ACCEPT"
                )


GUARDS: dict[str, Guard] = {"none": none, "recipe2008": recipe2008}

# Guards that have to stop every attack and let every legitimate exchange through, in every world; loaded by need.
COMPLETE: dict[str, str] = {"nftables": "ansible_collections.plainlinux.vpc.tests.attacks.guard_nftables:guard"}

# Guards that cannot stop everything, and the attacks that they let through where these are possible.
PARTIAL: dict[str, str] = {"iptables": "ansible_collections.plainlinux.vpc.tests.attacks.guard_iptables:guard"}
MISSES: dict[str, frozenset[str]] = {
    # iptables is not told by which port a packet leaves that the hypervisor sends, or routes.
    "iptables": frozenset(
        {
            "bad:no address in the family/IPv6 of host to c",
            "bad:sniffing/b's packet of host in a frame for a",
            "bad:sniffing/b's IPv6 packet of host in a frame for a",
        }
    ),
}


def load(name: str) -> Guard:
    """A guard of GUARDS, COMPLETE or PARTIAL, or of any module as `package.module:function`."""
    if name in GUARDS:
        return GUARDS[name]
    module, function = {**COMPLETE, **PARTIAL}.get(name, name).split(":")
    guard: Guard = getattr(importlib.import_module(module), function)
    return guard
