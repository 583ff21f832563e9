# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter guest_config."""

from __future__ import annotations

DOCUMENTATION = r"""
name: guest_config
short_description: The text that configures a guest, or plugs it in, without DHCP
version_added: "0.1.0"
author: plainlinux.vpc authors (@plainlinux)
description:
  - Takes the plan that M(plainlinux.vpc.plan) wrote, and gives what an image is to be told of its addresses, gateways,
    DNS servers, MTU and routes, or what a hypervisor is to be told of its interfaces.
  - Settings of the network are C(dns), C(search), C(mtu) and C(routes) of C(vpc_networks). DNS servers and routes of a
    family that an interface has no address of are left out, and so are routes that lead to the guest itself.
  - A guest has one default route for each family, that of its first interface that has a gateway of the family.
    Where it has several interfaces it also gets a route table and a rule for each, so that it answers by the
    interface that it was asked on; its hypervisor drops other answers. Tables are 100, 101 and so on.
  - The IPv6 address of a guest is a /128 where the network is not one with C(bridge), and its gateway the link-local
    address fe80::1. Router advertisements are ignored.
  - Interfaces are found by their MAC address.
  - The playbook C(plainlinux.vpc.guests) prints these texts, or writes those of all guests.
positional: _input, guest, format
options:
  _input:
    description: The content of C(plan.json).
    type: dict
    required: true
  guest:
    description: Name of the guest.
    type: str
    required: true
  format:
    description:
      - V(cloud-init) is a network-config of version 2, as the file C(network-config) of the data source NoCloud. It
        works with every renderer of cloud-init from version 22 on, and therefore has neither the rules and tables of a
        guest with several interfaces, nor routes whose next hop is out of the address's prefix. Default routes are
        C(gateway4) and C(gateway6), which netplan calls deprecated; other renderers get V(routes) wrong.
      - V(netplan) is a file for C(/etc/netplan).
      - V(ifupdown) is a file for C(/etc/network/interfaces.d). It needs Debian's ifupdown, from version 0.8.20 on. DNS
        needs resolvconf, openresolv or systemd-resolved in the guest.
      - V(systemd-networkd) are files for C(/etc/systemd/network).
      - V(xen) is for C(/etc/xen/GUEST.cfg), C(vif) and the comment C(#ipv6=) that the guard and Xen's scripts read. The
        line N of these is that of interface N. C(ip) is left out where the guest may use further addresses.
        Guests with emulated cards need a C(vif) of at most 11 characters.
      - V(libvirt) are elements C(interface), for C(devices) of a domain. Names that libvirt would replace by
        its own are refused.
    type: str
    required: true
    choices: [cloud-init, netplan, ifupdown, systemd-networkd, xen, libvirt]
  prefix:
    description:
      - What the guest's interfaces are to be called, with a number after it, as C(lan0), C(lan1).
      - By default they keep the names that they have. Renderers of cloud-init that need a name make it C(vpc0).
      - With V(ifupdown) nothing is renamed; they are found by this name instead of the MAC address.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Write the network-config of an image
  ansible.builtin.copy:
    dest: /tmp/vm1/network-config
    mode: "0644"
    content: "{{ plan | plainlinux.vpc.guest_config('vm1', 'cloud-init') }}"
  vars:
    plan: "{{ lookup('ansible.builtin.file', '.vpc-plan/plan.json') | from_json }}"
  delegate_to: localhost

- name: Write the files of systemd-networkd into an image that is mounted
  ansible.builtin.copy:
    dest: "/mnt/etc/systemd/network/{{ item.key }}"
    mode: "0644"
    content: "{{ item.value }}"
  loop: "{{ plan | plainlinux.vpc.guest_config('vm1', 'systemd-networkd', prefix='lan') | dict2items }}"
  vars:
    plan: "{{ lookup('ansible.builtin.file', '.vpc-plan/plan.json') | from_json }}"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The text. With V(systemd-networkd) a dictionary of texts by file name.
  type: raw
  sample: |
    # vm1 in net1, by plainlinux.vpc

    auto mac/52:54:00:0a:0a:0a=vpc0
    iface vpc0 inet static
        address 10.10.10.10/24
        gateway 10.10.10.1
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts import formats


def guest_config(summary: Any, guest: str, format: str, prefix: str = "") -> formats.Texts:  # noqa: A002 - as documented
    """See DOCUMENTATION."""
    try:
        return formats.guest_config(summary, guest, format, prefix)
    except ValueError as error:
        raise AnsibleFilterError(f"guest_config: {error}") from None


class FilterModule:
    """The filter, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"guest_config": guest_config}
