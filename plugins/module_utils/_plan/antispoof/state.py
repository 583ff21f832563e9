# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of one host as a kernel state: the table for its policy, and the elements of the guests that are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest, bound, elements
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import (
    EVERY,
    NFTABLES,
    TABLE,
    Policy,
    chains,
    headers,
)


def static(policy: Policy, planned: Iterable[str] = (), backend: str = NFTABLES) -> dict[str, str]:
    """The table without guests. planned: names of ports that guests will have, refused until they do."""
    state = {TABLE: "table"}
    state.update({f"{TABLE} {name}": text for name, text in headers().items()})
    state.update({f"{TABLE} chain {name}": text for name, text in chains(policy, backend).items()})
    for name in policy.uplinks:
        state[f'{TABLE} map ports "{name}"'] = "goto from_uplink"
        state[f'{TABLE} map outs "{name}"'] = "accept"
    if EVERY not in policy.patterns:
        state.update({f'{TABLE} set planned "{name}"': "element" for name in planned})
    state.update({f"{TABLE} set protected4 {format_ipv4(address)}": "element" for address in policy.protected4})
    for address in policy.protected6:
        state[f"{TABLE} set protected6 {format_ipv6(address)}"] = "element"
        state[f"{TABLE} set protected_targets {address:#x}"] = "element"
    return state


def of_guests(guests: Mapping[str, Guest], backend: str = NFTABLES) -> dict[str, str]:
    """The elements of guests by the names of their ports."""
    state: dict[str, str] = {}
    for vif, guest in guests.items():
        state.update(bound(elements(guest, backend), vif))
    return state


def whole(policy: Policy, guests: Mapping[str, Guest], backend: str = NFTABLES) -> dict[str, str]:
    """The desired state of subsystem nft. guests: by the names that the plan gives their ports."""
    return {**static(policy, guests, backend), **of_guests(guests, backend)}
