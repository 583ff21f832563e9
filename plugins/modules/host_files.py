#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs modules on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Make a role's files and units on a host equal to the plan
version_added: "0.1.0"
description:
  - Takes the files that the last plan has for a role on the host, and hands them to the host in one transaction as
    M(plainlinux.vpc.render) does it - checked before they are written, taken up by the programs that run, put back
    where one of them fails.
  - Then enables and starts the role's units that are not. Where the plan has none for the host, those of earlier plans
    are stopped, disabled and removed.
  - The plan comes from M(plainlinux.vpc.plan), which must have run before.
options:
  role:
    description: The role whose files and units these are.
    type: str
    required: true
    choices: [guest_network]
  state:
    description:
      - With V(present) the host has the planned files and units; none, where the plan has none for it.
      - With V(absent) it has none, and files that were there before are as they were. Needs no plan.
      - V(planned) only reads the plan. It asks no host and changes nothing.
    type: str
    choices: [planned, present, absent]
    default: present
  plan_id:
    description: Identity of the plan that must be used, as M(plainlinux.vpc.plan) returns it.
    type: str
attributes:
  check_mode:
    support: full
    description: The comparison and the checks are the same; nothing is written but the copies that are checked.
  diff_mode:
    support: full
    description: Shows the files' texts, and owners and modes where they differ.
  idempotent:
    support: full
    description: A second run changes nothing and runs no program but those that tell the state of units.
extends_documentation_fragment: [plainlinux.vpc.attributes]
requirements: [systemd]
seealso:
  - module: plainlinux.vpc.plan
  - module: plainlinux.vpc.render
  - module: plainlinux.vpc.host_state
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Make the files equal to the plan
  plainlinux.vpc.host_files:
    role: guest_network
  become: true

- name: Take them away
  plainlinux.vpc.host_files:
    role: guest_network
    state: absent
  become: true
"""

RETURN = r"""
units:
  description: Units that the plan has for the host.
  returned: success
  type: list
  elements: str
  sample: [plainlinux-vpc-guest-network.service]
settled:
  description: What was done, or in check mode would be, so that units are enabled and active.
  returned: success, not with O(state=planned)
  type: list
  elements: str
  sample: ["enable plainlinux-vpc-guest-network.service", "start plainlinux-vpc-guest-network.service"]
files:
  description: Paths that were, or in check mode would be, written.
  returned: success, not with O(state=planned)
  type: dict
  contains:
    added:
      description: New files.
      type: list
      elements: str
    changed:
      description: Files whose content, owner, group or mode differed.
      type: list
      elements: str
    removed:
      description: Files that are no longer planned.
      type: list
      elements: str
    restored:
      description: Files that are no longer planned and are again what they were before.
      type: list
      elements: str
  sample: {"added": ["/etc/plainlinux-vpc/guest_network/hosts"], "changed": [], "removed": [], "restored": []}
checked:
  description: Programs that checked the files.
  returned: success, not with O(state=planned)
  type: list
  elements: str
  sample: ["dnsmasq --test --conf-file={dest:/etc/plainlinux-vpc/guest_network/dnsmasq.conf}"]
applied:
  description: Programs that took them up, or in check mode would.
  returned: success, not with O(state=planned)
  type: list
  elements: str
  sample: ["systemctl daemon-reload"]
"""
