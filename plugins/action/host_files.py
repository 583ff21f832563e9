# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a role's files and units on a host equal to the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network import paths
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import GUEST_NETWORK
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir, _planned_files
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._planned_files import ABSENT, PLANNED, PRESENT, STATES

# The units of each role, and their StateDirectory: who has them from an earlier plan loses them.
UNITS = {GUEST_NETWORK: {paths.SERVICE: paths.STATE}}
_NOTHING: dict[str, Any] = {"files": [], "validate": [], "apply": [], "units": []}
_FOLDER = "/etc/systemd/system"
# For `sh -c`: end a unit whose file has gone; systemd knows it until it reads its files again.
_END = """\
systemctl stop "$1"
rm -f /etc/systemd/system/*.wants/"$1"
rm -rf "/var/lib/private/$2" "/var/lib/$2"
systemctl daemon-reload
systemctl reset-failed "$1" 2>/dev/null
:
"""
_RUNNING = ("active", "activating", "reloading")


class ActionModule(_planned_files.PlannedFiles):
    """Files go first, in one transaction; then the units that are wanted are enabled and started."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self.validate_argument_spec(
            {
                "role": {"type": "str", "required": True, "choices": list(UNITS)},
                "state": {"type": "str", "choices": list(STATES), "default": PRESENT},
                "plan_id": {"type": "str"},
            }
        )[1]
        role, state = arguments["role"], arguments["state"]
        self._lab_host(task_vars)
        host = str(task_vars["inventory_hostname"])
        base = _plan_dir.folder(task_vars, self._templar.template)
        plan = _NOTHING if state == ABSENT else _planned_files.read(base, host, role, arguments["plan_id"])
        result["units"] = plan["units"]
        if state == PLANNED:
            return {**result, "changed": False}
        gone = {unit: place for unit, place in UNITS[role].items() if unit not in plan["units"]}
        result.update(self._written(role, {**plan, "apply": [*plan["apply"], *_farewell(gone)]}, task_vars))
        settled: list[str] = []
        for unit in plan["units"]:
            if not result.get("failed"):
                settled += self._settled(unit, result, task_vars)
        result["settled"] = settled
        result["changed"] = bool(result.get("changed") or settled)
        if self._task.check_mode:
            path = _plan_dir.result_path(base, f"{host}.{role}")
            _planned_files.note(path, None, result, [f"unit to {item}" for item in settled])
        return result

    def _settled(self, unit: str, result: dict[str, Any], task_vars: dict[str, Any]) -> list[str]:
        """Have a unit enabled and active; gives what was, or would be, done. A failure goes to the result."""
        if self._task.check_mode and f"{_FOLDER}/{unit}" in result["files"]["added"]:
            return [f"enable {unit}", f"start {unit}"]
        done = self._execute_module(
            "ansible.builtin.systemd_service",
            module_args={"name": unit, "enabled": True, "state": "started"},
            task_vars=task_vars,
        )
        status = done.get("status") or {}
        # To systemd, one that waits for its next attempt is on its way.
        waits = status.get("SubState") == "auto-restart"
        if done.get("failed") or waits:
            message = "ends again and again, its log says why" if waits else done.get("msg", "cannot be started")
            result.update(failed=True, msg=f"{unit}: {message}")
            return []
        return _todo(unit, status) if done.get("changed") else []


def _todo(unit: str, before: Mapping[str, Any]) -> list[str]:
    """What a unit lacked. before: its properties."""
    found = [] if before.get("UnitFileState") == "enabled" else [f"enable {unit}"]
    return found if before.get("ActiveState") in _RUNNING else [*found, f"start {unit}"]


def _farewell(units: Mapping[str, str]) -> list[dict[str, Any]]:
    """Programs that end units whose files have gone. units: see UNITS."""
    return [
        {"command": ["sh", "-c", _END, "sh", unit, place], "when_changed": [f"{_FOLDER}/{unit}"]}
        for unit, place in units.items()
    ]
