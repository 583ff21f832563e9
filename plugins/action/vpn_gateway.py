# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand a VPN gateway its files, with the keys of its tunnels."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir, _planned_files, _psks, _vpn_files
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._planned_files import ABSENT, PLANNED, PRESENT, STATES

LEGACY = {
    "racoon": "/etc/racoon",
    "policies": "/etc/ipsec-tools.conf",
    "quagga": "/etc/quagga",
    "quagga_owner": "quagga",
    "unit_setkey": "setkey.service",
    "unit_racoon": "racoon.service",
    "unit_zebra": "zebra.service",
    "unit_bgpd": "bgpd.service",
}
ROLE = VPN_GATEWAY.name


class ActionModule(_planned_files.PlannedFiles):
    """The keys leave the controller in the module's packed argument only."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self._arguments()
        host = str(task_vars["inventory_hostname"])
        base = _plan_dir.folder(task_vars, self._templar.template)
        plan = None
        if arguments["state"] != ABSENT:
            plan = _planned_files.read(base, host, ROLE, arguments["plan_id"])
        wanted: dict[str, Any] = {"files": [], "validate": [], "apply": [], "units": []}
        if plan is not None:
            psks = _psks.keys(task_vars, self._templar.template, plan["tunnels"])
            tokens = _vpn_files.tokens(arguments["legacy"], arguments["hostname"] or "", arguments["forwarding6"])
            wanted = _vpn_files.filled(plan, tokens, psks)
            result.update(
                provider=plan["provider"],
                ipsec=plan["ipsec"],
                units=wanted["units"],
                tunnels=[tunnel["name"] for tunnel in plan["tunnels"]],
            )
        if arguments["state"] == PLANNED:
            return {**result, "changed": False}
        wanted["apply"] += _vpn_files.farewell(plan, arguments["legacy"])
        result.update(self._written(ROLE, wanted, task_vars))
        if self._task.check_mode:
            path = _plan_dir.result_path(base, f"{host}.{ROLE}")
            _planned_files.note(path, _planned_files.of_host_state(path), result, arguments["differences"])
        return result

    def _arguments(self) -> dict[str, Any]:
        texts = {name: {"type": "str", "default": text} for name, text in LEGACY.items()}
        arguments: dict[str, Any] = self.validate_argument_spec(
            {
                "state": {"type": "str", "choices": list(STATES), "default": PRESENT},
                "plan_id": {"type": "str"},
                "hostname": {"type": "str"},
                "forwarding6": {"type": "bool", "default": False},
                "legacy": {"type": "dict", "options": texts, "apply_defaults": True},
                "differences": {"type": "list", "elements": "str", "default": []},
            },
            required_if=[("state", PRESENT, ("hostname",))],
        )[1]
        return arguments
