# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the guests of all hypervisors to one file, on the controller. Documented in plugins/modules/guest_file.py."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import guest_import
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import SECTION
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import VARIABLE, Source
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs, _instances_file, _plan_dir


class ActionModule(ActionBase):
    """Runs on the controller only; opens no connection."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = self.validate_argument_spec(
            {
                "path": {"type": "str", "required": True},
                "found": {"type": "list", "elements": "dict", "required": True},
                "overwrite": {"type": "bool", "default": False},
            }
        )[1]
        path = _instances_file.locate(task_vars, arguments["path"])
        known, mine = self._inventory(task_vars, path)
        merged = guest_import.merge(arguments["found"], known)
        guests = merged.pop("instances")
        try:
            text = _instances_file.write(path, guests)
            before = _read(path)
            result.update(changed=bool(guests) and text != before, path=path, **merged)
            result["written"] = [guest["name"] for guest in guests]
            if result["changed"] and self._task.diff:
                result["diff"] = {"before": before or "", "after": text, "before_header": path, "after_header": path}
            if result["changed"] and before is not None and not arguments["overwrite"]:
                reason = "has other content than what was found; remove it, or say that it may be replaced"
                return {**result, "changed": False, "failed": True, "msg": f"{path} {reason}"}
            if result["changed"] and not self._task.check_mode:
                _plan_dir.replace(path, [text.removesuffix("\n")])
        except ValueError as error:
            raise AnsibleActionFail(f"path: {error}") from None
        except OSError as error:
            raise AnsibleActionFail(f"{path} cannot be written: {error.strerror}") from None
        hint = "" if mine or not guests else f" Set {VARIABLE}: {arguments['path']}"
        Display().display("\n" + "\n".join([*_lines(merged), f"{len(guests)} guests in {path}.{hint}"]) + "\n")
        return result

    def _inventory(self, task_vars: dict[str, Any], path: str) -> tuple[list[tuple[str, Any]], bool]:
        """(path, item) of each guest that the inventory has elsewhere, and whether it has others from the file."""
        raw = _inputs.guests(task_vars, self._templar.template)
        source = Source(raw.get(VARIABLE))
        items = raw[SECTION] if isinstance(raw[SECTION], (list, tuple)) else []
        found = list(source.places(SECTION, items))
        mine = bool(source.name) and _same(path, _instances_file.locate(task_vars, source.name))
        return found[: len(found) - source.count] if mine else found, mine


def _same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except FileNotFoundError:
        return None


def _lines(merged: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    for item in merged["existing"]:
        yield f"known    {item['hypervisor']} {item['guest']}: {item['reason']}"
    for word, key in (("left out", "left_out"), ("look at ", "notes")):
        for item in merged[key]:
            number = "" if item["interface"] is None else f" interface {item['interface']}"
            yield f"{word} {item['file']}{' ' if item['guest'] else ''}{item['guest'] or ''}{number}: {item['reason']}"
