# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a plan has for a role on a host, handed to the module render."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fileset
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _fileset, _lab_guard, _plan_dir

PLANNED, PRESENT, ABSENT = STATES = ("planned", "present", "absent")
# Of a file plan, what the module takes.
_TAKEN = ("files", "validate", "apply")
_NOTHING: dict[str, Any] = {"failed": False, "msg": None, "changed": False, "plan": [], "objects": []}


def read(base: str, host: str, role: str, plan_id: str | None) -> dict[str, Any]:
    """The file plan of a role on a host. Where it is missing, or of another plan than plan_id, the task fails."""
    found = _plan_dir.read_files(base, host, role)
    if found is None:
        group = "vpn_gateways" if role == "vpn_gateway" else "hypervisors"
        raise AnsibleActionFail(
            f"the plan in {base} has no files of role {role} for host {host}: is it in the group {group},"
            " and did plainlinux.vpc.plan run?"
        )
    if plan_id is not None and found["id"] != plan_id:
        raise AnsibleActionFail(f"the plan in {base} is {found['id']}, not {plan_id}: did another run plan?")
    return found


def of_host_state(path: str) -> dict[str, Any]:
    """What host_state has found of the same role in this run of verify."""
    return _plan_dir.read(path) or _NOTHING


def note(path: str, found: Mapping[str, Any] | None, result: Mapping[str, Any], differences: Sequence[str]) -> None:
    """Write down for the table at the end of verify what differs. found: what is known already, see of_host_state()."""
    known = dict(found or _NOTHING)
    objects = list(known.get("objects") or [])
    for paths in (result.get("files") or {}).values():
        objects += [f"file {item}" for item in paths]
    objects += differences
    if result.get("failed"):
        known.update(failed=True, msg="; ".join(filter(None, (known.get("msg"), str(result.get("msg", ""))))))
    changed = bool(known["changed"] or result.get("changed") or differences)
    _plan_dir.write(path, {**known, "changed": changed, "objects": objects})


class PlannedFiles(ActionBase):
    """An action that has files of a plan written."""

    TRANSFERS_FILES = False

    def _written(self, role: str, wanted: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """The module's result. wanted: files, validate and apply; without files, those of earlier plans go."""
        state = PRESENT if wanted["files"] else ABSENT
        try:
            found = fileset.parse({"role": role, "state": state, **{key: wanted[key] for key in _TAKEN if wanted[key]}})
        except ModelErrors as error:
            return _fileset.refused(error)
        arguments = _fileset.arguments(found, state, self._lab_host(task_vars))
        done = self._execute_module(_fileset.MODULE, module_args=arguments, task_vars=task_vars)
        return _fileset.told(done, arguments)

    def _lab_host(self, task_vars: Mapping[str, Any]) -> str | None:
        """See _lab_guard."""
        host = str(task_vars["inventory_hostname"])
        return _lab_guard.lab_host(task_vars, self._templar.template, self._connection, host)
