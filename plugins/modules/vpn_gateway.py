#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs the module render on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vpn_gateway
short_description: Write the files of a VPN gateway, with the keys of its tunnels
version_added: "0.1.0"
description:
  - Takes the files that the last plan has for the host, puts in the tunnels' pre-shared keys and what only the host
    knows, and hands them to the host in one transaction as M(plainlinux.vpc.render) does it - checked before they are
    written, taken up by the programs that run, put back where one of them fails.
  - Keys come from Ansible's variables at this moment. No plan, diff, message, process list or other file has one. All
    keys that are missing, or that a program would not take, are told at once, before the host is asked anything.
  - The files are the property of role P(plainlinux.vpc.vpn_gateway#role).
options:
  state:
    description:
      - With V(present) the host has the planned files; none, where it has no connection.
      - With V(absent) it has none, and files that were there before are as they were. Needs no plan.
      - V(planned) only reads the plan and the keys. It asks no host and changes nothing.
    type: str
    choices: [planned, present, absent]
    default: present
  plan_id:
    description: Identity of the plan that must be used, as M(plainlinux.vpc.plan) returns it.
    type: str
  hostname:
    description: The host's own name, as C(uname -n) prints it. Required with O(state=present).
    type: str
  forwarding6:
    description:
      - Whether the host forwards IPv6 (sysctl C(net.ipv6.conf.all.forwarding)). FRR would change that unless its
        configuration says the same.
    type: bool
    default: false
  legacy:
    description: Where racoon and Quagga have their files, and what their units are called.
    type: dict
    suboptions:
      racoon:
        description: Folder of C(racoon.conf) and C(psk.txt).
        type: str
        default: /etc/racoon
      policies:
        description: The file that setkey reads.
        type: str
        default: /etc/ipsec-tools.conf
      quagga:
        description: Folder of C(daemons), C(zebra.conf) and C(bgpd.conf).
        type: str
        default: /etc/quagga
      quagga_owner:
        description: User and group that own the files there.
        type: str
        default: quagga
      unit_setkey:
        description: Unit that loads the policies at boot.
        type: str
        default: setkey.service
      unit_racoon:
        description: Unit of racoon.
        type: str
        default: racoon.service
      unit_zebra:
        description: Unit of zebra.
        type: str
        default: zebra.service
      unit_bgpd:
        description: Unit of bgpd.
        type: str
        default: bgpd.service
  differences:
    description: What else was found to differ from the plan. In check mode it is listed in the table of C(verify) too.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: The comparison and the checks are the same; nothing is written but the copies that are checked.
  diff_mode:
    support: full
    description: Shows texts, and owners and modes where they differ. Files with keys show their length only.
  idempotent:
    support: full
    description: A second run changes nothing and runs no program.
extends_documentation_fragment: [plainlinux.vpc.attributes]
seealso:
  - module: plainlinux.vpc.plan
  - module: plainlinux.vpc.render
  - module: plainlinux.vpc.vpn_status
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Refuse keys that are missing before any host is touched
  plainlinux.vpc.vpn_gateway:
    state: planned

- name: Make the gateway's files equal to the plan
  plainlinux.vpc.vpn_gateway:
    hostname: gw
    forwarding6: false
  become: true

- name: Take them away
  plainlinux.vpc.vpn_gateway:
    state: absent
  become: true
"""

RETURN = r"""
provider:
  description: What the plan says about the gateway.
  returned: if a plan was read
  type: str
  sample: strongswan_frr
ipsec:
  description: Who encrypts, V(kernel) or V(userland).
  returned: if a plan was read
  type: str
  sample: kernel
units:
  description: Units that must be enabled and active, in the order of their start.
  returned: if a plan was read
  type: list
  elements: str
  sample: [strongswan.service, frr.service]
tunnels:
  description: Names of the tunnels.
  returned: if a plan was read
  type: list
  elements: str
  sample: [aws1-1, aws1-2]
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
  sample: {"added": ["/etc/swanctl/conf.d/plainlinux-vpc-aws1-1.conf"], "changed": [], "removed": [], "restored": []}
checked:
  description: Programs that checked the files.
  returned: success, not with O(state=planned)
  type: list
  elements: str
  sample: ["vtysh -C -f {dest:/etc/frr/frr.conf}"]
applied:
  description: Programs that took them up, or in check mode would.
  returned: success, not with O(state=planned)
  type: list
  elements: str
  sample: ["swanctl --load-all --noprompt --clear"]
"""
