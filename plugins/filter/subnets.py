# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter subnets."""

from __future__ import annotations

DOCUMENTATION = r"""
name: subnets
short_description: Divide a prefix among purposes and zones, and plan the way from an earlier division
version_added: "0.1.0"
author: plainlinux.vpc authors (@plainlinux)
description:
  - Takes the options of the module M(plainlinux.vpc.subnets) as a mapping and returns what the module returns.
  - As a filter it can stand where C(vpc_networks) is defined, so that networks follow from the request in every run.
positional: _input
options:
  _input:
    description: The request. M(plainlinux.vpc.subnets) says what each key means.
    type: dict
    required: true
    suboptions:
      prefix:
        description: IPv4 network that is divided.
        type: str
      prefix6:
        description: IPv6 network that is divided.
        type: str
      zones:
        description: Names of the zones.
        type: list
        elements: str
        required: true
      purposes:
        description: Mappings with C(name), C(hosts) or C(length), and C(length6), C(block), C(block6), C(zones) and
          C(network) where they are wanted.
        type: list
        elements: dict
        required: true
      reserved:
        description: Networks that are given to nobody.
        type: list
        elements: str
      current:
        description: The plan that is in use, or its C(subnets).
        type: raw
  current:
    description: The same as C(current) in the request, and goes before it. V(none) means that there is none here.
    type: raw
seealso:
  - module: plainlinux.vpc.subnets
"""

EXAMPLES = r"""
- name: Make the networks of three tiers in two zones, where they are already if they can stay
  ansible.builtin.set_fact:
    vpc_networks: "{{ (request | plainlinux.vpc.subnets(current=former)).networks }}"
  vars:
    kept: "{{ playbook_dir }}/subnets.json"
    former: "{{ lookup('ansible.builtin.file', kept) | from_json if kept is file else [] }}"
    request:
      prefix: 10.20.0.0/20
      prefix6: 2001:db8:20::/56
      reserved: [10.20.15.0/24]
      zones: [a, b]
      purposes:
        - {name: web, hosts: 200, block: 22, network: {nat: true, vpc: shop}}
        - {name: app, hosts: 100, network: {nat: true, vpc: shop}}
        - {name: db, hosts: 20, network: {vpc: shop}}

- name: Plan what each host has to hold
  plainlinux.vpc.plan:
  run_once: true
"""

RETURN = r"""
_value:
  description: The plan. RV(plainlinux.vpc.subnets#module:subnets) and the other return values of the module are its
    keys.
  type: dict
  contains:
    subnets:
      description: All subnets.
      type: list
      elements: dict
    networks:
      description: The same as items of C(vpc_networks).
      type: list
      elements: dict
    blocks:
      description: By purpose, the prefixes that it has, subnets and spare.
      type: dict
    spare:
      description: By purpose, what is left of its blocks.
      type: dict
    free:
      description: Prefixes that nobody has.
      type: list
      elements: str
    largest_free:
      description: The largest of them, by family.
      type: dict
    reserved:
      description: Prefixes that are given to nobody.
      type: list
      elements: str
    utilisation:
      description: Numbers of addresses, by family.
      type: dict
    stays:
      description: Subnets that stay where they are.
      type: list
      elements: dict
    moves:
      description: Subnets that get another prefix.
      type: list
      elements: dict
    steps:
      description: What to do, one after the other.
      type: list
      elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.plan import plan_subnets


def subnets(request: Any, current: Any = None) -> dict[str, Any]:
    """The plan of a request; raises AnsibleFilterError with a line for each mistake."""
    if current is not None and isinstance(request, Mapping):
        request = {**request, "current": current}
    try:
        return plan_subnets(request)
    except ModelErrors as errors:
        raise AnsibleFilterError(f"subnets:\n{errors}") from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"subnets": subnets}
