#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Send packets and compare who answers with the plan
version_added: "0.1.0"
description:
  - Sends pings, and in a lab HTTP requests, and says which arrived as planned.
  - From a host it asks the guests, its own and those on other hypervisors. In a lab it asks from inside every guest,
    each other guest, the gateway, the internet, and addresses that must not answer.
  - In a lab it proves each of C(vpc_expectations) with TCP, UDP or ping, too. For the time of the packets it listens on
    the port in the network namespace of the target, and gives the lab's internet an address of a prefix that is asked
    about.
  - Changes nothing on a host. Fails if a packet did not arrive that should, or arrived where it should not.
options:
  source:
    description:
      - V(host) sends from the host that the task runs on.
      - V(guests) sends from inside the guests of the lab and must run on the controller.
    type: str
    choices: [host, guests]
    default: host
  probes:
    description: Set by the action plugin, the packets to send, as JSON.
    type: str
  attempts:
    description: Set by the action plugin, the packets that prove expectations, as JSON.
    type: str
  lab_name:
    description: Set by the action plugin, the lab whose guests send.
    type: str
attributes:
  check_mode:
    support: full
    description: Packets are sent in check mode too.
  diff_mode:
    support: none
    description: There is nothing to differ.
  idempotent:
    support: full
    description: Never reports a change.
extends_documentation_fragment: [plainlinux.vpc.attributes]
requirements: ["ping of iputils"]
seealso:
  - module: plainlinux.vpc.plan
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Ask the guests from this hypervisor or router
  plainlinux.vpc.probe:

- name: Ask from inside the guests of a lab
  plainlinux.vpc.probe:
    source: guests
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
probes:
  description: What was asked, by sender and kind of target.
  returned: always
  type: list
  elements: dict
  contains:
    source:
      description: Who sent.
      type: str
    target:
      description: Kind of target.
      type: str
    sent:
      description: Number of questions.
      type: int
    right:
      description: How many went as planned.
      type: int
    wrong:
      description: Those that did not, for people.
      type: list
      elements: str
expectations:
  description: What became of the packets that prove C(vpc_expectations).
  returned: in a lab
  type: list
  elements: dict
  contains:
    path:
      description: Of the expectation.
      type: str
      sample: vpc_expectations[0]
    text:
      description: The packet, for people.
      type: str
    outcome:
      description: V(answered), V(refused), V(unreachable) or V(silent); empty where nothing could be sent.
      type: str
    sent:
      description: Whether it could be sent. One that no lab can send proves nothing, and is no failure.
      type: bool
    fault:
      description: How it differs from what the plan says, or why nothing could be sent.
      type: str
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import probing
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.expect import Probe
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.proof import Attempt


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "choices": ["host", "guests"], "default": "host"},
            "probes": {"type": "str"},
            "attempts": {"type": "str"},
            "lab_name": {"type": "str"},
        },
        supports_check_mode=True,
    )
    probes = [Probe(*item) for item in json.loads(module.params["probes"] or "[]")]
    attempts = [Attempt(*item) for item in json.loads(module.params["attempts"] or "[]")]
    lab = module.params["lab_name"] if module.params["source"] == "guests" else None
    found = probing.run_all(probes, lab)
    proved = probing.prove(attempts, lab) if lab else []
    wrong = [text for row in found for text in row["wrong"]]
    wrong += [f"{row['text']}: {row['fault']}" for row in proved if row["fault"] and row["sent"]]
    answer = {"probes": found, "expectations": proved}
    if wrong:
        module.fail_json(msg=f"{len(wrong)} packets went wrong: {'; '.join(wrong[:5])}", **answer)
    module.exit_json(changed=False, **answer)


if __name__ == "__main__":
    main()
