# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the inventory and the lock file to a plan in its folder."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from ansible.errors import AnsibleActionFail
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import VARIABLE as INSTANCES_FILE
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import Source
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import Lock, render
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock_read import read as read_lock
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.changes import Change
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.settle import settle
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs, _plan_dir


class Planned(NamedTuple):
    """A plan that lies in its folder. before, after: text of the lock file, None without one. changes: between them."""

    summary: dict[str, Any]
    before: str | None
    after: str | None
    changes: list[Change]


@contextmanager
def without_collector() -> Iterator[None]:
    """100,000 guests are a million objects without a cycle; looking for cycles takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def planned(raw: Mapping[str, Any], base: str, before: str | None, name: str, look: bool) -> Planned:
    """The plan of the inputs and the lock file. What lies in the folder already is not written again.

    raw: as _inputs.gather gives it. before: text of the lock file, None without one. name: of the lock file. look:
    whether the changes are wanted where the plan is known. Raises ModelErrors with every mistake in both.
    """
    inputs = _inputs.identity(raw)
    summary = _plan_dir.read(os.path.join(base, _plan_dir.SUMMARY)) or {}
    if not look and summary.get("id") == identity(inputs, before):
        return Planned(summary, before, before, [])
    errors: list[ModelError] = []
    lock = Lock(name)
    model = None
    try:
        lock = read_lock(before, name) if before is not None else lock
    except ModelErrors as error:
        errors += error.errors
    try:
        model = parse(raw)
    except ModelErrors as error:
        errors += error.errors
    if model is None or errors:
        raise ModelErrors(errors)
    try:
        settled = settle(model, lock)
    except ModelErrors as error:
        # The model's own are told so already.
        source = Source(raw.get(INSTANCES_FILE))
        raise ModelErrors(source.told(item) for item in error.errors) from None
    after = render(settled.lock) if settled.lock or before is not None else None
    plan_id = identity(inputs, after)
    if summary.get("id") != plan_id:
        summary = write(Plan(model, plan_id, settled), base)
    return Planned(summary, before, after, settled.changes)


def identity(inputs: str, lock: str | None) -> str:
    """That of a plan. What was allocated is a part of what decides it. inputs: digest of the inventory."""
    return hashlib.sha256(f"{inputs} {lock}".encode()).hexdigest()[: len(inputs)] if lock is not None else inputs


def write(plan: Plan, base: str) -> dict[str, Any]:
    """Replace what lies in the folder by this plan; gives its summary."""
    wanted = set()
    try:
        _plan_dir.write(os.path.join(base, _plan_dir.COMMON), plan.common())
        for host, content in plan.hosts():
            path = _plan_dir.host_path(base, host)
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
