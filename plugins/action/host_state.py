# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand a host its slice of the plan."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF, SCOPES, SECURITY_GROUPS
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _lab_guard, _plan_dir


class ActionModule(ActionBase):
    """Adds the slice, packed as one string, to the module's arguments."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self.validate_argument_spec(
            {
                "role": {"type": "str", "required": True, "choices": list(SCOPES)},
                "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                "confirm_removal": {"type": "bool", "default": False},
                "plan_id": {"type": "str"},
            }
        )[1]
        host = str(task_vars["inventory_hostname"])
        arguments["lab_host"] = _lab_guard.lab_host(task_vars, self._templar.template, self._connection, host)
        base = _plan_dir.folder(task_vars, self._templar.template)
        plan_id = arguments.pop("plan_id")
        if arguments["state"] == "present":
            arguments["slice"] = self._slice(base, host, arguments["role"], plan_id)
        result.update(self._execute_module("plainlinux.vpc.host_state", module_args=arguments, task_vars=task_vars))
        if self._task.check_mode:
            # For the table at the end of verify.
            _plan_dir.write(
                _plan_dir.result_path(base, f"{host}.{arguments['role']}"),
                {key: result.get(key) for key in ("failed", "msg", "changed", "plan", "objects")},
            )
        return result

    @staticmethod
    def _slice(base: str, host: str, role: str, plan_id: str | None) -> str:
        found = _plan_dir.read_slice(base, host, role)
        if found is None:
            group = "hypervisors" if role in (ANTISPOOF.name, SECURITY_GROUPS.name) else f"{role}s"
            asked = f"the group {group}{' without vpc_antispoof: false' if role == ANTISPOOF.name else ''}"
            raise AnsibleActionFail(
                f"the plan in {base} has no role {role} for host {host}: is it in {asked},"
                " and did plainlinux.vpc.plan run?"
            )
        if plan_id is not None and found["id"] != plan_id:
            raise AnsibleActionFail(f"the plan in {base} is {found['id']}, not {plan_id}: did another run plan?")
        return _plan_dir.pack(found)
