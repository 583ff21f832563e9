# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute the plan of the whole inventory, on the controller."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import tables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter import texts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import expectations
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs, _plan_dir


@contextmanager
def without_collector() -> Iterator[None]:
    """100,000 guests are a million objects without a cycle; looking for cycles takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def write(plan: Plan, base: str) -> dict[str, Any]:
    """Replace what lies in the folder by this plan; gives its summary."""
    wanted = set()
    try:
        _plan_dir.write(os.path.join(base, _plan_dir.COMMON), plan.common())
        for host, role, content in plan.slices():
            path = _plan_dir.slice_path(base, host, role)
            _plan_dir.write(path, content)
            wanted.add(os.path.basename(path))
        for host, role, content in plan.files():
            path = _plan_dir.files_path(base, host, role)
            _plan_dir.write(path, content)
            wanted.add(os.path.basename(path))
        folder = os.path.join(base, "hosts")
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if name not in wanted:
                os.unlink(os.path.join(folder, name))
        summary = plan.summary()
        # Last: a summary stands for a complete plan.
        _plan_dir.write_summary(base, summary)
    except OSError as error:
        raise AnsibleActionFail(f"cannot write the plan to vpc_plan_dir {base}: {error}") from None
    return summary


class ActionModule(ActionBase):
    """Runs on the controller only; opens no connection."""

    TRANSFERS_FILES = False
    _requires_connection = False

    @without_collector()
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self.validate_argument_spec(
            {
                "show": {"type": "bool", "default": False},
                "unfulfilled": {"type": "str", "choices": ["refuse", "warn"], "default": "refuse"},
            }
        )[1]
        raw = _inputs.gather(task_vars, self._templar.template)
        base = _plan_dir.folder(task_vars, self._templar.template)
        plan_id = _inputs.identity(raw)
        summary = _plan_dir.read(os.path.join(base, _plan_dir.SUMMARY))
        if summary is None or summary.get("id") != plan_id:
            try:
                plan = Plan(parse(raw), plan_id)
            except ModelErrors as error:
                listed = [{"path": item.path, "message": item.message} for item in error.errors]
                return {**result, "failed": True, "msg": str(error), "errors": listed}
            summary = write(plan, base)
        result.update(changed=False, id=plan_id, path=os.path.join(base, _plan_dir.SUMMARY))
        answers = expectations.of_summary(summary)
        if arguments["show"]:
            result["tables"] = tables.of_plan(summary, self._route_counts(base, summary), answers)
        wrong = expectations.wrong(answers)
        lines = [f"{item['path']}: {item['message']}" for item in wrong]
        if wrong and arguments["unfulfilled"] == "refuse":
            return {**result, "failed": True, "msg": "\n".join(lines), "errors": wrong}
        result["warnings"] = [*texts.warnings(summary), *lines, *expectations.undecided(answers)]
        return result

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
