#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Compute what every host must look like
version_added: "0.1.0"
description:
  - Reads the inventory's model, refuses what cannot work with all mistakes at once, and writes the plan. Each mistake
    has the path into the inventory, the value and what is allowed.
  - Runs on the controller, opens no connection and needs no facts. The whole inventory is planned, whatever
    C(--limit) says.
  - Writes C(plan.json), and for each host one file with the slices of its roles and the files of its programs, to the
    folder C(vpc_plan_dir), by default C(.vpc-plan) beside the inventory. The same inventory gives the same bytes; if
    nothing changed, nothing is computed again.
  - What the inventory leaves out, which is addresses and MACs of guests, route tables and MACs of bridges, is allocated
    once. The file C(vpc_lock_file), by default C(vpc-lock.txt) beside the inventory, keeps it; a relative path is
    looked for there, too. It is read always, is a part of what decides the plan, and is meant to be committed with the
    inventory. Without it the same is allocated as long as no guest or network comes or goes.
  - An address that is freed is kept for the guest that had it, and given to another only after 16 others of its network
    have been, or where nothing else is left.
  - Pre-shared keys are looked at and forgotten. What is written has none of them, nor anything that depends on one. A
    key in a variable that C(psk_variable) names is not looked at here.
  - Answers each of C(vpc_expectations) by walking the plan, and fails where one is not fulfilled.
  - Warns of guests without a security group where groups are in use, and of hosts with groups whose guard is off.
  - Guests may also be in a file that C(vpc_instances_file) names, relative to the inventory's folder, as CSV, YAML or
    JSON. They are appended to C(vpc_instances), and nothing in the file is a template. CSV names the keys of a guest in
    its first line; an empty cell is a key that is left out, words in a cell are separated by blanks, C(allowed_pairs)
    are written C(mac=address), and a line with the name of a guest above and no hypervisor is one more interface of it.
    In a folder that Ansible is given as the inventory, end its name with C(.txt), or keep it in C(group_vars).
  - Takes no model as an option, because 100,000 guests as an option cost 13 seconds. It reads the variables
    C(vpc_networks), C(vpc_instances), C(vpc_vpn_connections), C(vpc_security_groups), C(vpc_prefix_lists),
    C(vpc_peerings), C(vpc_public_addresses), C(vpc_port_forwards), C(vpc_nat_pools), C(vpc_expectations) and, for
    each host in the groups C(hypervisors), C(routers) and C(vpn_gateways), C(vpc_underlay_address) (default
    C(ansible_host)), C(vpc_underlay_address6) (default C(fe80::) with the IPv4 address embedded), C(vpc_backend)
    (V(nftables) or
    V(iptables)) and, for hypervisors, C(vpc_antispoof) (default V(true)) and C(vpc_antispoof_trusted_ports) (names of
    bridge ports that are nobody's guests), for VPN gateways C(vpn_gateway_provider) (V(strongswan_frr) or
    V(racoon_quagga)) and C(vpn_gateway_ipsec_backend) (V(kernel) or V(userland)).
options:
  lock:
    description:
      - What to do with what is allocated now.
      - V(read) writes nothing, and warns of it.
      - V(write) writes it to C(vpc_lock_file), as a whole, and only where no other run has written meanwhile. In check
        mode, with C(lab=true), and where one of C(vpc_expectations) is refused, nothing is written. Without anything to
        keep no file is made.
    type: str
    choices: [read, write]
    default: read
  show:
    description: Return the plan as tables for people, too.
    type: bool
    default: false
  unfulfilled:
    description:
      - What to do where the plan does not fulfil one of C(vpc_expectations).
      - V(refuse) fails, with the path of the expectation and the object that decides. The plan is written all the same,
        for M(plainlinux.vpc.reach) to tell more.
      - V(warn) says the same as a warning.
    type: str
    choices: [refuse, warn]
    default: refuse
attributes:
  check_mode:
    support: full
    description:
      - Hosts are never touched; the plan is written in check mode too, for the tasks that compare with it. The lock
        file is not.
  diff_mode:
    support: none
    description: The plan is no state of a host.
  idempotent:
    support: full
    description: Reports a change where it writes C(vpc_lock_file), and never else.
extends_documentation_fragment: [plainlinux.vpc.attributes]
seealso:
  - module: plainlinux.vpc.host_state
  - module: plainlinux.vpc.reach
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Plan the private networks
  plainlinux.vpc.plan:
  run_once: true
  register: vpc_plan

- name: Keep what the inventory leaves out
  plainlinux.vpc.plan:
    lock: write
  run_once: true

- name: Plan, and return the tables
  plainlinux.vpc.plan:
    show: true
  run_once: true
"""

RETURN = r"""
id:
  description: Identity of the plan. Equal inventories have equal ones.
  returned: success
  type: str
  sample: 3b0c44298fc1c149
path:
  description: The plan's summary on the controller.
  returned: success
  type: str
  sample: /srv/inventory/.vpc-plan/plan.json
lock_file:
  description: What keeps allocations, whether it is there or not.
  returned: success
  type: str
  sample: /srv/inventory/vpc-lock.txt
allocations:
  description: What differs between C(vpc_lock_file) and what it has to say, as a table; empty where nothing does.
  returned: success and O(lock=write)
  type: str
tables:
  description: The plan for people, with what is to be allocated.
  returned: success and O(show=true)
  type: str
errors:
  description:
    - Every mistake in the inventory and in C(vpc_lock_file), or every expectation that the plan does not fulfil.
  returned: failure
  type: list
  elements: dict
  contains:
    path:
      description: Where in the inventory, or file and line.
      type: str
      sample: vpc_instances[3].address
    message:
      description: The value and what is allowed.
      type: str
"""
