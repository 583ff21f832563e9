# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections for the tests, all read by the model itself: one as in the example, and any number of random ones."""

from __future__ import annotations

import copy
import dataclasses
import random
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import KERNEL, STRONGSWAN
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway

AWS1: dict[str, Any] = {
    "name": "aws1",
    "gateway": "vpn1",
    "accept": ["10.20.0.0/16"],
    "tunnels": [
        {
            "outside_address": "203.0.113.10",
            "peer_outside_address": "198.51.100.1",
            "inside_cidr": "169.254.252.0/30",
            "psk_variable": "vault_aws1_psk1",
        },
        {
            "outside_address": "203.0.113.10",
            "peer_outside_address": "198.51.100.17",
            "inside_cidr": "169.254.252.4/30",
            "psk_variable": "vault_aws1_psk2",
        },
    ],
}
_NETWORKS = [
    {"name": "net1", "cidr": "10.10.10.0/24"},
    {"name": "net2", "cidr": "10.10.20.0/24"},
    {"name": "other", "cidr": "10.30.0.0/24", "vpc": "other"},
]
_GROUPS = (2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24)
_RACOON_GROUPS = (2, 14, 15, 16, 17, 18)
_HASHES = ("sha512", "sha384", "sha256", "sha1")


def changed(**values: Any) -> dict[str, Any]:
    """The example's connection with other values at its top."""
    return {**copy.deepcopy(AWS1), **values}


def gateway(
    *connections: dict[str, Any],
    provider: str = STRONGSWAN,
    ipsec: str = KERNEL,
    firewall: str = "nftables",
    networks: list[dict[str, Any]] | None = None,
) -> Gateway:
    """The gateway vpn1 with these connections, the example's without any."""
    hosts = {"vpn1": {"groups": ["vpn_gateways", "routers"], "vpc_underlay_address": "192.0.2.7"}}
    model = parse(
        {
            "vpc_networks": _NETWORKS if networks is None else networks,
            "vpc_vpn_connections": list(connections or (AWS1,)),
            "hosts": {"vpn1": {**hosts["vpn1"], "vpc_backend": firewall}},
        }
    )
    # Not by the host: the tests of texts take what the model refuses for the provider.
    return dataclasses.replace(Gateway.of(model, "vpn1"), provider=provider, ipsec=ipsec)


def some(seed: int, legacy: bool = False) -> list[dict[str, Any]]:
    """Random connections of vpn1 that the model takes. legacy: only what racoon can do."""
    rng = random.Random(seed)
    names = rng.sample(["aws1", "aws10", "aws2", "a", "9-z", "1234567890", "b-1", "zz"], rng.randint(1, 4))
    asn = rng.choice([65000, 1, 4200000001, 2147483647])
    return [_connection(rng, name, index, asn, legacy) for index, name in enumerate(names)]


def _connection(rng: random.Random, name: str, index: int, asn: int, legacy: bool) -> dict[str, Any]:
    base = 10 * index + 40
    remote = [f"10.{base + number}.0.0/16" for number in range(rng.randint(1, 3))] + [f"172.{16 + index}.7.9/32"]
    found: dict[str, Any] = {"name": name, "gateway": "vpn1", "internet": rng.random() < 0.3, "tunnels": []}
    if rng.random() < 0.25:
        found["static_routes"] = remote
    else:
        found["accept"] = rng.sample([*remote, "0.0.0.0/0"], rng.randint(1, len(remote)))
        found["customer_asn"] = asn
        found["amazon_asn"] = rng.choice([64512, 7224, 4200000005])
        found["hold_time"] = rng.choice([9, 30, 31, 180])
    if rng.random() < 0.5:
        found["announce"] = rng.sample(["10.10.10.0/24", "10.10.0.0/19", "192.168.0.0/16", "0.0.0.0/0"], 2)
    count = rng.randint(1, 2)
    if count == 2 and (legacy or rng.random() < 0.5):
        found["mode"] = "active_passive"
    for number in range(count):
        found["tunnels"].append(_tunnel(rng, 8 * index + 4 * number + 20, legacy))
    return found


def _tunnel(rng: random.Random, offset: int, legacy: bool) -> dict[str, Any]:
    version = 1 if legacy or rng.random() < 0.2 else 2
    ciphers = ["aes256", "aes128"] if version == 1 else ["aes256-gcm16", "aes256", "aes128-gcm16", "aes128"]
    tunnel: dict[str, Any] = {
        "outside_address": "203.0.113.10",
        "peer_outside_address": f"198.51.100.{offset}",
        "inside_cidr": f"169.254.{offset}.{offset // 4 * 4}/30",
        "psk_variable": f"vault_{offset}",
        "dpd": {"interval": rng.choice([1, 10, 300]), "retries": rng.choice([1, 3, 20])},
    }
    if rng.random() < 0.3:
        tunnel["local_address"] = "10.99.0.10"
    for key, lowest, highest in (("ike", 3601, 28800), ("esp", 900, 3600)):
        offer: dict[str, Any] = {
            "encryption": rng.sample(ciphers, rng.randint(1, len(ciphers))),
            "dh": rng.sample(_RACOON_GROUPS if legacy else _GROUPS, rng.randint(1, 3)),
            "lifetime": rng.choice([lowest, highest]),
        }
        if not all(cipher.endswith("gcm16") for cipher in offer["encryption"]):
            offer["integrity"] = rng.sample(_HASHES, rng.randint(1, 3))
        tunnel[key] = offer
    tunnel["ike"]["version"] = version
    return tunnel


def legacy() -> dict[str, Any]:
    """The two tunnels of the article that this project began with; AWS's old minimums are written out."""
    offer = {"encryption": ["aes128"], "integrity": ["sha1"], "dh": [2]}
    tunnels = [
        {
            "outside_address": "1.2.3.4",
            "peer_outside_address": peer,
            "inside_cidr": inside,
            "psk_variable": f"psk{number}",
            "ike": {"version": 1, **offer},
            "esp": offer,
        }
        for number, (peer, inside) in enumerate(
            (("72.21.209.225", "169.254.255.0/30"), ("72.21.209.193", "169.254.255.4/30")), 1
        )
    ]
    return {
        "name": "aws1",
        "gateway": "vpn1",
        "customer_asn": 65530,
        "amazon_asn": 7224,
        "announce": ["10.10.10.0/24"],
        "accept": ["192.168.0.0/24"],
        "mode": "active_passive",
        "tunnels": tunnels,
    }
