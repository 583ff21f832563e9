# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder on the controller in which a plan lies: one summary, and a file for each host."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import merge, whole

SUMMARY = "plan.json"
COMMON = "common.json"
DEFAULT = ".vpc-plan"


def folder(task_vars: Mapping[str, Any], template: Callable[[Any], Any]) -> str:
    """vpc_plan_dir, by default a hidden folder beside the inventory."""
    chosen = task_vars.get("vpc_plan_dir")
    if chosen:
        return os.path.abspath(os.path.expanduser(str(template(chosen))))
    return os.path.join(inventory_folder(task_vars), DEFAULT)


def inventory_folder(task_vars: Mapping[str, Any]) -> str:
    """Where the inventory lies; the working directory where it is no file."""
    found = str(task_vars.get("inventory_dir"))
    # Ansible itself makes a string of what is None.
    return os.getcwd() if found in ("None", "") else os.path.abspath(found)


def host_path(base: str, host: str) -> str:
    """What a host gets, of all its roles: a file for each of them would cost more than what is in it."""
    return os.path.join(base, "hosts", f"{host}.json")


def result_path(base: str, name: str) -> str:
    """Where a step of verify leaves what it found."""
    return os.path.join(base, "verify", f"{name}.json")


def read(path: str) -> dict[str, Any] | None:
    """A file's mapping, None where it is missing or not whole."""
    try:
        with open(path, encoding="utf-8") as handle:
            content = json.load(handle)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def summary(base: str) -> dict[str, Any]:
    """The summary of the plan that lies in a folder; without one, the task fails."""
    found = read(os.path.join(base, SUMMARY))
    if found is None:
        raise AnsibleActionFail(f"there is no plan in {base}: run plainlinux.vpc.plan first")
    return found


def write(path: str, content: Mapping[str, Any]) -> None:
    """Replace a file as a whole."""
    replace(path, [json.dumps(content, separators=(",", ":"))])


def write_summary(base: str, content: Mapping[str, Any]) -> None:
    """The summary, each host, network and guest on a line of its own: for people, and for comparing two plans."""
    parts = []
    for key, value in content.items():
        if isinstance(value, dict):
            lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items())
            parts.append(f' "{key}": {{\n{lines}\n }}' if lines else f' "{key}": {{}}')
        else:
            parts.append(f' "{key}": {json.dumps(value)}')
    replace(os.path.join(base, SUMMARY), ["{\n", ",\n".join(parts), "\n}"])


def replace(path: str, texts: Iterable[str]) -> None:
    """Write a text file, and its folder, such that there is always a whole one."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.writelines(texts)
            handle.write("\n")
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_slice(base: str, host: str, role: str) -> dict[str, Any] | None:
    """The whole slice of a role on a host, None where the plan has none."""
    found = _part(base, host, "slices", role)
    content = whole(found) if found is not None else None
    if content is not None and content["common"]:
        common = read(os.path.join(base, COMMON))
        return merge(content, common) if common is not None and common["id"] == content["id"] else None
    return content


def read_files(base: str, host: str, role: str) -> dict[str, Any] | None:
    """The file plan of a role on a host, None where the plan has none."""
    return _part(base, host, "files", role)


def _part(base: str, host: str, kind: str, role: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (read(host_path(base, host)) or {}).get(kind, {}).get(role)
    return found


def pack(content: Mapping[str, Any]) -> str:
    """One string that carries a slice to its host: 100,000 routes as a list argument cost 13 s, so packed 3 s."""
    return base64.b64encode(zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 1)).decode()
