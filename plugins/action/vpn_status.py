# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell a VPN gateway which tunnels the plan has on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _lab_guard, _plan_dir


class ActionModule(ActionBase):
    """Adds the tunnels to the module's arguments, and keeps the answer for the table at the end of verify."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        template = self._templar.template
        arguments = self.validate_argument_spec({"wait": {"type": "int", "default": 0}})[1]
        if arguments["wait"] < 0:
            raise AnsibleActionFail(f"wait: {arguments['wait']} is not allowed: seconds, 0 or more")
        host = str(task_vars["inventory_hostname"])
        arguments["lab_host"] = _lab_guard.lab_host(task_vars, template, self._connection, host)
        base = _plan_dir.folder(task_vars, template)
        summary = _plan_dir.summary(base)
        arguments["tunnels"] = _plan_dir.pack(_wanted(summary, host, base))
        result.update(self._execute_module("plainlinux.vpc.vpn_status", module_args=arguments, task_vars=task_vars))
        _plan_dir.write(
            _plan_dir.result_path(base, f"{host}.tunnels"),
            {key: result.get(key) for key in ("failed", "msg", "up", "tunnels")},
        )
        return result


def _wanted(summary: Mapping[str, Any], host: str, base: str) -> dict[str, Any]:
    """What the module needs to know, in the words of verdict.Tunnel; none of it is a secret."""
    vpn = summary["hosts"].get(host, {}).get("vpn")
    if vpn is None:
        raise AnsibleActionFail(
            f"the plan in {base} has no VPN gateway {host}: is it in the group vpn_gateways, and did"
            " plainlinux.vpc.plan run since?"
        )
    found = [
        {
            "name": tunnel["name"],
            "connection": name,
            "peer": tunnel["peer_outside_address"],
            "local": tunnel["local_address"],
            "inside_address": tunnel["inside_address"],
            "peer_inside_address": tunnel["peer_inside_address"],
            "bgp": connection["bgp"] is not None,
            "announces": bool(connection["announce"]),
            "accepts": bool(connection["accept"]),
        }
        for name, connection in summary["connections"].items()
        if connection["gateway"] == host
        for tunnel in connection["tunnels"]
    ]
    return {
        "provider": vpn["provider"],
        "ipsec_backend": vpn["ipsec_backend"],
        "tunnels": sorted(found, key=lambda tunnel: str(tunnel["name"])),
    }
