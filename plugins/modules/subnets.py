#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: subnets
short_description: Divide a prefix among purposes and zones, and plan the way from an earlier division
version_added: "0.1.0"
description:
  - Gives each purpose (a tier, such as databases) a prefix in each zone, in IPv4, IPv6 or both. The result feeds
    C(vpc_networks).
  - Runs on the controller, touches no host and no file. The same request always has the same answer.
  - A purpose has one block, in which its zones lie side by side, in their order. What is left of the block is spare,
    for a zone to come. Blocks lie in the order of the purposes, from the beginning of the prefix, or largest first
    where they fit in no other way.
  - With O(current), what is right already stays, which is a subnet of the same purpose and zone that has the wanted
    length and nothing reserved in it. Purposes keep their blocks where these still hold their zones. What has to move
    is in RV(moves), and RV(steps) are a safe order.
  - A block that is asked for by O(purposes[].block) or O(purposes[].block6) is kept together, even where subnets have
    to move for it. One that is not asked for is given up rather than that a subnet moves or another finds no room;
    the purpose then has its subnets as blocks, and no spare.
  - RV(steps) never let two subnets overlap, and each new prefix is there before the old one goes. Zones are vacated
    one after the other. A subnet whose new prefix overlaps its old one, or that waits for another that waits for it,
    goes by a temporary prefix that is unused at that moment and not needed in the end. Steps of IPv6 follow those of
    IPv4.
  - Fails where there is no room, also none for a temporary prefix, and says what the largest free prefix is. All
    mistakes in the request are told at once, each with its path, the value and what is allowed.
