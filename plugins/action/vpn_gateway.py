# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand a VPN gateway its files, with the keys of its tunnels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fileset
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import (
    _fileset,
    _lab_guard,
    _plan_dir,
    _psks,
    _vpn_files,
)

PLANNED, PRESENT, ABSENT = STATES = ("planned", "present", "absent")
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
_KEPT = ("files", "validate", "apply")


class ActionModule(ActionBase):
    """The keys leave the controller in the module's packed argument only."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self._arguments()
        host = str(task_vars["inventory_hostname"])
        base = _plan_dir.folder(task_vars, self._templar.template)
        plan = None if arguments["state"] == ABSENT else _plan(base, host, arguments["plan_id"])
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
        try:
            result.update(self._written(wanted, host, task_vars))
        except ModelErrors as error:
            result.update(_fileset.refused(error))
        if self._task.check_mode:
            _note(_plan_dir.result_path(base, f"{host}.{VPN_GATEWAY.name}"), result, arguments["differences"])
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

    def _written(self, wanted: Mapping[str, Any], host: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module render; without files, to take away those that the host has of earlier plans."""
        state = PRESENT if wanted["files"] else ABSENT
        kept = {key: wanted[key] for key in _KEPT if wanted[key]}
        found = fileset.parse({"role": VPN_GATEWAY.name, "state": state, **kept})
        lab_host = _lab_guard.lab_host(task_vars, self._templar.template, self._connection, host)
        arguments = _fileset.arguments(found, state, lab_host)
        done = self._execute_module(_fileset.MODULE, module_args=arguments, task_vars=task_vars)
        return _fileset.told(done, arguments)


def _plan(base: str, host: str, plan_id: str | None) -> dict[str, Any]:
    found = _plan_dir.read(_plan_dir.files_path(base, host, VPN_GATEWAY.name))
    if found is None:
        raise AnsibleActionFail(
            f"the plan in {base} has no files of a VPN gateway for host {host}: is it in the group vpn_gateways,"
            " and did plainlinux.vpc.plan run?"
        )
    if plan_id is not None and found["id"] != plan_id:
        raise AnsibleActionFail(f"the plan in {base} is {found['id']}, not {plan_id}: did another run plan?")
    return found


def _note(path: str, result: Mapping[str, Any], differences: list[str]) -> None:
    """Add what differs to what host_state has found, for the table at the end of verify."""
    found = _plan_dir.read(path) or {"failed": False, "msg": None, "changed": False, "plan": [], "objects": []}
    objects = list(found.get("objects") or [])
    for paths in (result.get("files") or {}).values():
        objects += [f"file {path}" for path in paths]
    objects += differences
    if result.get("failed"):
        found.update(failed=True, msg="; ".join(filter(None, (found.get("msg"), str(result.get("msg", ""))))))
    changed = bool(found["changed"] or result.get("changed") or differences)
    _plan_dir.write(path, {**found, "changed": changed, "objects": objects})
