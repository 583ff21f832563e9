# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the tunnels over SSH of one host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh_tunnel
short_description: Plan the tunnels over SSH of one host
version_added: 0.1.0
author: plainlinux.vpc authors (@plainlinux)
description:
  - Checks a list of tunnels and computes what the role C(plainlinux.vpc.ssh_tunnel) has to do on a host. The role uses
    it; there is little reason to use it elsewhere.
  - Touches no host. What is known of the hosts is what earlier tasks of the role have registered.
positional: _input, host, hostvars
options:
  _input:
    description: The list C(ssh_tunnels), as a user wrote it.
    type: raw
    required: true
  host:
    description: Inventory name of the host that is planned.
    type: str
    required: true
  hostvars:
    description: The variable C(hostvars).
    type: dict
    required: true
  script:
    description: Text of the program that makes interfaces and routes.
    type: str
    default: ""
  service:
    description: Unit of the SSH server.
    type: str
    default: ssh
  check:
    description: Whether keys may be missing because the run that would make them only checks.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse mistakes
  ansible.builtin.assert:
    that: plan.mistakes | length == 0
    fail_msg: "{{ plan.mistakes | join('\n') }}"
  vars:
    plan: "{{ ssh_tunnels | plainlinux.vpc.ssh_tunnel(inventory_hostname, hostvars) }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    mistakes:
      description: Every mistake in the list, with its path. If there is one, the rest is empty.
      type: list
      elements: str
    find:
      description: What to ask the host for.
      type: list
      elements: str
    obstacles:
      description: What keeps the tunnels from this host, as far as it has been asked.
      type: list
      elements: str
    roles:
      description: Of C(server) and C(client), what the host is.
      type: list
      elements: str
    ends:
      description: >-
        The ends of tunnels on this host, an item for each address family inside, with C(tunnel), C(device), C(peer) (an
        address), C(wait) (seconds).
      type: list
      elements: dict
    files:
      description: Option of the same name of M(plainlinux.vpc.render).
      type: list
      elements: dict
    validate:
      description: Option of the same name of M(plainlinux.vpc.render).
      type: list
      elements: dict
    apply:
      description: Option of the same name of M(plainlinux.vpc.render).
      type: list
      elements: dict
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.ssh_tunnel import SSH_PORT
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.ssh_tunnels import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.ssh_tunnel import (
    End,
    Files,
    Found,
    ends_of,
    questions,
)

# What the role registers on each host: the output of find.sh.
FOUND = "__ssh_tunnel_found"
# Their networks must not be used inside a tunnel.
OTHERS = ("vpc_networks", "vpc_vpn_connections")
NOTHING: dict[str, Any] = {
    "find": [],
    "obstacles": [],
    "roles": [],
    "ends": [],
    "files": [],
    "validate": [],
    "apply": [],
}


def ssh_tunnel(
    tunnels: Any, host: str, hostvars: Mapping[str, Any], script: str = "", service: str = "ssh", check: bool = False
) -> dict[str, Any]:
    """See DOCUMENTATION."""

    def reach(name: str) -> tuple[str, int]:
        variables = hostvars[name]
        address = variables.get("vpc_underlay_address") or variables.get("ansible_host") or name
        port = str(variables.get("ansible_port") or "")
        return str(address), int(port) if port.isdecimal() else SSH_PORT

    own = hostvars[host]
    try:
        parsed = parse(tunnels, list(hostvars), reach, {name: own.get(name, []) for name in OTHERS})
    except ModelErrors as error:
        return {"mistakes": [str(item) for item in error.errors], **NOTHING}
    ends = ends_of(parsed, host)
    found = {name: _found(hostvars[name]) for name in {host, *(end.peer.host for end in ends)}}
    secrets = {
        variable: str(own.get(variable) or "")
        for variable in (end.tunnel.private_key_variable for end in ends if not end.serves)
        if variable
    }
    files = Files(ends, host, found, script, secrets, check, service)
    plan = files.plan()
    return {
        "mistakes": [],
        "find": questions(ends),
        "obstacles": [str(item) for item in files.report.errors],
        "roles": sorted({end.own.key for end in ends}),
        "ends": [item for end in ends for item in _ends(end)],
        **plan,
    }


def _found(variables: Mapping[str, Any]) -> Found:
    registered = variables.get(FOUND)
    output = registered.get("stdout", "") if isinstance(registered, Mapping) else ""
    return Found.of(str(output))


def _ends(end: End) -> Iterator[dict[str, Any]]:
    """Of each family that the tunnel has inside."""
    for family in (4, 6):
        peer = end.tunnel.address(end.peer.key, family)
        if peer is not None:
            yield {
                "tunnel": end.tunnel.name,
                "device": end.device,
                "peer": format_address(family, peer[0]),
                # The server lets go of a dead client after interval x (count + 1); the client tries every 5 seconds.
                "wait": end.tunnel.interval * (end.tunnel.count + 1) + 15,
            }


class FilterModule:
    """The filter, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"ssh_tunnel": ssh_tunnel}
