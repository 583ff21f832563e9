# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what verify found, as tables; fail if anything was not as planned."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import tables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import expectations
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import GUEST_NETWORK
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir


class ActionModule(ActionBase):
    """Runs on the controller only."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self.validate_argument_spec(
            {
                "show": {"type": "str", "required": True, "choices": ["plan", "verify", "nothing"]},
                "text": {"type": "str"},
                "hosts": {"type": "list", "elements": "str", "default": []},
            }
        )[1]
        base = _plan_dir.folder(task_vars, self._templar.template)
        result["changed"] = False
        if arguments["show"] == "nothing":
            shutil.rmtree(os.path.join(base, "verify"), ignore_errors=True)
            return result
        text, faults = str(arguments["text"] or ""), 0
        if arguments["show"] == "verify":
            summary = _plan_dir.read(os.path.join(base, _plan_dir.SUMMARY)) or {"hosts": {}}
            proofs = (_plan_dir.read(_plan_dir.result_path(base, "guests.packets")) or {}).get("expectations")
            text, faults = tables.of_verify(
                self._kernels(base, summary, arguments["hosts"]),
                self._packets(base, arguments["hosts"]),
                self._tunnels(base, summary, arguments["hosts"]),
                expectations.of_summary(summary),
                proofs or [],
            )
        Display().display(f"\n{text}\n")
        if faults:
            return {**result, "failed": True, "msg": f"{faults} faults, see the table"}
        result["tables"] = text
        return result

    @staticmethod
    def _kernels(base: str, summary: dict[str, Any], hosts: list[str]) -> list[dict[str, Any]]:
        rows = []
        served = any(network["guests_get"]["dhcp"] for network in summary.get("networks", {}).values())
        for host in hosts:
            roles = summary["hosts"].get(host, {}).get("roles", [])
            # It has no slice of its own, and where no network is served, only what is left of one is worth a line.
            left = _plan_dir.read(_plan_dir.result_path(base, f"{host}.{GUEST_NETWORK}")) or {}
            if (served and "hypervisor" in roles) or left.get("failed") or left.get("changed"):
                roles = [*roles, GUEST_NETWORK]
            for role in roles:
                found = _plan_dir.read(_plan_dir.result_path(base, f"{host}.{role}"))
                row: dict[str, Any] = {"host": host, "role": role, "state": "as planned", "objects": []}
                if found is None:
                    row["state"] = "no answer"
                elif found["failed"]:
                    row.update(state="failed", objects=[found["msg"]])
                elif found["changed"]:
                    row.update(state="differs", objects=found["objects"])
                rows.append(row)
        return rows

    @staticmethod
    def _packets(base: str, hosts: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for name in [*hosts, "guests"]:
            found = _plan_dir.read(_plan_dir.result_path(base, f"{name}.packets"))
            if found is not None and found["probes"] is None:
                wrong = [f"{name}: {found['msg']}"]
                rows.append({"source": name, "target": "all", "sent": 1, "right": 0, "wrong": wrong})
            elif found is not None:
                rows.extend(found["probes"])
        return rows

    @staticmethod
    def _tunnels(base: str, summary: dict[str, Any], hosts: list[str]) -> list[dict[str, Any]]:
        """A row for each tunnel that the plan has on these hosts, whether they gave an answer or not."""
        answers = {host: _plan_dir.read(_plan_dir.result_path(base, f"{host}.tunnels")) for host in hosts}
        rows = []
        for connection in summary.get("connections", {}).values():
            host = connection["gateway"]
            if host not in answers:
                continue
            found = answers[host]
            told = {item["name"]: item for item in (found or {}).get("tunnels") or []}
            for tunnel in connection["tunnels"]:
                name = tunnel["name"]
                row = {"name": name, "peer": tunnel["peer_outside_address"], "esp": None, "bgp": None, "up": False}
                row.update(verdict="no answer", reason=str((found or {}).get("msg") or ""))
                rows.append({**row, **told.get(name, {}), "host": host})
        return rows
