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

from ansible.errors import AnsibleError
from ansible.utils.display import Display
from ansible_collections.plainlinux.vpc.plugins.module_utils import _model, _plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.host import ROLES, VARIABLES
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import SECTION as INSTANCES
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import VARIABLE as FILE
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import SECTIONS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import SECTION as CONNECTIONS
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_psk import hide_psks
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _instances_file

MODEL_VARIABLES = SECTIONS
DEFAULTS = {"vpc_backend": "nftables", "vpc_antispoof": True, "vpc_antispoof_trusted_ports": []}


def gather(task_vars: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, Any]:
    """The raw inventory as _model.parse takes it. Every host is looked at once, whatever --limit says.

    The guests of vpc_instances_file are in it. No key of a VPN connection is.
    """
    given = {name: task_vars.get(name, []) for name in MODEL_VARIABLES}

    def key(value: Any) -> Any:
        return _key(value, template)

    # Once before templates are resolved, where each key fails by itself, and once for those that templates bring.
    given[CONNECTIONS] = hide_psks(given[CONNECTIONS], key)
    raw = {name: _plain(value, template) for name, value in given.items() if name != INSTANCES}
    raw[CONNECTIONS] = hide_psks(raw[CONNECTIONS], key)
    raw |= guests(task_vars, template)
    memberships: dict[str, list[str]] = {}
    groups = task_vars.get("groups", {})
    for group in ROLES:
        for host in groups.get(group, []):
            memberships.setdefault(str(host), []).append(group)
    order = {str(host): position for position, host in enumerate(groups.get("all", []))}
    hostvars = task_vars.get("hostvars", {})
    raw["hosts"] = {
        host: {"groups": memberships[host], **_host(hostvars[host], host)}
        for host in sorted(memberships, key=lambda name: order.get(name, len(order)))
    }
    return raw


def guests(task_vars: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, Any]:
    """Those of the variables, and after them those of the file that the variables name, as gather() has them."""
    own = _plain(task_vars.get(INSTANCES, []), template)
    found = _instances_file.given(task_vars, template)
    if found is None:
        return {INSTANCES: own}
    name, content = found
    if _instances_file.hosts_by_mistake(name, task_vars.get("groups", {}).get("all", [])):
        Display().warning(
            f"{FILE}: Ansible reads {name} as an inventory, too, and takes its lines for hosts: end its name with "
            f"{_instances_file.HIDDEN}, or put it into group_vars"
        )
    if isinstance(own, (list, tuple)):
        own = [*own, *content.instances]
    else:  # a mistake that parse() names; there is nothing to append to
        content.instances.clear()
    return {INSTANCES: own, FILE: content.raw(name)}


def _host(variables: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = {variable: variables.get(variable, DEFAULTS.get(variable)) for variable in VARIABLES}
    if found["vpc_underlay_address"] is None:
        found["vpc_underlay_address"] = variables.get("ansible_host", name)
    return found


def _plain(value: Any, template: Callable[[Any], Any]) -> Any:
    """A variable with its templates resolved. Templating 100,000 guests costs seconds: it is done where needed."""
    text = json.dumps(value, default=str, skipkeys=True)
    return template(value) if _templated(text) else value


def _key(value: Any, template: Callable[[Any], Any]) -> Any:
    """A pre-shared key with its template resolved. Raises ValueError; its text has no part of the key."""
    if isinstance(value, str) and not _templated(value):
        return value
    try:
        return template(value)
    except AnsibleError as error:
        raise ValueError(f"cannot be templated ({type(error).__name__})") from None


def _templated(text: str) -> bool:
    return "{{" in text or "{%" in text


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
