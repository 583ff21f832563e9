#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_file
short_description: Write guests that were found on hypervisors to a file of the inventory
version_added: "0.1.0"
description:
  - Writes what M(plainlinux.vpc.guest_import) returned on each hypervisor to one file, in the form in which
    C(vpc_instances_file) is read, and prints what is not in it and why.
  - Guests that the inventory has already, by their name or the MAC address of an interface, are not written, unless it
    has them from this very file. A guest that is on two hypervisors is written once, for the first of them.
  - Runs on the controller and touches no host.
options:
  path:
    description:
      - The file, relative to the inventory's folder. Its ending decides the form, which is C(.csv), C(.yml), C(.yaml)
        or C(.json), each also with C(.txt) after it.
      - Where the folder is given to Ansible as the inventory, let the name end with C(.txt), or put the file into
        C(group_vars). Ansible takes other files there for inventories.
    type: str
    required: true
  found:
    description: The results of M(plainlinux.vpc.guest_import), one for each hypervisor.
    type: list
    elements: dict
    required: true
  overwrite:
    description: Replace a file whose content is different. By default that is refused.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Prints the same and writes nothing.
  diff_mode:
    support: full
    description: Shows the difference between the old file and the new one.
  idempotent:
    support: full
    description: The same guests are the same file, and no change.
extends_documentation_fragment: [plainlinux.vpc.attributes]
seealso:
  - module: plainlinux.vpc.guest_import
  - module: plainlinux.vpc.plan
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Read the guests of each hypervisor
  plainlinux.vpc.guest_import:
    hypervisor: "{{ inventory_hostname }}"
    networks: "{{ vpc_networks }}"
  become: true
  register: __guests

- name: Write them to one file
  plainlinux.vpc.guest_file:
    path: group_vars/guests.csv
    found: "{{ ansible_play_hosts | map('extract', hostvars, '__guests') | list }}"
  run_once: true
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /srv/inventory/group_vars/guests.csv
written:
  description: Names of the guests in the file.
  returned: success
  type: list
  elements: str
existing:
  description: Guests that the inventory has already, and why they are taken for the same.
  returned: success
  type: list
  elements: dict
  contains:
    guest:
      description: Name of the guest that was found.
      type: str
    hypervisor:
      description: Where it was found.
      type: str
    reason:
      description: What the inventory has.
      type: str
      sample: the name is that of vpc_instances[3]
left_out:
  description: RV(plainlinux.vpc.guest_import#module:left_out) of all hypervisors.
  returned: success
  type: list
  elements: dict
notes:
  description: RV(plainlinux.vpc.guest_import#module:notes) of all hypervisors.
  returned: success
  type: list
  elements: dict
"""
