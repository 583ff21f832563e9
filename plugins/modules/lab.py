#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does all the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab
short_description: Build the twin of an inventory on this machine
version_added: 0.1.0
author:
  - plainlinux.vpc authors (@plainlinux)
description:
  - Builds, changes or removes a lab - the hosts, guests and underlay network of a plan, all on the controller.
  - A host of the lab is a small Debian with systemd as its first process, in a network namespace of its own. A guest is
    a network namespace that is plugged into a bridge of its hypervisor as soon as that bridge exists. One more
    namespace stands for the internet; it answers ping and HTTP on 198.51.100.1 and on 2001:db8:ffff::1, and is the
    default gateway of the hosts.
  - Hypervisors have the bridges of flat networks by their own boot configuration, with an uplink to the underlay. The
    internet is the gateway of flat networks.
  - Where a host has the helper of role P(plainlinux.vpc.antispoof#role), it is told of each interface of a guest before
    that comes up, and when it is gone.
  - A VPN connection of the plan gets its other end, a double of AWS - for each tunnel a machine that bears the tunnel's
    name, and a host C(<connection>-vpc) in the VPC behind them. The internet carries what gateways and endpoints send
    to each other, translates the address of a gateway that is behind NAT, and forwards nothing else.
  - Hosts, guests and the internet are the network namespaces C(<name>-<host>), C(<name>-vm-<guest>) and
    C(<name>-internet), to be entered with C(ip netns exec). The other end of a VPN consists of hosts.
  - The network of the controller itself is not touched.
  - The root file system of the hosts is built once and cached. Building takes one to two minutes and needs a Debian
    mirror.
options:
  name:
    description:
      - Name of the lab. Labs with different names can exist at the same time.
      - 1 to 32 of lower case letters, digits, underscores and hyphens.
    type: str
    default: lab
  state:
    description:
      - With V(present), what is in the plan is made, what is no longer in it is removed, and the rest stays as it is. A
        guest that has another hypervisor is moved.
      - With V(absent), everything is removed whatever state the lab is in. Only the cached root file system stays.
    type: str
    choices:
      - present
      - absent
    default: present
  plan:
    description:
      - Path of C(plan.json), which the M(plainlinux.vpc.plan) action writes.
      - Required with O(state=present).
    type: path
  suite:
    description:
      - Debian release of the hosts. Another one than before means that all hosts are made anew.
    type: str
    choices:
      - bookworm
      - trixie
    default: bookworm
  cache_dir:
    description:
      - Where root file systems are cached.
      - Defaults to C(plainlinux-vpc/lab) below E(XDG_CACHE_HOME) or C(~/.cache).
    type: path
  packages:
    description:
      - Packages that the hosts can install, with their dependencies, from a package repository of their own. A lab host
        reaches no other one.
      - Where the plan has VPN connections, what their other ends need is added, and installed there once and for all.
    type: list
    elements: str
    default:
      - nftables
      - iptables
      - ipset
  mirror:
    description:
      - Address of the Debian mirror that root file systems are built from.
      - Defaults to the one in the controller's own apt sources, and on other systems to that of C(debootstrap).
    type: str
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
  diff_mode:
    description: Can return details of what changed in diff mode.
    support: none
  platform:
    description: Systems on which the action can run.
    support: full
    platforms: Linux with systemd-nspawn; the controller must run as root
notes:
  - The action runs on the controller, whatever host the task is for; run it for one host only.
  - Pre-shared keys are read from the variables of each connection's gateway when the lab is built. A key is in one file
    of its endpoint, which only root can read. When it changes, the endpoint takes it up and interrupts the tunnel.
requirements:
  - root on the controller
  - debootstrap, systemd-container, iproute2, util-linux, procps and kmod on the controller
  - with VPN connections, nftables and C(/dev/net/tun) on the controller
seealso:
  - plugin: plainlinux.vpc.lab
    plugin_type: connection
"""

EXAMPLES = r"""
- name: Build the lab of the last plan
  plainlinux.vpc.lab:
    plan: .vpc-plan/plan.json
  delegate_to: localhost
  run_once: true

- name: Build another one, with Debian 13
  plainlinux.vpc.lab:
    name: next
    plan: .vpc-plan/plan.json
    suite: trixie
  delegate_to: localhost
  run_once: true

- name: Remove the lab
  plainlinux.vpc.lab:
    state: absent
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
name:
  description: Name of the lab.
  type: str
  returned: success
  sample: lab
hosts:
  description:
    - What was done to hosts, by name.
    - V(created), V(rebuilt) (with an empty disk), V(started) (its disk was kept), V(rekeyed) (the endpoint of a VPN has
      another key) or V(named) (the network namespace got its name back).
  type: dict
  returned: O(state=present)
  sample:
    host1: created
guests:
  description: What was done to guests, by name. V(created), V(plugged), V(replugged) or V(unplugged).
  type: dict
  returned: O(state=present)
  sample:
    vm1: plugged
removed:
  description:
    - Hosts, and guests as C(vm-<name>), that are no longer in the plan.
    - With O(state=absent), the names of everything that was found.
  type: list
  elements: str
  returned: success
  sample:
    - vm-vm9
waiting:
  description: Guests that are plugged in as soon as their bridge exists.
  type: list
  elements: str
  returned: O(state=present)
  sample:
    - "vm1: host1 has no bridge for vm1.0"
failed_units:
  description: Units that failed, by host.
  type: dict
  returned: O(state=present)
  sample: {}
image_built:
  description: Whether the root file system was built and not found in the cache.
  type: bool
  returned: O(state=present)
  sample: false
gateways:
  description: Addresses of the internet on the underlay, with prefix lengths. Those of flat networks are among them.
  type: list
  elements: str
  returned: O(state=present)
  sample:
    - 192.168.56.254/24
    - fe80::c0a8:38fe/64
connections:
  description: The other end of each VPN connection, by name of the connection.
  type: dict
  returned: O(state=present)
  contains:
    endpoints:
      description: Name of each endpoint, which is that of its tunnel, and its address.
      type: dict
      returned: always
    vpc_host:
      description: Name of the host in the VPC.
      type: str
      returned: always
    address:
      description: Address of that host; none where the VPC has no network that could have a host.
      type: str
      returned: always
  sample:
    aws1:
      endpoints:
        aws1-1: 192.0.2.10
        aws1-2: 192.0.2.20
      vpc_host: aws1-vpc
      address: 10.20.0.10
"""
