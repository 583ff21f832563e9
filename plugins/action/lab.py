# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build or remove a lab. Documented in plugins/modules/lab.py."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _psks
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import build, image, teardown, topology
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError

PROGRAMS = ("ip", "systemd-nspawn", "nsenter", "unshare", "mount", "umount", "modprobe", "sysctl")
BUILDERS = ("debootstrap", "dpkg-deb")
FORWARDERS = ("nft",)


class ActionModule(ActionBase):
    """Runs on the controller, once, whatever the host of the task is."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Validate the options, build or remove the lab, and report."""
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(
            argument_spec={
                "name": {"type": "str", "default": "lab"},
                "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
                "plan": {"type": "path"},
                "suite": {"type": "str", "default": "bookworm", "choices": list(image.SUITES)},
                "cache_dir": {"type": "path"},
                "packages": {"type": "list", "elements": "str", "default": ["nftables", "iptables", "ipset"]},
                "mirror": {"type": "str"},
            },
            required_if=[("state", "present", ("plan",))],
        )
        check = bool(self._task.check_mode)
        try:
            topology.check_lab_name(options["name"])
            if os.geteuid() != 0:
                raise LabError("a lab is made of namespaces and mounts: ansible-playbook must run as root")
            if options["state"] == "absent":
                removed = teardown.absent(options["name"], check)
                return {"changed": bool(removed), "removed": removed, "name": options["name"]}
            return self._present(options, check, task_vars or {})
        except (LabError, OSError) as error:
            raise AnsibleActionFail(f"lab {options['name']}: {error}") from error

    def _present(self, options: dict[str, Any], check: bool, task_vars: dict[str, Any]) -> dict[str, Any]:
        plan = Path(options["plan"])
        try:
            content = json.loads(plan.read_text(encoding="utf-8"))
            wanted = topology.build(content, options["name"])
        except (OSError, ValueError) as error:
            raise LabError(f"plan: {plan} cannot be read: {error}") from error
        cache = options["cache_dir"] or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "plainlinux-vpc", "lab"
        )
        choice = build.Options(
            suite=options["suite"],
            packages=tuple(options["packages"]),
            cache=Path(cache).resolve(),
            mirror=options["mirror"] or None,
        )
        if not check:
            cached = all(
                path.is_dir() for path in image.layers(choice.cache, choice.suite, choice.packages, choice.mirror)
            )
            needed = (*PROGRAMS, *(() if cached else BUILDERS), *(FORWARDERS if wanted.connections else ()))
            missing = [name for name in needed if not shutil.which(name)]
            if missing:
                raise LabError(f"programs are missing: {', '.join(missing)}; the role plainlinux.vpc.lab installs them")
        report = build.present(wanted, choice, self._keys(content, task_vars), check)
        result: dict[str, Any] = {
            "changed": report.changed,
            "name": wanted.lab,
            "image_built": report.image_built,
            "hosts": report.hosts,
            "guests": report.guests,
            "removed": report.removed,
            "waiting": report.waiting,
            "failed_units": report.failed_units,
            "gateways": list(wanted.gateways),
            "connections": {
                connection.name: {
                    "endpoints": {tunnel.name: tunnel.peer for tunnel in connection.tunnels},
                    "vpc_host": connection.vpc_host,
                    "address": connection.address,
                }
                for connection in wanted.connections
            },
        }
        for host, units in report.failed_units.items():
            self._display.warning(f"lab host {host} is degraded: {', '.join(units)}")
        if report.failed:
            result["failed"] = True
            result["msg"] = "; ".join(f"{name}: {text}" for name, text in sorted(report.failed.items()))
        return result

    def _keys(self, plan: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, str]:
        """The pre-shared key of each tunnel, by name: what the gateway's own variables say."""
        found: dict[str, str] = {}
        for connection in (plan.get("connections") or {}).values():
            variables = task_vars["hostvars"][connection["gateway"]]
            found |= _psks.keys(variables, self._templar.template, connection["tunnels"])
        return found
