# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter vpn_connection."""

from __future__ import annotations

DOCUMENTATION = r"""
name: vpn_connection
short_description: An item of vpc_vpn_connections from the document that AWS gives for a customer gateway
version_added: "0.1.0"
author: plainlinux.vpc authors (@plainlinux)
description:
  - Reads the customer gateway configuration of a Site-to-Site VPN connection, and the tunnel options where they are
    given, and returns what stands in C(vpc_vpn_connections) for it.
  - The document says only the weakest choice of each kind, as C(sha1) and C(group2), whatever the tunnel allows. Strong
    ones are returned instead. Without O(tunnel_options) these are several, since nothing is known of what AWS allows;
    with them one of each kind that AWS allows.
  - Anything unknown is refused, all mistakes at once, each with its path. A document type and entities are refused
    before the document is parsed.
positional: _input
options:
  _input:
    description:
      - The document as a string, as C(customer_gateway_configuration) of M(amazon.aws.ec2_vpc_vpn_info).
      - It contains the pre-shared keys. Use C(no_log) with any task that has it.
    type: str
    required: true
  name:
    description: Name of the connection, 1 to 10 of a-z 0-9 -; it names the tunnels.
    type: str
    required: true
  gateway:
    description: Host of the group C(vpn_gateways). Left out, it is not in the result and must be added.
    type: str
  accept:
    description: Networks that BGP may bring. Left out, they are not in the result and must be added.
    type: list
    elements: str
  static_routes:
    description: Networks of the other side; required where the connection has no BGP, refused where it has.
    type: list
    elements: str
  local_address:
    description: Address of the gateway itself where it is behind NAT.
    type: str
  tunnel_options:
    description:
      - C(TunnelOptions) of the connection as AWS's DescribeVpnConnections or M(amazon.aws.ec2_vpc_vpn_info) give them,
        in CamelCase or snake_case.
      - Each item belongs to the tunnel with its outside address or inside CIDR, in whatever order they are.
    type: list
    elements: dict
  psk_variables:
    description:
      - Names of variables that have the pre-shared keys, one for each tunnel in the order of the result. Then the
        result has no key.
      - Needed where AWS keeps the keys in Secrets Manager.
    type: list
    elements: str
  ike_version:
    description: V(1) or V(2). By default the best that O(tunnel_options) allow. What is strong with V(1) is also what
      racoon can do.
    type: int
    choices: [1, 2]
  minimums:
    description: Whether to return the weakest that AWS allows, as the document says it.
    type: bool
    default: false
  order:
    description: V(document) keeps the order of the document; V(outside_address) is that of Terraform, whose C(tunnel1)
      is the one with the first outside address.
    type: str
    choices: [document, outside_address]
    default: document
"""

EXAMPLES = r"""
- name: Write the connection to a file that will be encrypted
  ansible.builtin.copy:
    dest: vpn.yml
    mode: "0600"
    content: "{{ {'vpc_vpn_connections': [imported]} | to_nice_yaml }}"
  vars:
    imported: "{{ lookup('ansible.builtin.file', 'vpn-0123456789abcdef0.xml')
      | plainlinux.vpc.vpn_connection(name='aws1', gateway='vpn1', accept=['10.20.0.0/16']) }}"
  delegate_to: localhost
  no_log: true

- name: Use what AWS says of the connection, with keys from elsewhere
  ansible.builtin.set_fact:
    vpc_vpn_connections:
      - "{{ found.customer_gateway_configuration
          | plainlinux.vpc.vpn_connection(
              name='aws1', gateway='vpn1', accept=['10.20.0.0/16'],
              tunnel_options=found.options.tunnel_options,
              psk_variables=['vault_aws1_psk1', 'vault_aws1_psk2'])
          | combine({'internet': true}) }}"
  vars:
    found: "{{ aws.vpn_connections[0] }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: An item of C(vpc_vpn_connections). It contains the pre-shared keys, unless O(psk_variables) are given.
  type: dict
  sample:
    name: aws1
    gateway: vpn1
    customer_asn: 65530
    amazon_asn: 7224
    hold_time: 30
    accept: [192.168.0.0/24]
    tunnels:
      - outside_address: 203.0.113.10
        peer_outside_address: 198.51.100.1
        inside_cidr: 169.254.255.0/30
        inside_address: 169.254.255.2
        peer_inside_address: 169.254.255.1
        psk_variable: vault_aws1_psk1
        ike:
          version: 2
          encryption: [aes256-gcm16, aes256]
          integrity: [sha384, sha256]
          prf: [sha384, sha256]
          dh: [20, 14]
          lifetime: 28800
        esp:
          encryption: [aes256-gcm16, aes256]
          integrity: [sha256]
          dh: [20, 14]
          lifetime: 3600
        dpd: {interval: 10, retries: 3}
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_import import import_connection


def vpn_connection(
    customer_gateway_configuration: Any,
    name: Any = None,
    gateway: Any = None,
    accept: Any = None,
    static_routes: Any = None,
    local_address: Any = None,
    tunnel_options: Any = None,
    psk_variables: Any = None,
    ike_version: Any = None,
    minimums: Any = None,
    order: Any = None,
) -> dict[str, Any]:
    """An item of vpc_vpn_connections; raises AnsibleFilterError with a line for each mistake."""
    try:
        return import_connection(
            customer_gateway_configuration,
            name=name,
            gateway=gateway,
            accept=accept,
            static_routes=static_routes,
            local_address=local_address,
            tunnel_options=tunnel_options,
            psk_variables=psk_variables,
            ike_version=ike_version,
            minimums=minimums,
            order=order,
        )
    except ModelErrors as errors:
        raise AnsibleFilterError(f"vpn_connection:\n{errors}") from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vpn_connection": vpn_connection}
