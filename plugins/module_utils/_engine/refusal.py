# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no run does: ask a kernel for what it has not, take over what is not ours, remove most of what a host has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta, State
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.module import unloadable
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif import GUESTS
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SECURITY_GROUPS, Scope
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import userland


class RefusedError(Exception):
    """Nothing was written: the slice, or the host, is not fit for it."""


_FILTERS = ("ipset", "iptables", "nft")
# Where _plan/groups keeps the addresses that groups judge.
_NFT_JUDGED = re.compile(rf"inet {SECURITY_GROUPS.table} map to[46](_nets)? ")
_IPSET_JUDGED = re.compile(rf"{SECURITY_GROUPS.prefix}own[46] ")
# What counts, how many of it a run would remove, and how many there are.
Count = tuple[str, int, int]


def module(modules: State) -> str:
    """Why the host's kernel cannot have what these modules, as read, do; "" if it can."""
    found = unloadable(modules)
    if not found:
        return ""
    # Packet filters, too, have such modules: what else there is, only the VPN's backend knows.
    instead = ", or set vpn_gateway_ipsec_backend: userland" if "xfrm_interface" in found else ""
    return (
        f"the kernel of {os.uname().nodename}, {os.uname().release}, has no {' and no '.join(found)}:"
        f" boot one that has, as those of distributions do{instead} ({'; '.join(found.values())})"
    )


def foreign(links: State, named: str) -> str:
    """Why these links, as read, cannot become ours; "" if they can. named: what they have their names from."""
    found = [key for key, value in links.items() if value.startswith("foreign")]
    if not found:
        return ""
    return (
        f"interface {', '.join(sorted(found))} exists and is not ours: rename or remove it, "
        f"or give the {named} another name"
    )


def tunnels(links: State, check: bool, root: str = "") -> str:
    """Why these XFRM interfaces, as read, cannot become ours; "" if they can.

    check: whether this is a comparison. It may find devices of userland ESP, which the role ends before the real run.
    """
    if check:
        links = {name: value for name, value in links.items() if not os.path.exists(root + userland.device(name))}
    return foreign(links, "VPN connection")


def removal(scope: Scope, counts: Iterable[Count], limit: int) -> str:
    """Why so much is not removed; "" if it may be. limit: percent that one run may remove."""
    for word, removed, total in counts:
        if removed * 100 > total * limit:
            return (
                f"this would remove {removed} of the {total} {word} that role {scope.name} has on this host,"
                f" more than {limit} percent: is the inventory complete? Confirm with -e vpc_confirm_removal=true."
            )
    return ""


def guests(recorded: Iterable[str], files: Delta) -> list[Count]:
    """Of a role whose guests are files: elements and rules also go with a guest that is shut down.

    recorded: paths that were written last time.
    """
    removed = sum(path.startswith(GUESTS) for path in files.removed)
    return [("guests", removed, sum(path.startswith(GUESTS) for path in recorded))]


def filtered(before: Mapping[str, State], wanted: Mapping[str, State]) -> list[Count]:
    """Of security groups: rules come and go, and all of them with the backend, but not whom they protect."""
    there, kept = (len(_filtered(states)) for states in (before, wanted))
    return [("filtered addresses", there - kept, there)]


def _filtered(states: Mapping[str, State]) -> set[str]:
    """Guests' addresses that are judged by groups, whichever backend does it."""
    found = {
        key.rpartition(" ")[2]
        for key, value in states.get("nft", {}).items()
        if value.startswith("goto ") and _NFT_JUDGED.match(key)
    }
    return found | {key.partition(" ")[2] for key in states.get("ipset", {}) if _IPSET_JUDGED.match(key)}


def objects(before: Mapping[str, State], wanted: Mapping[str, State], deltas: Mapping[str, Delta]) -> list[Count]:
    """Of other roles. Routes stand for guests: a router without guests would still keep most of its other objects.

    Where the backend changes, all rules go with the former one, and say nothing.
    """
    there, then = ((bool(states.get("nft")), bool(states.get("iptables"))) for states in (before, wanted))
    counted = [name for name in before if name not in _FILTERS or there == then or not any(then)]
    everything = sum(len(deltas[name].removed) for name in counted), sum(len(before[name]) for name in counted)
    return [("objects", *everything), ("routes", len(deltas["route"].removed), len(before["route"]))]
