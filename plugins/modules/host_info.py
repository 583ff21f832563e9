#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Say what the collection has on a host
version_added: "0.1.0"
description:
  - Lists the roles that are installed, the guests that are plugged in, the security groups with their members, and the
    groups of the host's own guests.
  - Needs no plan, since it reads the host alone, that is its kernel and the files that roles left. It says whether the
    kernel has what the files say.
  - Changes nothing. Shows nothing that others own, and no secret.
  - The same lists are on the host itself, in C(/etc/plainlinux-vpc/security_groups/members/), with one file for each
    group, and in C(/etc/plainlinux-vpc/security_groups/guests).
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
requirements: ["iproute2", "nftables or iptables and ipset", "root"]
seealso:
  - module: plainlinux.vpc.host_state
  - module: plainlinux.vpc.plan
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Ask a hypervisor
  plainlinux.vpc.host_info:
  become: true
  register: __host

- name: Say which guests are in the group web
  ansible.builtin.debug:
    msg: "{{ (__host.groups | selectattr('name', 'eq', 'web') | first).members | map(attribute='guest') | unique }}"

- name: Fail if the kernel does not have a member that it should have
  ansible.builtin.assert:
    that: __host.groups | map(attribute='members') | flatten | selectattr('in_kernel', 'false') | length == 0
"""

RETURN = r"""
roles:
  description: Roles that are installed, in the order in which the host gets them.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The role, as M(plainlinux.vpc.host_state) calls it.
      type: str
      sample: security_groups
    plan_id:
      description: Identity of the plan of the last run that changed something, none if the last run was cut off.
      type: str
      sample: 4f2a90c1
    objects:
      description: How many objects of each subsystem the role has now, elements of sets and files included.
      type: dict
      sample: {"nft": 61, "file": 9}
guests:
  description: Ports that are bound to a guest by the role V(antispoof), in order of name.
  returned: success
  type: list
  elements: dict
  contains:
    port:
      description: Name of the interface.
      type: str
      sample: vif7.0
    mac:
      description: MAC address of the guest.
      type: str
      sample: "52:54:00:0a:0a:0a"
    present:
      description: Whether the interface was there when the port was last looked at.
      type: bool
groups:
  description: Security groups that this host needs to know, in order of name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the group.
      type: str
      sample: web
    members:
      description: Addresses of its members on all hosts.
      type: list
      elements: dict
      contains:
        address:
          description: The address.
          type: str
          sample: 10.10.10.10
        guest:
          description: Name of the guest.
          type: str
          sample: vm1
        in_kernel:
          description: Whether the kernel's set of members has it, none where no rule on this host names the group.
          type: bool
local:
  description: Addresses and networks of guests on this host that are in security groups.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address or network.
      type: str
      sample: 10.10.10.10
    guest:
      description: Name of the guest, none for an address besides its own.
      type: str
      sample: vm1
    groups:
      description: Its groups, in the order that decides.
      type: list
      elements: str
      sample: [web, ssh]
    in_kernel:
      description: Whether the kernel judges the address by its groups.
      type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import host_facts, process, refusal


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        found = host_facts.collect(process.run)
    except refusal.RefusedError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
