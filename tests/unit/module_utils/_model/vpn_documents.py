# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents for a customer gateway as AWS makes them, with made-up values, and every way to bend them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Connection
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_import import import_connection

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
SECRETS = ("first.secret_Key", "other.secret_Key")
ADDRESSES = ("198.51.100.1", "198.51.100.17")
INSIDE = ("169.254.252.0/30", "169.254.252.4/30")
# The path of the first tunnel in messages, and what the import needs besides a document.
TUNNEL = "vpn_connection.ipsec_tunnel[0]"
WANTED: dict[str, Any] = {"name": "aws1", "gateway": "vpn1", "accept": ["10.20.0.0/16"]}
STATIC = {"vpn_connection_attributes": "NoBGPVPNConnection"}


def end(outside: str, inside: str, asn: int) -> dict[str, Any]:
    return {
        "tunnel_outside_address": {"ip_address": outside},
        "tunnel_inside_address": {"ip_address": inside, "network_mask": "255.255.255.252", "network_cidr": "30"},
        "bgp": {"asn": str(asn), "hold_time": "30"},
    }


def tunnel(index: int) -> dict[str, Any]:
    """The first (0) or second (1) tunnel, as nested elements."""
    return {
        "customer_gateway": end("203.0.113.10", f"169.254.252.{4 * index + 2}", 65000),
        "vpn_gateway": end(ADDRESSES[index], f"169.254.252.{4 * index + 1}", 64512),
        "ike": {
            "authentication_protocol": "sha1",
            "encryption_protocol": "aes-128-cbc",
            "lifetime": "28800",
            "perfect_forward_secrecy": "group2",
            "mode": "main",
            "pre_shared_key": SECRETS[index],
        },
        "ipsec": {
            "protocol": "esp",
            "authentication_protocol": "hmac-sha1-96",
            "encryption_protocol": "aes-128-cbc",
            "lifetime": "3600",
            "perfect_forward_secrecy": "group2",
            "mode": "tunnel",
            "clear_df_bit": "true",
            "fragmentation_before_encryption": "true",
            "tcp_mss_adjustment": "1379",
            "dead_peer_detection": {"interval": "10", "retries": "3"},
        },
    }


def change(item: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The item with another value at a.b.c; None takes the element away."""
    found = copy.deepcopy(item)
    *parents, last = path.split(".")
    inside = found
    for key in parents:
        inside = inside[key]
    if value is None:
        del inside[last]
    else:
        inside[last] = value
    return found


def document(*tunnels: dict[str, Any], blanks: str = "", **more: Any) -> str:
    """The text of a document; without tunnels it has the usual two. blanks: written around every value."""
    root = {
        "customer_gateway_id": "cgw-0123456789abcdef0",
        "vpn_gateway_id": "vgw-0123456789abcdef0",
        "vpn_connection_type": "ipsec.1",
        **more,
        "ipsec_tunnel": list(tunnels or (tunnel(0), tunnel(1))),
    }
    return f'{HEAD}<vpn_connection id="vpn-0123456789abcdef0">\n{text(root, blanks)}</vpn_connection>'


def text(item: dict[str, Any], blanks: str) -> str:
    found = ""
    for name, values in item.items():
        for value in values if isinstance(values, list) else [values]:
            inside = f"\n{text(value, blanks)}" if isinstance(value, dict) else f"{blanks}{value}{blanks}"
            found += f"  <{name}>{inside}</{name}>\n"
    return found


def static(*tunnels: dict[str, Any]) -> str:
    """A document without BGP."""
    found = []
    for item in tunnels or (tunnel(0), tunnel(1)):
        found.append(change(change(item, "customer_gateway.bgp", None), "vpn_gateway.bgp", None))
    return document(*found, **STATIC)


def take(xml: object, **given: Any) -> dict[str, Any]:
    return import_connection(xml, **{**WANTED, **given})


def refused(xml: object, **given: Any) -> list[str]:
    """The lines of the refusal, which never have a key."""
    with pytest.raises(ModelErrors) as caught:
        take(xml, **given)
    found = str(caught.value)
    assert not [secret for secret in SECRETS if secret in found]
    return found.split("\n")


def model(item: dict[str, Any]) -> Connection:
    """The item as the model reads it."""
    return next(
        iter(
            parse(
                {
                    "vpc_networks": [{"name": "net1", "cidr": "10.10.10.0/24"}],
                    "vpc_vpn_connections": [item],
                    "hosts": {
                        "vpn1": {"groups": ["routers", "vpn_gateways"], "vpc_underlay_address": "192.168.56.105"}
                    },
                }
            ).connections.values()
        )
    )


def options(index: int, **more: Any) -> dict[str, Any]:
    """TunnelOptions of the first (0) or second (1) tunnel."""
    return {"OutsideIpAddress": ADDRESSES[index], "TunnelInsideCidr": INSIDE[index], **more}


def values(*words: object) -> list[dict[str, object]]:
    return [{"Value": word} for word in words]
