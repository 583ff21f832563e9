# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab run must never touch a real machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

CONNECTION = "plainlinux.vpc.lab"


def lab_host(task_vars: Mapping[str, Any], template: Callable[[Any], Any], connection: Any, host: str) -> str | None:
    """In a lab run the name that the host's marker must bear, else None. Refuses a lab run over another connection."""
    if not boolean(template(task_vars.get("lab", False)), strict=False):
        return None
    transport = getattr(connection, "ansible_name", "") or getattr(connection, "transport", "")
    if transport != CONNECTION:
        raise AnsibleActionFail(
            f"this is a lab run (lab=true), but the connection to {host} is {transport}, not {CONNECTION}: refused"
        )
    return f"{template(task_vars.get('lab_name', 'lab'))}/{host}"
