# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of files on its way to the module render, from whichever action plugin made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import Fileset
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir

MODULE = "plainlinux.vpc.render"


class _Arguments(dict[str, Any]):
    """Arguments that are not in the log of a controller with ANSIBLE_DEBUG, which has those of every other module."""

    def __repr__(self) -> str:
        return f"{{{', '.join(self)}}}"


def arguments(wanted: Fileset, state: str, lab_host: str | None) -> dict[str, Any]:
    """Arguments of the module, with the set as one packed string. lab_host: see _lab_guard."""
    return _Arguments(
        role=wanted.role,
        state=state,
        fileset=_plan_dir.pack(wanted.plain()),
        lab_host=lab_host,
    )


def told(result: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The module's result without what was sent: a host whose interpreter is none may print the module."""
    packed = sent["fileset"]
    return {
        key: value.replace(packed, "(files)") if isinstance(value, str) and packed in value else value
        for key, value in result.items()
    }


def refused(error: ModelErrors) -> dict[str, Any]:
    """The result of a task whose set cannot be read."""
    listed = [{"path": item.path, "message": item.message} for item in error.errors]
    return {"failed": True, "msg": str(error), "errors": listed}
