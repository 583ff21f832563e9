#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_config
short_description: Print or write the texts that configure guests without DHCP
version_added: "0.1.0"
description:
  - Prints the texts of one guest, or writes those of all guests of the plan that M(plainlinux.vpc.plan) wrote.
  - See P(plainlinux.vpc.guest_config#filter) for the formats and what is in them.
  - Runs on the controller and opens no connection.
options:
  guest:
    description:
      - The guest whose texts are printed, and returned.
      - Without it those of all guests are written to the folder C(guests) in C(vpc_plan_dir), as
        C(vm1.cloud-init.yaml) or C(vm1.systemd-networkd/10-vpc0.network).
      - Whatever else is in that folder is removed.
    type: str
  format:
    description: The format, as O(plainlinux.vpc.guest_config#filter:format). By default, all.
    type: str
    choices: [cloud-init, netplan, ifupdown, systemd-networkd, xen, libvirt]
  prefix:
    description: As O(plainlinux.vpc.guest_config#filter:prefix).
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Writes nothing.
  diff_mode:
    support: none
    description: The texts of all guests would be long.
  idempotent:
    support: full
    description: A second time, nothing is written.
extends_documentation_fragment: [plainlinux.vpc.attributes]
seealso:
  - plugin: plainlinux.vpc.guest_config
    plugin_type: filter
  - module: plainlinux.vpc.plan
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Print what an image is to be told
  plainlinux.vpc.guest_config:
    guest: vm1
    format: cloud-init
  run_once: true

- name: Write what Xen is to be told of all guests
  plainlinux.vpc.guest_config:
    format: xen
  run_once: true
"""

RETURN = r"""
texts:
  description: The texts by file name.
  returned: with O(guest)
  type: dict
  sample:
    vm1.xen.cfg: |
      # vm1 in net1, by plainlinux.vpc
      vif = [
        'mac=52:54:00:0a:0a:0a,bridge=br-net1,vifname=vm1.0,ip=10.10.10.10',
      ]
path:
  description: The folder with the texts of all guests.
  returned: without O(guest)
  type: str
  sample: /home/me/inventory/.vpc-plan/guests
files:
  description: How many files are there.
  returned: without O(guest)
  type: int
  sample: 12
"""
