#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_names
short_description: Ask a hypervisor's name server for the names of guests
version_added: "0.1.0"
description:
  - Asks the name server of role P(plainlinux.vpc.guest_network#role), on each bridge that it serves and in each family,
    for the name of a guest, and compares the answer with the last plan. An answer shows that it runs, that it listens
    on that bridge, and that it has the plan's addresses.
  - Changes nothing, and does not fail when an answer is wrong or missing.
options:
  plan_id:
    description: Identity of the plan that must be used, as M(plainlinux.vpc.plan) returns it.
    type: str
  questions:
    description: Set by the action plugin, what is asked, where, and what the plan says, as JSON.
    type: str
  lab_host:
    description: Set by the action plugin in a lab run, the lab host that this must be.
    type: str
attributes:
  check_mode:
    support: full
    description: The same in check mode.
  diff_mode:
    support: none
    description: There is nothing to differ.
  idempotent:
    support: full
    description: Never reports a change.
extends_documentation_fragment: [plainlinux.vpc.attributes]
seealso:
  - module: plainlinux.vpc.host_files
  - module: plainlinux.vpc.plan
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Ask for names on each bridge
  plainlinux.vpc.guest_names:
  register: __names

- name: Demand that all are known
  ansible.builtin.assert:
    that: __names.wrong | length == 0
    fail_msg: "{{ __names.wrong | join('; ') }}"
"""

RETURN = r"""
asked:
  description: How many questions there were.
  returned: success
  type: int
  sample: 4
wrong:
  description: What was not answered as planned.
  returned: success
  type: list
  elements: str
  sample: ["10.10.10.2 does not know vm1.net1.internal (no answer)"]
"""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import lab_host, name_query

AT_ONCE = 16


def fault(question: dict[str, Any]) -> str:
    """What is wrong with the answer to {server, name, family, addresses}, "" if nothing is."""
    server, name, wanted = question["server"], question["name"], sorted(question["addresses"])
    try:
        found = name_query.addresses(server, name, question["family"])
    except name_query.NoAnswerError as error:
        return f"{server} does not know {name} ({error})"
    if found != wanted:
        return f"{server} says that {name} is {', '.join(found) or 'nothing'}, not {', '.join(wanted)}"
    return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "plan_id": {"type": "str"},
            "questions": {"type": "str"},
            "lab_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    wrong = lab_host.wrong(module.params["lab_host"])
    if wrong or not module.params["questions"]:
        module.fail_json(msg=wrong or "the action plugin of this module did not run")
    questions = json.loads(module.params["questions"])
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        found = list(filter(None, pool.map(fault, questions)))
    module.exit_json(changed=False, asked=len(questions), wrong=found)


if __name__ == "__main__":
    main()
