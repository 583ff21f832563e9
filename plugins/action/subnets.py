# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Divide a prefix among purposes and zones, on the controller."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.plan import plan_subnets


class ActionModule(ActionBase):
    """Runs on the controller only; opens no connection."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            # Options are read as they are: Ansible would refuse one mistake at a time, and turn numbers into strings.
            found = plan_subnets(self._task.args)
        except ModelErrors as error:
            listed = [{"path": item.path, "message": item.message} for item in error.errors]
            return {**result, "failed": True, "msg": str(error), "errors": listed}
        return {**result, **found, "changed": False}
