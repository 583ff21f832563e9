# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner's inputs as they stand in Ansible's variables."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils import _model, _plan

MODEL_VARIABLES = (
    "vpc_networks",
    "vpc_instances",
    "vpc_security_groups",
    "vpc_peerings",
    "vpc_vpn_connections",
)
HOST_VARIABLES = (
    "vpc_underlay_address",
    "vpc_underlay_address6",
    "vpc_backend",
    "vpc_antispoof",
    "vpc_antispoof_trusted_ports",
)
GROUPS = ("hypervisors", "routers", "vpn_gateways")
DEFAULTS = {"vpc_backend": "nftables", "vpc_antispoof": True, "vpc_antispoof_trusted_ports": []}


def gather(task_vars: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, Any]:
    """The raw inventory as _model.parse takes it. Every host is looked at once, whatever --limit says."""
    raw: dict[str, Any] = {name: _plain(task_vars.get(name, []), template) for name in MODEL_VARIABLES}
    memberships: dict[str, list[str]] = {}
    groups = task_vars.get("groups", {})
    for group in GROUPS:
        for host in groups.get(group, []):
            memberships.setdefault(str(host), []).append(group)
    order = {str(host): position for position, host in enumerate(groups.get("all", []))}
    hostvars = task_vars.get("hostvars", {})
    raw["hosts"] = {
        host: {"groups": memberships[host], **_host(hostvars[host], host)}
        for host in sorted(memberships, key=lambda name: order.get(name, len(order)))
    }
    return raw


def grouped(raw: Mapping[str, Any]) -> int:
    """How many guests name security groups."""
    listed = raw["vpc_instances"]
    instances = listed if isinstance(listed, (list, tuple)) else []
    return sum(1 for item in instances if isinstance(item, Mapping) and item.get("security_groups"))


def _host(variables: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = {variable: variables.get(variable, DEFAULTS.get(variable)) for variable in HOST_VARIABLES}
    if found["vpc_underlay_address"] is None:
        found["vpc_underlay_address"] = variables.get("ansible_host", name)
    return found


def _plain(value: Any, template: Callable[[Any], Any]) -> Any:
    """A variable with its templates resolved. Templating 100,000 guests costs seconds: it is done where needed."""
    text = json.dumps(value, default=str, skipkeys=True)
    return template(value) if "{{" in text or "{%" in text else value


def identity(raw: Mapping[str, Any]) -> str:
    """Digest of everything that decides a plan: the inputs, and the planner's own text."""
    digest = hashlib.sha256()
    for package in (_model, _plan):
        for path in _sources(os.path.dirname(str(package.__file__))):
            with open(path, "rb") as handle:
                digest.update(handle.read())
    # Not sorted: keys of several types, a mistake that parse() names, cannot be.
    digest.update(json.dumps(raw, default=str, skipkeys=True).encode())
    return digest.hexdigest()[:16]


def _sources(folder: str) -> list[str]:
    """A package's files and those of the packages in it, in a fixed order."""
    found = [os.path.join(base, name) for base, _folders, names in os.walk(folder) for name in names]
    return sorted(path for path in found if path.endswith(".py"))
