#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_import
short_description: Read the guests that Xen and libvirt have on a hypervisor
version_added: "0.1.0"
description:
  - Reads the files in which a hypervisor's own tools keep its guests, and returns them as items of C(vpc_instances).
    Changes nothing, and asks no daemon.
  - Of Xen, files of C(xl) and of the older C(xm). The latter are programs in Python, and are not run. Where the name or
    an interface of a guest is not plain text, the guest is left out. A comment C(#ipv6=ADDRESS) gives an IPv6 address;
    with several interfaces, the first such line is for the first of them, and so on.
  - Of libvirt, the XML of domains. Addresses are taken from the parameters C(IP) and C(IPV6) of an interface's filter.
    Documents with a document type or entities are left out.
  - An interface belongs to the network of O(networks) whose bridge it is on. What cannot be one of C(vpc_instances)
    is in RV(left_out), with the reason.
  - The first address that is in the network's prefix is the guest's own, others become C(allowed_addresses). Where an
    address of one family is known, the guest has none of a family of which no address is known.
options:
  hypervisor:
    description: Name of the host in the inventory, the C(hypervisor) of each guest.
    type: str
    required: true
  networks:
    description:
      - The networks, as in C(vpc_networks).
      - The bridge of a network is its key C(bridge), or C(br-) with its name.
    type: list
    elements: dict
    required: true
  xen:
    description: Patterns of the names of Xen's files. A file that several links lead to is read once.
    type: list
    elements: str
    default: [/etc/xen/*.cfg, /etc/xen/auto/*]
  xen_bridge:
    description: The bridge of interfaces for which a file of Xen names none.
    type: str
    default: xenbr0
  libvirt:
    description: Patterns of the names of libvirt's files of domains.
    type: list
    elements: str
    default: [/etc/libvirt/qemu/*.xml]
  libvirt_networks:
    description: Patterns of the names of libvirt's files of networks, which say on which bridge a network is.
    type: list
    elements: str
    default: [/etc/libvirt/qemu/networks/*.xml]
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
requirements: ["root, where only root can read the files"]
seealso:
  - module: plainlinux.vpc.guest_file
  - module: plainlinux.vpc.plan
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Read the guests of a hypervisor
  plainlinux.vpc.guest_import:
    hypervisor: "{{ inventory_hostname }}"
    networks: "{{ vpc_networks }}"
  become: true
  register: __guests

- name: Show what could not be read
  ansible.builtin.debug:
    var: __guests.left_out

- name: Read guests that are kept elsewhere
  plainlinux.vpc.guest_import:
    hypervisor: "{{ inventory_hostname }}"
    networks:
      - name: lan
        bridge: xenbr0
        cidr: 192.0.2.0/24
    xen: [/srv/xen/*/config]
    libvirt: []
"""

RETURN = r"""
instances:
  description: The guests as items of C(vpc_instances), in order of name.
  returned: success
  type: list
  elements: dict
  sample:
    - name: www
      hypervisor: dom0
      network: lan
      address: 192.0.2.10
      mac: "00:16:3e:00:00:01"
      vif: www0
left_out:
  description: What is in no item of RV(instances).
  returned: success
  type: list
  elements: dict
  contains: &entry
    file:
      description: The file.
      type: str
      sample: /etc/xen/www.cfg
    guest:
      description: Name of the guest, none where it is not known.
      type: str
    interface:
      description: Number of the interface in the file, from 0 on, none where the whole guest is meant.
      type: int
    reason:
      description: Why.
      type: str
      sample: is on bridge xenbr7, which is of no network of vpc_networks
notes:
  description: What is in RV(instances), and should be looked at.
  returned: success
  type: list
  elements: dict
  contains: *entry
"""

import glob
import os
from collections.abc import Iterator
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import guest_import

KINDS = {
    "xen": guest_import.XEN,
    "libvirt": guest_import.LIBVIRT,
    "libvirt_networks": guest_import.LIBVIRT_NETWORK,
}


def files_of(patterns: list[str]) -> Iterator[tuple[str, str]]:
    """(path, real path) of each file that a pattern matches; what several links lead to, once."""
    seen = set()
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):
            real = os.path.realpath(path)
            if real not in seen and not os.path.isdir(real):
                seen.add(real)
                yield path, real


def main() -> None:
    lists = {"type": "list", "elements": "str"}
    module = AnsibleModule(
        argument_spec={
            "hypervisor": {"type": "str", "required": True},
            "networks": {"type": "list", "elements": "dict", "required": True},
            "xen": {**lists, "default": ["/etc/xen/*.cfg", "/etc/xen/auto/*"]},
            "xen_bridge": {"type": "str", "default": "xenbr0"},
            "libvirt": {**lists, "default": ["/etc/libvirt/qemu/*.xml"]},
            "libvirt_networks": {**lists, "default": ["/etc/libvirt/qemu/networks/*.xml"]},
        },
        supports_check_mode=True,
    )
    options = module.params
    files, unread = [], []
    for option, kind in KINDS.items():
        for path, real in files_of(options[option]):
            try:
                # A comment in another encoding is no reason to miss a guest.
                with open(real, encoding="utf-8", errors="replace") as handle:
                    files.append(guest_import.File(path, kind, handle.read()))
            except OSError as error:
                reason = f"cannot be read: {error.strerror}"
                unread.append({"file": path, "guest": None, "interface": None, "reason": reason})
    found = guest_import.collect(files, options["hypervisor"], options["networks"], options["xen_bridge"])
    result = asdict(found)
    result["left_out"] = unread + result["left_out"]
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
