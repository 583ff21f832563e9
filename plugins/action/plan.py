# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute the plan of the whole inventory, on the controller."""

from __future__ import annotations

import itertools
import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import tables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation import changes
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter import texts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import expectations
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs, _lock_file, _plan_dir, _planner

# How often another run may write the lock file while this one plans.
ATTEMPTS = 3
_LAB_RUN, _CHECK_MODE = "a lab run", "check mode"


class ActionModule(ActionBase):
    """Runs on the controller only; opens no connection."""

    TRANSFERS_FILES = False
    _requires_connection = False

    @_planner.without_collector()
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self.validate_argument_spec(
            {
                "show": {"type": "bool", "default": False},
                "unfulfilled": {"type": "str", "choices": ["refuse", "warn"], "default": "refuse"},
                "lock": {"type": "str", "choices": ["read", "write"], "default": "read"},
            }
        )[1]
        template = self._templar.template
        raw = _inputs.gather(task_vars, template)
        base = _plan_dir.folder(task_vars, template)
        # A rehearsal leaves nothing beside the inventory.
        lab = boolean(template(task_vars.get("lab", False)), strict=False)
        self._rehearsal = _LAB_RUN if lab else _CHECK_MODE if self._task.check_mode else ""
        for _attempt in range(ATTEMPTS):
            done = self._once(result, arguments, raw, base, _lock_file.path(task_vars, template))
            if done is not None:
                return done
        raise AnsibleActionFail("other runs keep writing the lock file: wait for them, then run this again")

    def _once(
        self, result: dict[str, Any], arguments: dict[str, Any], raw: dict[str, Any], base: str, file: str
    ) -> dict[str, Any] | None:
        """The task's result; None where the lock file has become another one meanwhile."""
        writes = arguments["lock"] == "write"
        try:
            plan = _planner.planned(
                raw, base, _lock_file.read(file), os.path.basename(file), look=writes or arguments["show"]
            )
        except ModelErrors as error:
            listed = [{"path": item.path, "message": item.message} for item in error.errors]
            return {**result, "failed": True, "msg": str(error), "errors": listed}
        summary = plan.summary
        path = os.path.join(base, _plan_dir.SUMMARY)
        result = {**result, "changed": False, "id": summary["id"], "path": path, "lock_file": file}
        answers = expectations.of_summary(summary)
        if arguments["show"]:
            allocations = tables.of_allocations(plan.changes, file)
            result["tables"] = tables.of_plan(summary, self._route_counts(base, summary), answers) + allocations
        wrong = expectations.wrong(answers)
        lines = [f"{item['path']}: {item['message']}" for item in wrong]
        if wrong and arguments["unfulfilled"] == "refuse":
            return {**result, "failed": True, "msg": "\n".join(lines), "errors": wrong}
        result["warnings"] = [*texts.warnings(summary), *lines, *expectations.undecided(answers)]
        if writes:
            return self._written(result, plan, file)
        if plan.changes and not arguments["show"] and not self._rehearsal:
            result["warnings"].append(
                f"{changes.counted(plan.changes)} in {file}: not written down yet, so it may become something else. "
                "Run plainlinux.vpc.site or plainlinux.vpc.lock"
            )
        return result

    def _written(self, result: dict[str, Any], plan: _planner.Planned, file: str) -> dict[str, Any] | None:
        """Write the lock file, if it has to say anything else than it does."""
        result["allocations"] = tables.of_allocations(plan.changes, file).lstrip("\n")
        if plan.after == plan.before:
            nothing = "the inventory leaves nothing out: there is no lock file"
            return {**result, "msg": nothing if plan.after is None else f"{file} has all that is allocated"}
        what = changes.counted(plan.changes)
        if self._rehearsal:
            # A lab run without check mode would not write it either.
            result["changed"] = self._rehearsal == _CHECK_MODE
            return {**result, "msg": f"{self._rehearsal} does not write {file}: {what}"}
        if not _lock_file.replace(file, plan.before, plan.after or ""):
            return None
        message = f"{file} was written: {what}. Commit it with the inventory"
        Display().display(message)
        return {**result, "changed": True, "msg": message}

    @staticmethod
    def _route_counts(base: str, summary: dict[str, Any]) -> dict[str, int]:
        counts = {}
        for host, content in itertools.islice(summary["hosts"].items(), tables.ROWS):
            for role in content["roles"]:
                # Those of guard and groups are the largest, and have no routes.
                found = _plan_dir.read_slice(base, host, role) if SCOPES[role].protocol else None
                if found is not None:
                    counts[f"{host} {role}"] = len(found["state"].get("route", {}))
        return counts
