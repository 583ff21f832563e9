# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a role's files on the controller and hand them to the host in one piece."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fileset
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _fileset, _lab_guard


class ActionModule(ActionBase):
    """Adds the whole set, packed as one string, to the module's arguments."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        # Not validate_argument_spec: its messages hold the refused values, and any value here may be a secret.
        try:
            wanted = fileset.parse(self._task.args)
        except ModelErrors as error:
            return {**result, **_fileset.refused(error)}
        host = str(task_vars["inventory_hostname"])
        lab_host = _lab_guard.lab_host(task_vars, self._templar.template, self._connection, host)
        files = tuple(self._rendered(file, task_vars) for file in wanted.files)
        state = str(self._task.args.get("state") or fileset.STATES[0])
        arguments = _fileset.arguments(dataclasses.replace(wanted, files=files), state, lab_host)
        done = self._execute_module(_fileset.MODULE, module_args=arguments, task_vars=task_vars)
        result.update(_fileset.told(done, arguments))
        return result

    def _rendered(self, file: fileset.File, task_vars: Mapping[str, Any]) -> fileset.File:
        """The file with its template, if it has one, rendered with the options that ansible.builtin.template has."""
        if file.template is None:
            return file
        try:
            path = self._find_needle("templates", file.template)
            source = trust_as_template(self._loader.get_text_file_contents(path))
        except AnsibleError as error:
            raise AnsibleActionFail(f"template of {file.dest}: {error}") from error
        folders = [*task_vars.get("ansible_search_path", []), self._loader.get_basedir(), os.path.dirname(path)]
        templar = self._templar.copy_with_new_env(
            searchpath=[place for folder in folders for place in (os.path.join(folder, "templates"), folder)],
            available_variables=dict(task_vars),
        )
        text = templar.template(source, escape_backslashes=False, overrides={"trim_blocks": True})
        content = "" if text is None else str(text)
        if not fileset.is_text(content):
            raise AnsibleActionFail(f"template of {file.dest}: {fileset.NO_TEXT}")
        return dataclasses.replace(file, template=None, content=content)
