# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell a hypervisor which names the plan has on its bridges."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import GUEST_NETWORK
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir, _planned_files


class ActionModule(_planned_files.PlannedFiles):
    """Adds the questions to the module's arguments, and adds what is wrong to the table at the end of verify."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self.validate_argument_spec({"plan_id": {"type": "str"}})[1]
        lab_host = self._lab_host(task_vars)
        host = str(task_vars["inventory_hostname"])
        base = _plan_dir.folder(task_vars, self._templar.template)
        questions = _planned_files.read(base, host, GUEST_NETWORK, arguments["plan_id"])["questions"]
        sent = {"questions": json.dumps(questions), "lab_host": lab_host}
        done = self._execute_module("plainlinux.vpc.guest_names", module_args=sent, task_vars=task_vars)
        result.update(done)
        path = _plan_dir.result_path(base, f"{host}.{GUEST_NETWORK}")
        _planned_files.note(path, _planned_files.of_host_state(path), result, result.get("wrong") or [])
        return result
