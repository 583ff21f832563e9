# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose from the plan the packets that a host, or a lab's guests, must send."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import expect
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import expectations, proof
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import World
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _lab_guard, _plan_dir


class ActionModule(ActionBase):
    """Adds the packets to the module's arguments, and keeps the answers for the table at the end of verify."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        template = self._templar.template
        arguments = self.validate_argument_spec(
            {"source": {"type": "str", "choices": ["host", "guests"], "default": "host"}}
        )[1]
        base = _plan_dir.folder(task_vars, template)
        summary = _plan_dir.summary(base)
        host = str(task_vars["inventory_hostname"])
        if arguments["source"] == "guests":
            world = World(summary)
            probes, name = expect.of_guests(summary, world), "guests"
            attempts = list(proof.attempts(world, expectations.of_summary(summary, world)))
            arguments["attempts"] = json.dumps(attempts)
            arguments["lab_name"] = str(template(task_vars.get("lab_name", "lab")))
        else:
            _lab_guard.lab_host(task_vars, template, self._connection, host)
            probes, name = expect.of_host(summary, host), host
        arguments["probes"] = json.dumps(probes)
        result.update(self._execute_module("plainlinux.vpc.probe", module_args=arguments, task_vars=task_vars))
        _plan_dir.write(
            _plan_dir.result_path(base, f"{name}.packets"),
            {key: result.get(key) for key in ("failed", "msg", "probes", "expectations")},
        )
        return result
