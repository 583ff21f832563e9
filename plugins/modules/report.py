#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Print the plan, or what verify found, as tables
version_added: "0.1.0"
description:
  - Runs on the controller and touches no host.
  - With O(show=verify) it collects what M(plainlinux.vpc.host_state) in check mode, M(plainlinux.vpc.probe) and
    M(plainlinux.vpc.vpn_status) found on each host, prints it as tables and fails if anything was not as planned, a
    tunnel is not up, a host gave no answer, or one of C(vpc_expectations) is not fulfilled. Packets prove these in a
    lab only; those that were not proved are counted.
options:
  show:
    description:
      - V(plan) prints O(text).
      - V(verify) prints the results of all hosts.
      - V(nothing) forgets results of earlier runs.
    type: str
    required: true
    choices: [plan, verify, nothing]
  text:
    description: What to print with O(show=plan), the tables that M(plainlinux.vpc.plan) returned.
    type: str
  hosts:
    description: Hosts whose results are expected with O(show=verify).
    type: list
    elements: str
    default: []
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
  - module: plainlinux.vpc.vpn_status
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Show what verify found on all hosts of the play
  plainlinux.vpc.report:
    show: verify
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
tables:
  description: What was printed.
  returned: success
  type: str
"""
