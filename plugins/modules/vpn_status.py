#!/usr/bin/python
# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vpn_status
short_description: Say what state a VPN gateway's tunnels are in
version_added: "0.1.0"
description:
  - Asks the gateway's daemons for every tunnel that the plan has on this host, and gives one verdict for each tunnel,
    with a reason that somebody can act on where it is not up. V(IPsec up, BGP down) is said as such.
  - A tunnel is up when its ESP SAs are installed, its interface is up with the inside address, and, for a connection
    with BGP, the session is established and prefixes pass in both directions that the connection has.
  - Changes nothing, and does not fail when a tunnel is down. It fails if this host is no VPN gateway in the plan.
  - Keys are neither sent to the host nor returned.
  - With the provider C(racoon_quagga), where one IKE SA can end before the ESP SAs that it made, a tunnel is up without
    an IKE SA. What C(racoonctl), C(setkey) and Quagga print is read as their sources and published outputs have it;
    this collection's tests run none of them.
options:
  wait:
    description:
      - Seconds to wait until all tunnels are up. The answer comes at once when they are.
      - IPsec takes seconds, a BGP session up to half a minute more.
    type: int
    default: 0
  tunnels:
    description: Set by the action plugin, this host's tunnels of the plan, in packed form.
    type: str
  lab_host:
    description: Set by the action plugin, in a lab run the lab host that this must be.
    type: str
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
requirements: ["swanctl and vtysh, or racoonctl, setkey and vtysh", "the right to talk to the daemons, as root has it"]
seealso:
  - module: plainlinux.vpc.plan
  - module: plainlinux.vpc.report
author: plainlinux.vpc authors (@plainlinux)
"""

EXAMPLES = r"""
- name: Give the tunnels two minutes to come up
  plainlinux.vpc.vpn_status:
    wait: 120
  become: true
  register: __vpn

- name: Say which are not up
  ansible.builtin.assert:
    that: __vpn.up
    fail_msg: "{{ __vpn.tunnels | rejectattr('up') | map(attribute='reason') | join('; ') }}"
"""

RETURN = r"""
up:
  description: Whether all tunnels are up.
  returned: success
  type: bool
tunnels:
  description: What was found of each tunnel, in order of name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the tunnel, and of its interface.
      type: str
      sample: aws1-1
    connection:
      description: Name of the connection in C(vpc_vpn_connections).
      type: str
      sample: aws1
    peer:
      description: Outside address of the other end.
      type: str
    up:
      description: Whether the tunnel is up.
      type: bool
    verdict:
      description: >-
        V(up), V(BGP up, no prefixes), V(IPsec up, BGP down), V(IPsec up, interface down),
        V(IPsec up, interface missing), V(IKE up, ESP down), V(IPsec down), V(not configured), or V(unknown) where the
        host cannot say.
      type: str
    reason:
      description: Why it is not up, empty if it is.
      type: str
      sample: "Connect, notification sent: Hold Timer Expired"
    interface:
      description: What carries the inside address. The provider C(racoon_quagga) has no interface of its own.
      type: dict
      contains:
        name:
          description: Its name.
          type: str
        present:
          description: Whether it exists.
          type: bool
        up:
          description: Whether it is administratively up.
          type: bool
        mtu:
          description: The largest packet, in octets.
          type: int
        address:
          description: The inside address with its length, or another one if it does not have that.
          type: str
    ike:
      description: The IKE SA, the newest one while keys are replaced.
      type: dict
      contains:
        state:
          description: The daemon's word, V(none) if there is no SA.
          type: str
        version:
          description: V(1) or V(2).
          type: int
        since:
          description: When it was established, in UTC.
          type: str
          sample: "2026-11-22T10:49:12Z"
        seconds:
          description: How long ago that was.
          type: int
        proposal:
          description: The chosen algorithms.
          type: str
          sample: AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384
    esp:
      description: The pair of ESP SAs, the newest one while keys are replaced; counters are those of this pair.
      type: dict
      contains:
        state:
          description: The daemon's or the kernel's word, V(none) if there is no SA.
          type: str
        since:
          description: When it was installed, in UTC.
          type: str
        seconds:
          description: How long ago that was.
          type: int
        bytes_in:
          description: Octets that came in.
          type: int
        packets_in:
          description: Packets that came in.
          type: int
        bytes_out:
          description: Octets that went out.
          type: int
        packets_out:
          description: Packets that went out.
          type: int
        proposal:
          description: The chosen algorithms.
          type: str
    bgp:
      description: The BGP session, none for a connection with static routes.
      type: dict
      contains:
        neighbor:
          description: Inside address of the other end.
          type: str
        state:
          description: State of RFC 4271, V(none) if the daemon does not know the neighbour.
          type: str
        since:
          description: When it was established, in UTC.
          type: str
        seconds:
          description: How long ago that was.
          type: int
        hold_time:
          description: Hold time that was negotiated, in seconds.
          type: int
        keepalive:
          description: Seconds between keepalives.
          type: int
        last_reset:
          description: Why the last session ended, empty if none did.
          type: str
        received:
          description: Prefixes that the peer announces.
          type: list
          elements: str
        received_count:
          description: Number of them, none where it is not known.
          type: int
        accepted:
          description: Those of them that are used.
          type: list
          elements: str
        accepted_count:
          description: Number of them.
          type: int
        advertised:
          description: Prefixes that the peer was told.
          type: list
          elements: str
        advertised_count:
          description: Number of them, none where it is not known.
          type: int
"""

import base64
import json
import time
import zlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import lab_host
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.vpn_status import asking, result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "wait": {"type": "int", "default": 0},
            "tunnels": {"type": "str"},
            "lab_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    wrong = lab_host.wrong(module.params["lab_host"])
    if wrong or not module.params["tunnels"]:
        module.fail_json(msg=wrong or "the action plugin of this module did not run")
    content = json.loads(zlib.decompress(base64.b64decode(module.params["tunnels"])))
    wanted = asking.Wanted.of(content)
    found = asking.watch(wanted, module.params["wait"])
    module.exit_json(changed=False, **result.of(wanted.tunnels, found, time.time()))


if __name__ == "__main__":
    main()
