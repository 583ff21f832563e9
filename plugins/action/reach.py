# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer whether one reaches another, from the plan alone; in a lab, prove it with packets."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.expectation import PING
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import ACCEPT, DROP
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import proof, question, texts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.expectations import Result
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.question import Question
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.world import World
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir

_SPEC = {
    "from": {"type": "str", "required": True},
    "to": {"type": "str", "required": True},
    "port": {"type": "str", "default": PING},
    "family": {"type": "int", "choices": [4, 6]},
    "expect": {"type": "str", "choices": [ACCEPT, DROP]},
}


class ActionModule(ActionBase):
    """Runs on the controller only; opens no connection, but in a lab run to this machine itself."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        template = self._templar.template
        arguments = self.validate_argument_spec(_SPEC)[1]
        world = World(_plan_dir.summary(_plan_dir.folder(task_vars, template)))
        try:
            asked = _read(world, arguments)
        except ValueError as error:
            return {**result, "failed": True, "msg": str(error)}
        expected = None if arguments["expect"] is None else arguments["expect"] == ACCEPT
        answer = question.ask(world, asked, expected)
        found = Result("", asked, answer.verdict != DROP if expected is None else expected, answer, None)
        packets = []
        if boolean(template(task_vars.get("lab", False)), strict=False):
            attempts = list(proof.attempts(world, [found]))
            sent = self._execute_module(
                "plainlinux.vpc.probe",
                module_args={
                    "source": "guests",
                    "attempts": json.dumps(attempts),
                    "lab_name": str(template(task_vars.get("lab_name", "lab"))),
                },
                task_vars=task_vars,
            )
            packets = sent.get("expectations")
            if packets is None:
                return {**result, "failed": True, "msg": f"no packet could be sent: {sent.get('msg')}"}
        Display().display(f"\n{texts.of_answer(found, packets)}\n")
        result.update(
            changed=False,
            verdict=answer.verdict,
            path=answer.path,
            reason=answer.reason,
            steps=list(answer.decisive.way.steps) if answer.decisive is not None else [],
            not_known=list(answer.decisive.way.unknown) if answer.decisive is not None else [],
            packets=packets,
        )
        faults = [f"{item['text']}: {item['fault']}" for item in packets if item["sent"] and item["fault"]]
        if expected is not None and question.fulfils(answer, expected) is not True:
            faults.insert(0, found.message)
        return {**result, "failed": True, "msg": "; ".join(faults)} if faults else result


def _read(world: World, arguments: dict[str, Any]) -> Question:
    """The question. Raises ValueError; its text starts with the word's name."""
    for key in ("from", "to"):
        try:
            question.check(world, arguments[key])
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    try:
        protocol, port = question.parse_port(arguments["port"])
    except ValueError as error:
        raise ValueError(f"port: {error}") from None
    question.check_pair(world, arguments["from"], arguments["to"])
    return Question(arguments["from"], arguments["to"], protocol, port, arguments["family"] or 0)
