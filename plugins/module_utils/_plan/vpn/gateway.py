# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VPN gateway in the plan: its slice, which the kernel gets, and its file plan, which its programs get."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import RACOON, USERLAND
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import (
    MAIN_TABLE,
    Layout,
    State,
    destination,
    forwarding,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import files, firewall, programs, tunnels
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway

# Whatever else knows a way goes first, also what FRR learns: to it, a route of the kernel with this metric has the
# distance 255, which is none.
_LAST = 4294967295


def lacks_networks(layout: Layout, name: str) -> bool:
    """Whether the gateway needs routes to the networks: a router has its own, and a hypervisor has the same."""
    roles = layout.model.hosts[name].roles
    if "router" in roles or name not in layout.gateways:
        return False
    return "hypervisor" not in roles or layout.idle(name)


def slice_of(layout: Layout, name: str) -> State:
    """The desired state of one gateway, by subsystem, without the routes to the networks that lacks_networks() means.

    Nothing of what it is without a connection.
    """
    gateway = Gateway.of(layout.model, name)
    if not gateway.connections:
        return {}
    state = tunnels.state(gateway)
    state["sysctl"] = {**forwarding(ipv4=True, ipv6=False), **state["sysctl"]}
    state["module"] = dict.fromkeys(_modules(gateway), "loaded")
    state["route"] = {
        # What is for the other side must not leave by the default route while no tunnel is up.
        f"4 {MAIN_TABLE} {destination(prefix)}": f"unreachable metric {_LAST}"
        for connection in gateway.connections
        for prefix in connection.remote
        if prefix.length
    }
    state.update(firewall.state(gateway))
    return state


def _modules(gateway: Gateway) -> tuple[str, ...]:
    if gateway.ipsec == USERLAND:
        return ("tun",)
    return ("af_key", "esp4") if gateway.provider == RACOON else ("esp4", "xfrm_interface")


def files_of(model: Model, name: str) -> dict[str, Any]:
    """The file plan of one gateway, without the plan's id; without a connection it has no files.

    host, provider, ipsec: what it is. files, validate, apply: as the module render takes them, but with tokens (see
    files.py and programs.py) in texts, destinations and commands. units: in the order of their start, to be enabled and
    active when all files are there. tunnels: name, path and psk_variable of each, which say where the keys are.
    """
    gateway = Gateway.of(model, name)
    found: dict[str, Any] = {"host": name, "provider": gateway.provider, "ipsec": gateway.ipsec}
    if not gateway.connections:
        return {**found, "files": [], "validate": [], "apply": [], "units": [], "tunnels": []}
    host = files.Host(model.hosts[name].underlay, files.HOSTNAME, None)
    if gateway.provider == RACOON:
        texts = files.racoon_quagga(gateway, host, files.LEGACY)
        used = programs.racoon_quagga()
    else:
        texts = files.strongswan_frr(gateway, host)
        used = programs.strongswan_frr(gateway)
    return {
        **found,
        "files": [dataclasses.asdict(text) for text in texts],
        "validate": used.validate,
        "apply": used.apply,
        "units": used.units,
        "tunnels": [
            {"name": plan.name, "path": plan.tunnel.path, "psk_variable": plan.tunnel.psk_variable}
            for plan in gateway.tunnels
        ],
    }
