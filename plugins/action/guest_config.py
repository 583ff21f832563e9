# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print or write the texts that configure guests without DHCP."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.formats import (
    FORMATS,
    check_format,
    files,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import Unfit
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _guest_files, _plan_dir

_FOLDER = "guests"
_SHOWN = 10


class ActionModule(ActionBase):
    """Runs on the controller only; opens no connection."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self.validate_argument_spec(
            {"guest": {"type": "str"}, "format": {"type": "str"}, "prefix": {"type": "str", "default": ""}}
        )[1]
        base = _plan_dir.folder(task_vars or {}, self._templar.template)
        summary = _plan_dir.summary(base)
        guest, chosen = arguments["guest"], arguments["format"]
        unfit: list[str] = []
        try:
            if chosen:
                check_format(chosen)
            names = [guest] if guest else list(summary["instances"])
            found = _texts(summary, names, [chosen] if chosen else FORMATS, arguments["prefix"], unfit)
            if guest:
                texts = dict(found)
                _print(texts)
                result.update(changed=False, texts=texts)
            else:
                folder = os.path.join(base, _FOLDER)
                changed, count = _guest_files.replace(folder, found, self._task.check_mode)
                Display().display(f"\n{count} files {'would be' if self._task.check_mode else 'are'} in {folder}\n")
                result.update(changed=changed, path=folder, files=count)
        except (ValueError, OSError) as error:
            return {**result, "failed": True, "msg": str(error)}
        lines = unfit[:_SHOWN] + ([f"and {len(unfit) - _SHOWN} more"] if len(unfit) > _SHOWN else [])
        if unfit and chosen:
            return {**result, "failed": True, "msg": "\n".join(lines)}
        result["warnings"] = lines
        return result


def _texts(
    summary: Mapping[str, Any], names: Iterable[str], forms: Iterable[str], prefix: str, unfit: list[str]
) -> Iterator[tuple[str, str]]:
    """(file name, text) of guests in formats. unfit: takes why some guest has none in some format."""
    for name in names:
        for form in forms:
            try:
                yield from files(summary, name, form, prefix).items()
            except Unfit as error:
                unfit.append(str(error))


def _print(texts: Mapping[str, str]) -> None:
    parts = [text if len(texts) == 1 else f"--- {name}\n{text}" for name, text in texts.items()]
    Display().display("\n" + "\n".join(parts))
