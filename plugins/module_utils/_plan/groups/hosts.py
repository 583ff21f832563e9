# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The slice of role security_groups: the filter, files for people, and the policy for live flows."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter.rules import many
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups import ended, iptables, nftables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import HostPolicy, of_host
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import Layout, State, destination

_BACKENDS = {"nftables": nftables.state, "iptables": iptables.state}


def slice_of(layout: Layout, name: str) -> dict[str, Any]:
    """What the slice of a hypervisor has besides its frame: state, and where something is filtered texts and policy.

    texts: file content by name below the role's directory. policy: see _policy().
    """
    policy = of_host(layout, name)
    if policy.idle:
        return {"state": {}}
    state: State = _BACKENDS[layout.model.hosts[name].backend](policy)
    # Also where there are ACLs only: conntrack, which these rules ask, puts fragments together, and only whole packets
    # have ports.
    state["nft"] = {**ended.rules(), **state.get("nft", {})}
    if policy.netfiltered():
        state["module"] = {"br_netfilter": "loaded", **state.get("module", {})}
    texts = {
        f"members/{group}": "".join(f"{line}\n" for line in layout.members[group].lines)
        for group in sorted({*policy.groups, *policy.members})
    }
    return {"state": state, "texts": texts, "policy": _policy(policy)}


def _policy(policy: HostPolicy) -> dict[str, Any]:
    """What decides on packets of guests, for filter/match.py.

    guests: groups in order, by address or prefix, of guests here that are filtered. groups: theirs. lists, members:
    prefixes and addresses by name, of what their rules name.
    """
    guests = {word: list(groups) for found in policy.guests.values() for word, groups in found.items() if groups}
    guests.update({destination(net): list(groups) for net, groups in policy.nets() if groups})
    return {
        "guests": guests,
        "groups": {
            name: {"stateful": group.stateful, "ingress": many(group.ingress), "egress": many(group.egress)}
            for name, group in policy.groups.items()
        },
        "lists": {
            name: [prefix.text for family in (4, 6) for prefix in prefixes[family]]
            for name, prefixes in policy.lists.items()
        },
        "members": {name: [*words[4], *words[6]] for name, words in policy.words.items()},
    }
