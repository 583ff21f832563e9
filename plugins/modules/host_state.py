#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Make a host's kernel equal to its slice of the plan
version_added: "0.1.0"
description:
  - Converges links, bridge ports, addresses, neighbours, sysctls, kernel modules, policy rules, routes, ipsets,
    iptables chains and nftables tables of one role on one host, in one round trip and as one transaction.
  - Reads what the role owns on the host, compares it with the plan, writes the difference, reads back, and writes
    the files from which C(plainlinux-vpc.service) restores the same state at boot.
  - Owns what bears its mark and nothing else. Routes, policy rules and neighbours of originator 173 (hypervisor) or 174
    (router), bridges whose alias is C(plainlinux.vpc:ROLE), nftables tables C(plainlinux_ROLE), ipsets and iptables
    chains C(vpc-ROLE-*), files that it recorded under C(/etc/plainlinux-vpc/). Objects of others are neither changed
    nor re-ordered.
  - Role O(role=antispoof) owns the table C(bridge plainlinux_antispoof), chains C(vpc-antispoof-*), the program
    C(/etc/plainlinux-vpc/antispoof/vif) with its records below C(/run/plainlinux-vpc/), hooks of Xen, libvirt and udev
    that call it, and settings of guests' bridge ports and of the bridges that the plan names. These settings get their
    former values back with O(state=absent).
  - Role O(role=security_groups) owns the tables C(plainlinux_security_groups), ipsets and iptables chains C(vpc-sg-*),
    lists of members below C(/etc/plainlinux-vpc/security_groups/), and the value C(0x5ec5) in the upper half of marks
    of connections. After a change of rules or members it ends the flows of this host's guests that are no longer
    allowed, and says in RV(commands) how many. All others go on. A flow that was ended stays in conntrack with that
    mark, by which its packets are dropped, and goes on if it is allowed again; only ICMP is deleted from conntrack. A
    program that overwrites whole marks of connections brings such a flow back.
  - C(br_netfilter), where it is loaded by this module, gets C(net.bridge.bridge-nf-call-*tables) C(0), unless
    C(sysctl.d) says otherwise, so that only bridges that need it hand their packets over. It stays loaded with
    O(state=absent). Where it had been loaded before, these sysctls are left alone.
  - Warns about chains of others that drop forwarded packets by their policy, which no rule of ours can overrule.
  - Guests that were plugged in since the last run keep what they may send. The program waits while a run changes
    anything, and a run waits for it.
  - If a write fails, what had been written is undone and the module fails with the program, its status, its message
    and the refused line.
  - The plan comes from M(plainlinux.vpc.plan), which must have run before.
options:
  role:
    description: The role whose slice is applied.
    type: str
    required: true
    choices: [antispoof, security_groups, hypervisor, router, vpn_gateway]
  state:
    description: V(absent) removes everything that the role owns on the host.
    type: str
    choices: [present, absent]
    default: present
  confirm_removal:
    description:
      - Allow a run that removes more than half of what the role has on this host. Without it such a run is refused,
        because an empty or filtered inventory looks just like that. Of O(role=antispoof), guests are counted.
    type: bool
    default: false
  plan_id:
    description:
      - The identity of the plan that must be applied, as returned by M(plainlinux.vpc.plan). Any other is refused.
    type: str
  slice:
    description: Set by the action plugin, the host's slice of the plan, packed.
    type: str
  lab_host:
    description: Set by the action plugin in a lab run, the lab host that this must be.
    type: str
attributes:
  check_mode:
    support: full
    description: The comparison is the same; nothing is written.
  diff_mode:
    support: full
    description: Shows owned objects that differ.
  idempotent:
    support: full
    description: A second run changes nothing.
extends_documentation_fragment: [plainlinux.vpc.attributes]
requirements:
  - iproute2
  - nftables or iptables and ipset
  - nftables for roles antispoof and security_groups
  - conntrack for role security_groups
  - kernel 5.10 or later
seealso:
  - module: plainlinux.vpc.plan
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Plan once, on the controller
  plainlinux.vpc.plan:
  run_once: true
  register: vpc_plan

- name: Apply the hypervisor's slice
  plainlinux.vpc.host_state:
    role: hypervisor
    plan_id: "{{ vpc_plan.id }}"

- name: Show what would change on a router
  plainlinux.vpc.host_state:
    role: router
  check_mode: true
  diff: true

- name: Remove all that the router role owns
  plainlinux.vpc.host_state:
    role: router
    state: absent
"""

RETURN = r"""
plan:
  description: How many objects were, or in check mode would be, written, by subsystem.
  returned: always
  type: dict
  sample: {"route": {"added": 2, "changed": 0, "removed": 1}}
objects:
  description: Names of the objects, at most 50, as C(subsystem key).
  returned: always
  type: list
  elements: str
  sample: ["route 4 254 10.10.10.10"]
commands:
  description: >-
    Programs that were run to write, with the number of lines on their standard input, and how many flows were ended.
  returned: always
  type: list
  elements: str
  sample: ["ip -4 -batch - (2 lines)"]
"""

import base64
import json
import zlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import lab_host, result, transaction
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "required": True, "choices": list(SCOPES)},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "confirm_removal": {"type": "bool", "default": False},
            "plan_id": {"type": "str"},
            # Nothing secret, but too long for the log of every run.
            "slice": {"type": "str", "no_log": True},
            "lab_host": {"type": "str"},
        },
        required_if=[("state", "present", ("slice",))],
        supports_check_mode=True,
    )
    params = module.params
    wrong = lab_host.wrong(params["lab_host"])
    if wrong:
        module.fail_json(msg=wrong)
    absent = params["state"] == "absent"
    content = {} if absent else json.loads(zlib.decompress(base64.b64decode(params["slice"])))
    limit = None if absent or params["confirm_removal"] else transaction.REMOVAL_LIMIT
    options = transaction.Options(check=module.check_mode, removal_limit=limit)
    try:
        done = transaction.Transaction(SCOPES[params["role"]], content, options).apply()
    except (transaction.RefusedError, transaction.LockedError) as error:
        module.fail_json(msg=f"{str(error).rstrip('.')}. Nothing was changed.")
    except transaction.FailedError as error:
        module.fail_json(msg=str(error))
    for warning in done.warnings:
        module.warn(warning)
    module.exit_json(**result.present(done.deltas, done.commands, diff=module._diff))


if __name__ == "__main__":
    main()
