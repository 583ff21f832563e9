#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: reach
short_description: Tell whether one reaches another, and what decides it
version_added: "0.1.0"
description:
  - Walks a packet and its answer through the plan that M(plainlinux.vpc.plan) wrote. It passes security groups, network
    ACLs, isolation of VPCs, peerings, routes and address translation, and stops at the first object that does not let
    it pass.
  - Prints the verdict, the object that decides with its path in the inventory, the steps, and what no plan knows.
  - Runs on the controller and opens no connection. In a lab run (C(lab=true)) it also proves the answer with packets.
options:
  from:
    description:
      - Who asks. A guest, C(guest.N) for its interface N, a host, V(internet), an address or a prefix.
      - The internet is one address that no rule is likely to name. From a prefix, one address of each kind asks.
    type: str
    required: true
  to:
    description: Who is asked, in the same words. A guest is also asked at its public address, by whoever is outside.
    type: str
    required: true
  port:
    description: C(tcp/443), C(udp/53) or V(ping).
    type: str
    default: ping
  family:
    description: The only address family to look at. By default, each that both have.
    type: int
    choices: [4, 6]
  expect:
    description: Fail where the answer is another one, or where others decide it.
    type: str
    choices: [accept, drop]
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
  - module: plainlinux.vpc.plan
  - module: plainlinux.vpc.probe
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Tell what keeps vm1 from the database
  plainlinux.vpc.reach:
    from: vm1
    to: db1
    port: tcp/5432
  run_once: true
  delegate_to: localhost

- name: Fail if the internet gets to the database
  plainlinux.vpc.reach:
    from: internet
    to: db1
    port: tcp/5432
    expect: drop
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
verdict:
  description:
    - V(accept), V(drop) or V(reject).
    - V(mixed) where some addresses or families get through and others do not.
    - V(unknown) where what others do decides it, such as the gateway of a flat network.
  returned: success
  type: str
  sample: drop
path:
  description: The object that decides, in the inventory. Empty where nothing filters.
  returned: success
  type: str
  sample: vpc_security_groups[0].ingress[1]
reason:
  description: Why, for people.
  returned: success
  type: str
  sample: rule of group web of vm3
steps:
  description: The packet's way, a line for each step.
  returned: success
  type: list
  elements: str
not_known:
  description: What no plan says, and could still stop the packet.
  returned: success
  type: list
  elements: str
packets:
  description: What became of packets in a lab run, as RV(plainlinux.vpc.probe#module:expectations) has it.
  returned: success
  type: list
  elements: dict
"""