options:
  prefix:
    description:
      - IPv4 network that is divided, of a prefix length from 8 to 29.
      - At least one of O(prefix) and O(prefix6) is needed.
    type: str
  prefix6:
    description: IPv6 network that is divided, of a prefix length from 8 to 126.
    type: str
  zones:
    description: Names of the zones, of a-z 0-9 _ -. Their order is that of the prefixes in a block, and of RV(steps).
    type: list
    elements: str
    required: true
  purposes:
    description: What the prefix is for.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the purpose, unique. Purpose, C(-) and zone are the name of a network, which has at most 12
            characters.
        type: str
        required: true
      hosts:
        description:
          - Guests in each zone. The prefix is the smallest with room for them; network, broadcast, gateway and bridge
            address come on top.
          - Where O(prefix) is given, either this or O(purposes[].length) is needed.
        type: int
      length:
        description: Length of the IPv4 prefix in each zone, at most 29.
        type: int
      length6:
        description: Length of the IPv6 prefix in each zone, at most 126. By default V(64).
        type: int
      block:
        description:
          - Length of the IPv4 prefix that holds all zones of the purpose and its spare. A smaller number is a larger
            block.
          - By default the smallest that holds all zones.
        type: int
      block6:
        description: The same for IPv6.
        type: int
      zones:
        description: Those of O(zones) where the purpose has a prefix, in this order. By default all.
        type: list
        elements: str
      network:
        description: Other keys of C(vpc_networks) that each network of the purpose gets.
        type: dict
  reserved:
    description: Networks inside O(prefix) and O(prefix6) that are given to nobody, disjoint.
    type: list
    elements: str
  current:
    description:
      - The plan that is in use, as this module or the filter P(plainlinux.vpc.subnets#filter) returned it, or its
        RV(subnets). V(null) and V([]) mean none.
      - What is in it and no longer in the request is removed.
    type: raw
attributes:
  check_mode:
    support: full
    description: The same in check mode.
  diff_mode:
    support: none
    description: Nothing is changed.
  idempotent:
    support: full
    description: Never reports a change. An unchanged request with its result as O(current) has no steps.
extends_documentation_fragment: [plainlinux.vpc.attributes]
seealso:
  - plugin: plainlinux.vpc.subnets
    plugin_type: filter
  - module: plainlinux.vpc.plan
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Divide a /20 among five tiers in two zones
  plainlinux.vpc.subnets:
    prefix: 10.20.0.0/20
    zones: [a, b]
    purposes:
      - {name: elb, length: 24}
      - {name: app, length: 24, network: {nat: true}}
      - {name: backend, length: 24}
      - {name: databases, length: 24}
      - {name: misc, length: 24}
  register: first

- name: Divide it again, among three zones, without another block for any tier
  plainlinux.vpc.subnets:
    prefix: 10.20.0.0/20
    zones: [a, b, c]
    purposes:
      - {name: elb, hosts: 120, block: 23}
      - {name: app, hosts: 120, block: 23, network: {nat: true}}
      - {name: backend, hosts: 120, block: 23}
      - {name: databases, hosts: 50, block: 23}
      - {name: misc, length: 24, zones: [a, b]}
    current: "{{ first }}"
  register: second

- name: Show the way from the one to the other
  ansible.builtin.debug:
    msg: "{{ second.steps | map(attribute='text') }}"

- name: Keep the plan, which is the current one from now on
  ansible.builtin.copy:
    dest: "{{ playbook_dir }}/subnets.json"
    content: "{{ second.subnets | to_nice_json }}"
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
subnets:
  description: All subnets, in the order of purposes and their zones. Keep them, to be O(current) one day.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Purpose, C(-) and zone.
      type: str
    purpose:
      description: Name of the purpose.
      type: str
    zone:
      description: Name of the zone.
      type: str
    cidr:
      description: Its IPv4 prefix, if O(prefix) is given.
      type: str
    cidr6:
      description: Its IPv6 prefix, if O(prefix6) is given.
      type: str
  sample: [{"name": "elb-a", "purpose": "elb", "zone": "a", "cidr": "10.20.0.0/24"}]
networks:
  description: The same as items of C(vpc_networks).
  returned: success
  type: list
  elements: dict
  sample: [{"name": "app-a", "cidr": "10.20.2.0/24", "nat": true}]
blocks:
  description: By purpose, the prefixes that it has, subnets and spare. One of a family, or its subnets where these
    share no block.
  returned: success
  type: dict
  sample: {"elb": ["10.20.0.0/23"]}
spare:
  description: By purpose, what is left of its blocks.
  returned: success
  type: dict
  sample: {"elb": ["10.20.1.128/25"]}
free:
  description: Prefixes that nobody has, the largest there are, in order.
  returned: success
  type: list
  elements: str
  sample: [10.20.10.0/23, 10.20.12.0/22]
largest_free:
  description: The largest of RV(free), by family, C(ipv4) or C(ipv6); none if nothing is free.
  returned: success
  type: dict
  sample: {"ipv4": "10.20.12.0/22"}
reserved:
  description: The prefixes of O(reserved), in order.
  returned: success
  type: list
  elements: str
utilisation:
  description: Numbers of addresses, by family, C(ipv4) or C(ipv6).
  returned: success
  type: dict
  contains:
    total:
      description: In the whole prefix. It is the sum of the next four.
      type: int
    used:
      description: In subnets.
      type: int
    spare:
      description: In RV(spare).
      type: int
    reserved:
      description: In RV(reserved).
      type: int
    free:
      description: In RV(free).
      type: int
    percent:
      description: What RV(utilisation.used) is of RV(utilisation.total), in percent.
      type: float
  sample: {"ipv4": {"total": 4096, "used": 1856, "spare": 704, "reserved": 0, "free": 1536, "percent": 45.31}}
stays:
  description: Subnets of O(current) that stay, by family.
  returned: success
  type: list
  elements: dict
  sample: [{"family": 4, "name": "misc-a", "zone": "a", "prefix": "10.20.8.0/24"}]
moves:
  description: Subnets of O(current) that get another prefix, by family. C(via) is the temporary one, or none.
  returned: success
  type: list
  elements: dict
  sample:
    - family: 4
      name: elb-a
      zone: a
      from: 10.20.0.0/24
      to: 10.20.0.0/25
      via: 10.20.15.0/25
steps:
  description: What to do, one after the other, to get from O(current) to RV(subnets).
  returned: success
  type: list
  elements: dict
  contains:
    number:
      description: From 1 on.
      type: int
    action:
      description:
        - V(vacate) - take guests out of a zone, whose subnets will move.
        - V(move) - make RV(steps[].to), then remove RV(steps[].from).
        - V(return) - take guests back to the zone.
        - V(create) - make RV(steps[].to).
        - V(remove) - remove RV(steps[].from).
      type: str
    family:
      description: V(4) or V(6).
      type: int
    name:
      description: The subnet, none where the step is for a zone.
      type: str
    zone:
      description: Its zone.
      type: str
    from:
      description: The prefix that goes, or none.
      type: str
    to:
      description: The prefix that comes, or none.
      type: str
    temporary:
      description: Whether the subnet will move on from RV(steps[].to).
      type: bool
    needs:
      description: Numbers of steps that must be done before. Any order that keeps to them is as safe.
      type: list
      elements: int
    text:
      description: The same for people.
      type: str
  sample:
    - number: 2
      action: move
      family: 4
      name: elb-a
      zone: a
      from: 10.20.0.0/24
      to: 10.20.15.0/25
      temporary: true
      needs: [1]
      text: "Move elb-a: create 10.20.15.0/25 for the time being, then remove 10.20.0.0/24."
errors:
  description: Every mistake in the request, or every purpose for which there is no room.
  returned: failure
  type: list
  elements: dict
  contains:
    path:
      description: Where in the request.
      type: str
      sample: subnets.purposes[1].length
    message:
      description: The value and what is allowed.
      type: str
"""
