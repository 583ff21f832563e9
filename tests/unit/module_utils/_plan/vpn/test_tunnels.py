# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tunnels of a gateway: sizes as AWS has them, numbers that stay, and a kernel state without anything by chance."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import disjoint, parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Esp
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import RACOON, USERLAND
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.files import (
    Host,
    Legacy,
    racoon_quagga,
    strongswan_frr,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import (
    NUMBER_BASE,
    NUMBER_SIZE,
    Gateway,
    mtu,
    numbers,
    psk_token,
    state,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import (
    AWS1,
    changed,
    gateway,
    legacy,
    some,
)

HOST = Host("192.0.2.7", "vpn1", False)


# The table of AWS's user guide ("Your customer gateway device"): MTU without and with NAT traversal.
@pytest.mark.parametrize(
    "encryption, integrity, plain, natted",
    [
        ("aes256-gcm16", (), 1446, 1438),
        ("aes128-gcm16", (), 1446, 1438),
        ("aes128", ("sha1",), 1438, 1422),
        ("aes256", ("sha256",), 1438, 1422),
        ("aes256", ("sha384",), 1422, 1422),
        ("aes256", ("sha512",), 1422, 1406),
    ],
)
def test_mtu_is_that_of_aws(encryption: str, integrity: tuple[str, ...], plain: int, natted: int) -> None:
    esp = Esp((encryption,), integrity, (14,), 3600)
    assert (mtu(esp, False), mtu(esp, True)) == (plain, natted)


def test_mtu_fits_whatever_is_chosen() -> None:
    assert mtu(Esp(("aes256-gcm16", "aes256"), ("sha256", "sha512"), (14,), 3600), False) == 1422
    assert mtu(Esp(("aes256-gcm16",), (), (14,), 3600), False, 9001) == 8946


def test_numbers_stay_when_others_come_and_go() -> None:
    alone = numbers(["aws1-1"])
    many = numbers([f"c{number}-1" for number in range(500)] + ["aws1-1"])
    assert many["aws1-1"] == alone["aws1-1"]
    assert len(set(many.values())) == len(many)
    assert all(NUMBER_BASE <= number < NUMBER_BASE + NUMBER_SIZE < 2**31 for number in many.values())
    # Userland ESP uses them as route tables.
    assert NUMBER_BASE >= identity.TABLE_BASE + identity.TABLE_SIZE


def test_state_of_the_example() -> None:
    first, second = (plan.id for plan in gateway().tunnels)
    assert state(gateway()) == {
        "xfrm": {"aws1-1": f"xfrm if_id {first:#x} mtu 1438", "aws1-2": f"xfrm if_id {second:#x} mtu 1438"},
        "address": {"aws1-1 169.254.252.2/30": "present", "aws1-2 169.254.252.6/30": "present"},
        "sysctl": {
            "net/ipv4/ip_forward": "1",
            "net/ipv4/fib_multipath_hash_policy": "1",
            "net/ipv4/conf/aws1-1/rp_filter": "2|0",
            "net/ipv4/conf/aws1-1/send_redirects": "0",
            "net/ipv4/conf/aws1-2/rp_filter": "2|0",
            "net/ipv4/conf/aws1-2/send_redirects": "0",
        },
    }


def test_state_without_interfaces_of_ours() -> None:
    assert "xfrm" not in state(gateway(ipsec=USERLAND))
    assert {plan.mtu for plan in gateway(ipsec=USERLAND).tunnels} == {1400}
    assert state(gateway(legacy(), provider=RACOON))["address"] == {
        "@underlay 169.254.255.2/30": "present",
        "@underlay 169.254.255.6/30": "present",
    }
    assert state(Gateway("vpn2", ())) == {"sysctl": {}, "xfrm": {}, "address": {}}


def test_behind_nat_is_smaller() -> None:
    tunnels = [{**AWS1["tunnels"][0], "local_address": "10.99.0.10"}, AWS1["tunnels"][1]]
    assert [plan.mtu for plan in gateway(changed(tunnels=tunnels)).tunnels] == [1422, 1438]


def test_disjoint() -> None:
    found = disjoint(parse_prefix(4, text) for text in ("10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/9", "192.168.0.0/24"))
    assert [prefix.text for prefix in found] == ["10.0.0.0/8", "192.168.0.0/24"]


@pytest.mark.parametrize("seed", range(20))
def test_keys_are_in_secret_files_only_and_each_once(seed: int) -> None:
    for files, of in (
        (strongswan_frr, gateway(*some(seed))),
        (strongswan_frr, gateway(*some(seed), ipsec=USERLAND)),
        (racoon_quagga, gateway(*some(seed, True), provider=RACOON)),
    ):
        found = files(of, HOST)
        assert len({text.dest for text in found}) == len(found)
        for text in found:
            assert ("@psk " in text.content) == text.secret
            assert text.mode == "0600" or not text.secret
            assert text.content.endswith("\n")
            assert "None" not in text.content
        secrets = "".join(text.content for text in found if text.secret)
        assert all(secrets.count(psk_token(plan.tunnel)) == 1 for plan in of.tunnels)


def test_legacy_paths_are_variables() -> None:
    paths = Legacy("/opt/racoon", "/opt/ipsec.conf", "/opt/quagga", "q")
    found = {text.dest: text for text in racoon_quagga(gateway(legacy(), provider=RACOON), HOST, paths)}
    assert found["/opt/racoon/racoon.conf"].content.startswith('path pre_shared_key "/opt/racoon/psk.txt";\n')
    assert found["/opt/quagga/bgpd.conf"].owner == "q"
    assert "/opt/ipsec.conf" in found
