# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of backend iptables as role and helper install it: the planner's table and chains, and each VIF's rules."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import template as files
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Context, Delta, Output, Subsystem
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.iptables import Iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import iptables, state
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest, template
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import IPTABLES
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy as Rules
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from ansible_collections.plainlinux.vpc.tests.attacks.guard_nftables import guest_of
from ansible_collections.plainlinux.vpc.tests.attacks.policy import Policy
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology


def guard(topology: Topology, policy: Policy) -> None:
    """The policy's VIFs on its bridge, which hands its packets over whatever the host's own switch says."""
    put(topology, Rules(uplinks=policy.uplinks), {vif.name: guest_of(vif) for vif in policy.vifs})
    settings(topology, policy.bridge, {vif.name: guest_of(vif) for vif in policy.vifs})


def settings(topology: Topology, bridge: str, guests: Mapping[str, Guest]) -> None:
    """Bridge and ports as the helper sets them."""
    for name, value in (("nf_call_iptables", 1), ("nf_call_ip6tables", 1), ("no_linklocal_learn", 1)):
        topology.shell(f"echo {value} >/sys/class/net/{bridge}/bridge/{name}")
    for vif, guest in guests.items():
        flags = files.bind(template(guest, IPTABLES), vif).flags
        topology.shell(
            f"echo 0xfffd >/sys/class/net/{vif}/brport/group_fwd_mask\n"
            f"bridge link set dev {vif} {flags}\n"
            f"bridge fdb replace {guest.mac} dev {vif} master static sticky\n"
        )


def chains(rules: Rules, guests: Mapping[str, Guest]) -> dict[str, str]:
    """The state of subsystem iptables: chains with the guests' rules, and jumps."""
    found = iptables.jumps()
    places: dict[str, list[str]] = {}
    for vif in sorted(guests):
        for place, rule in files.bind(template(guests[vif], IPTABLES), vif).rules:
            places.setdefault(place, []).append(rule)
    for family, text in iptables.chains(rules).items():
        found.update(files.compose(family, text, places))
    return found


def put(topology: Topology, rules: Rules, guests: Mapping[str, Guest]) -> None:
    """Install a guard that need not be the one of the topology's policy, and check that both tools print the plan."""
    _put(topology, Nft(), state.whole(rules, guests, IPTABLES), reads=1)
    _put(topology, Iptables(), chains(rules, guests))


def _put(topology: Topology, subsystem: Subsystem, desired: dict[str, str], reads: int | None = None) -> None:
    context = Context(ANTISPOOF, desired)
    for command in subsystem.put(context, Delta.between({}, desired)):
        topology.run(*command.argv, stdin=command.stdin)
    outputs = [Output(0, topology.run(*command.argv)) for command in subsystem.read(context)[:reads]]
    found = subsystem.parse(context, outputs)
    assert found == desired, Delta.between(found, desired)
