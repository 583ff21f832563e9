# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VPN connections: what correct input becomes, and the exact lines that answer mistakes."""

from __future__ import annotations

import copy
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import (
    Bgp,
    Connection,
    Dpd,
    Esp,
    Ike,
    Tunnel,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import (
    PROVIDERS,
    RACOON,
    STRONGSWAN,
    impossible,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_psk import HIDDEN, check_psk, hide_psks
from hypothesis import given
from hypothesis import strategies as st

TABLE = yaml.safe_load(Path(__file__).with_name("vpn_mistakes.yml").read_text(encoding="utf-8"))
BASE: dict[str, Any] = TABLE["base"]
CASES = [pytest.param(case, case["errors"], id=case["rule"]) for case in TABLE["cases"]]
SECRETS = ("secret", "1234567890")


def changed(item: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The item with the changes; null takes a key away."""
    return {key: value for key, value in {**item, **changes}.items() if changes.get(key, 0) is not None}


def raw(case: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a case of the table."""
    found = copy.deepcopy(BASE)
    connections = found["vpc_vpn_connections"]
    connections[0]["tunnels"][0] = changed(connections[0]["tunnels"][0], case.get("tunnel", {}))
    connections[0] = changed(connections[0], case.get("connection", {}))
    if "more" in case:
        connections.append({**copy.deepcopy(connections[0]), "name": "aws2", **case["more"]})
    return {**found, **case.get("given", {})}


def only(case: Mapping[str, Any]) -> Connection:
    return next(iter(parse(raw(case)).connections.values()))


def test_base_and_its_defaults() -> None:
    ike = Ike(2, ("aes256-gcm16", "aes256"), ("sha384", "sha256"), ("sha384", "sha256"), (20, 14), 28800)
    esp = Esp(("aes256-gcm16", "aes256"), ("sha256",), (20, 14), 3600)
    common = (ike, esp, Dpd(10, 3))
    path = "vpc_vpn_connections[0]"
    ours = "203.0.113.10"
    first = ("198.51.100.1", parse_prefix(4, "169.254.252.0/30"), "169.254.252.2", "169.254.252.1", None)
    second = ("198.51.100.17", parse_prefix(4, "169.254.252.4/30"), "169.254.252.6", "169.254.252.5", "vault_psk2")
    assert only({}) == Connection(
        path,
        "aws1",
        "vpn1",
        "default",
        Bgp(65000, 64512, 30),
        (parse_prefix(4, "10.10.10.0/24"),),
        (parse_prefix(4, "10.20.0.0/16"),),
        (),
        "active_active",
        False,
        (
            Tunnel(f"{path}.tunnels[0]", "aws1-1", 1, ours, ours, *first, *common),
            Tunnel(f"{path}.tunnels[1]", "aws1-2", 2, ours, ours, *second, *common),
        ),
    )
    assert not only({}).tunnels[0].nat


def test_everything_written() -> None:
    ike = {"version": 1, "encryption": ["aes128", "aes256"], "integrity": ["sha1"], "dh": [2], "lifetime": 900 + 1}
    esp = {"encryption": ["aes128-gcm16"], "integrity": [], "dh": [5, 24], "lifetime": 900}
    connection = only(
        {
            "connection": {
                "vpc": "shop",
                "customer_asn": 4294967294,
                "amazon_asn": 7224,
                "hold_time": 9,
                "announce": ["172.16.0.0/12", "0.0.0.0/0"],
                "accept": ["10.30.0.0/16", "0.0.0.0/0", "10.0.0.0/8"],
                "mode": "active_passive",
                "internet": True,
            },
            "tunnel": {
                "local_address": "10.0.0.9",
                "inside_address": "169.254.252.1",
                "ike": ike,
                "esp": esp,
                "dpd": {"interval": 1, "retries": 20},
            },
        }
    )
    assert connection.bgp == Bgp(4294967294, 7224, 9)
    assert [prefix.text for prefix in connection.announce] == ["0.0.0.0/0", "172.16.0.0/12"]
    assert [prefix.text for prefix in connection.accept] == ["0.0.0.0/0", "10.0.0.0/8", "10.30.0.0/16"]
    assert connection.remote == connection.accept
    assert (connection.vpc, connection.mode, connection.internet) == ("shop", "active_passive", True)
    tunnel = connection.tunnels[0]
    assert (tunnel.local_address, tunnel.outside_address, tunnel.nat) == ("10.0.0.9", "203.0.113.10", True)
    assert (tunnel.inside_address, tunnel.peer_inside_address) == ("169.254.252.1", "169.254.252.2")
    assert tunnel.ike == Ike(1, ("aes128", "aes256"), ("sha1",), (), (2,), 901)
    assert tunnel.esp == Esp(("aes128-gcm16",), (), (5, 24), 900)
    assert tunnel.dpd == Dpd(1, 20)


def test_either_end_may_have_the_first_inside_address() -> None:
    for written in (
        {"inside_address": "169.254.252.1"},
        {"peer_inside_address": "169.254.252.2"},
        {"inside_address": "169.254.252.1", "peer_inside_address": "169.254.252.2"},
    ):
        tunnel = only({"tunnel": written}).tunnels[0]
        assert (tunnel.inside_address, tunnel.peer_inside_address) == ("169.254.252.1", "169.254.252.2")


def test_static_routes_need_no_inside_addresses() -> None:
    static = {"static_routes": ["10.20.0.0/16"], "accept": None, "customer_asn": None, "amazon_asn": None}
    connection = only({"connection": static, "tunnel": {"inside_cidr": None}})
    assert connection.bgp is None
    assert connection.accept == ()
    assert connection.remote == connection.static_routes == (parse_prefix(4, "10.20.0.0/16"),)
    assert [prefix.text for prefix in connection.announce] == ["10.10.10.0/24"]
    assert connection.tunnels[0].inside_cidr is None
    assert connection.tunnels[0].inside_address is connection.tunnels[0].peer_inside_address is None
    assert connection.tunnels[1].inside_address == "169.254.252.6"


def test_version_1_comes_with_what_old_programs_can() -> None:
    for tunnel in ({"ike": {"version": 1}}, {"ike": {"version": 1}, "esp": {"lifetime": 1800}}):
        found = only({"tunnel": tunnel}).tunnels[0]
        assert found.ike == Ike(1, ("aes256",), ("sha256",), (), (14,), 28800)
        assert found.esp.encryption == ("aes256",)


def test_gcm_alone_has_no_integrity() -> None:
    gcm = {"encryption": ["aes256-gcm16"]}
    tunnel = only({"tunnel": {"ike": gcm, "esp": gcm}}).tunnels[0]
    assert (tunnel.ike.integrity, tunnel.ike.prf, tunnel.esp.integrity) == ((), ("sha384", "sha256"), ())
    tunnel = only({"tunnel": {"ike": {"encryption": ["aes256"]}}}).tunnels[0]
    assert (tunnel.ike.integrity, tunnel.ike.prf) == (("sha384", "sha256"), ())


def test_gateways_may_have_the_same_inside_cidr() -> None:
    tunnels = copy.deepcopy(BASE["vpc_vpn_connections"][0]["tunnels"])
    for tunnel in tunnels:
        tunnel["outside_address"] = "203.0.113.20"
    model = parse(
        raw({"more": {"gateway": "vpn2", "customer_asn": 65001, "accept": ["10.21.0.0/16"], "tunnels": tunnels}})
    )
    assert list(model.connections) == ["aws1", "aws2"]


def test_as_many_networks_as_aws_takes() -> None:
    networks = [f"10.30.{index}.0/24" for index in range(101)]
    assert len(only({"connection": {"announce": networks[:100]}}).announce) == 100
    with pytest.raises(ModelErrors) as caught:
        only({"connection": {"announce": networks}})
    assert str(caught.value) == "vpc_vpn_connections[0].announce: has 101 networks: AWS takes at most 100"


def test_unknown_hosts_and_networks_are_no_second_mistake() -> None:
    hosts = {"vpn1": {"groups": "vpn_gateways"}}
    with pytest.raises(ModelErrors) as caught:
        parse(raw({"given": {"hosts": hosts, "vpc_networks": [{"name": "net1", "cidr": "10.0.0.0/33"}]}}))
    assert [error.path for error in caught.value.errors] == ["vpc_networks[0].cidr", "vpn1.groups"]


@pytest.mark.parametrize("case, errors", CASES)
def test_mistake(case: dict[str, Any], errors: list[str]) -> None:
    with pytest.raises(ModelErrors) as caught:
        parse(raw(case))
    assert [str(error).replace("vpc_vpn_connections[", "[", 1) for error in caught.value.errors] == errors
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_the_table_has_secrets_in_wrong_places() -> None:
    # Else the line above proves nothing.
    written = [str([case.get("tunnel"), case.get("connection")]) for case in TABLE["cases"]]
    assert sum(any(secret in text for secret in SECRETS) for text in written) > 8


# Keys


@pytest.mark.parametrize("psk", ["a" * 8, "a" * 64, "A.b_c9.0", "........", "s0000000"])
def test_psk(psk: str) -> None:
    check_psk(psk)


def refusal(value: object) -> str:
    """Why a value is no key; "" where it is one."""
    try:
        check_psk(value)
    except ValueError as error:
        return str(error)
    return ""


KEY_CHARACTERS = string.ascii_letters + string.digits + "._"


@given(st.text() | st.text(KEY_CHARACTERS + "- \n", min_size=6, max_size=66))
def test_psk_is_checked_and_never_shown(value: str) -> None:
    right = 8 <= len(value) <= 64 and set(KEY_CHARACTERS).issuperset(value) and value[0] != "0"
    assert (refusal(value) == "") is right
    assert len(value) < 4 or value not in refusal(value)


@pytest.mark.parametrize("value", [None, True, 12345678, 1.5, b"abcdefgh", ["abcdefgh"], {"abcdefgh": 1}])
def test_psk_is_a_string(value: object) -> None:
    assert refusal(value).startswith("is ")
    assert "12345678" not in refusal(value)
    assert "abcdefgh" not in refusal(value)


def test_hidden_psks_are_read_and_nothing_else_is_changed() -> None:
    hidden = hide_psks(BASE["vpc_vpn_connections"])
    assert "a.secret_Key1" not in str(hidden)
    assert hidden[0]["tunnels"][0] == {**BASE["vpc_vpn_connections"][0]["tunnels"][0], "psk": HIDDEN}
    assert hidden[0]["tunnels"][1] == BASE["vpc_vpn_connections"][0]["tunnels"][1]
    assert BASE["vpc_vpn_connections"][0]["tunnels"][0]["psk"] == "a.secret_Key1"
    assert parse({**BASE, "vpc_vpn_connections": hidden}) == parse(BASE)
    assert hide_psks([{"psk": "a.secret_Key1", "tunnels": None}, 5]) == [{"psk": HIDDEN, "tunnels": None}, 5]
    assert hide_psks(None) is None


@pytest.mark.parametrize("case, errors", CASES)
def test_hiding_keeps_mistakes(case: dict[str, Any], errors: list[str]) -> None:
    variables = raw(case)
    hidden = hide_psks(variables["vpc_vpn_connections"])
    with pytest.raises(ModelErrors) as caught:
        parse({**variables, "vpc_vpn_connections": [*hidden, None] if isinstance(hidden, list) else hidden})
    found = {str(error).replace("vpc_vpn_connections[", "[", 1) for error in caught.value.errors}
    assert set(errors) <= found
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_an_encrypted_value_is_hidden_without_being_opened() -> None:
    class Sealed:
        def __str__(self) -> str:
            raise AssertionError("opened")

    assert hide_psks([{"tunnels": [{"psk": Sealed()}]}]) == [{"tunnels": [{"psk": HIDDEN}]}]


# Providers


def test_strongswan_can_all_of_it() -> None:
    assert PROVIDERS == (STRONGSWAN, RACOON)
    assert impossible(only({}), STRONGSWAN) == []


def test_what_racoon_cannot_do() -> None:
    path = "vpc_vpn_connections[0]"
    tunnel = f"{path}.tunnels[0]"
    gcm = "aes256-gcm16 is not possible with racoon_quagga: aes256 or aes128"
    dh = "is not possible with racoon_quagga: 2, 5, 14, 15, 16, 17, 18"
    found = impossible(only({}), RACOON)
    assert found[:6] == [
        ModelError(f"{path}.mode", "active_active is not possible with racoon_quagga: active_passive"),
        ModelError(f"{tunnel}.ike.version", "2 is not possible with racoon_quagga: 1"),
        ModelError(f"{tunnel}.ike.encryption", gcm),
        ModelError(f"{tunnel}.ike.dh", f"20 {dh}"),
        ModelError(f"{tunnel}.esp.encryption", gcm),
        ModelError(f"{tunnel}.esp.dh", f"20 {dh}"),
    ]
    assert len(found) == 11


def test_what_racoon_can_do() -> None:
    old = {"ike": {"version": 1}}
    tunnels = [{**tunnel, **old} for tunnel in BASE["vpc_vpn_connections"][0]["tunnels"]]
    assert impossible(only({"connection": {"mode": "active_passive", "tunnels": tunnels}}), RACOON) == []
    assert impossible(only({"connection": {"tunnels": tunnels[:1]}}), RACOON) == []


# Properties

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats() | st.text(max_size=4) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
FULL = raw(
    {
        "connection": {
            "vpc": "default",
            "hold_time": 30,
            "announce": ["10.10.10.0/24"],
            "static_routes": [],
            "mode": "active_active",
            "internet": True,
        },
        "tunnel": {
            "local_address": "10.0.0.9",
            "inside_address": "169.254.252.2",
            "peer_inside_address": "169.254.252.1",
            "ike": {
                "version": 2,
                "encryption": ["aes256", "aes256-gcm16"],
                "integrity": ["sha256"],
                "prf": ["sha256"],
                "dh": [14],
                "lifetime": 28800,
            },
            "esp": {"encryption": ["aes256"], "integrity": ["sha256"], "dh": [14], "lifetime": 3600},
            "dpd": {"interval": 10, "retries": 3},
        },
    }
)["vpc_vpn_connections"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a nested one."""
    found = [path] if path else []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        found += places(item, (*path, key))
    return found


def mistakes(connections: Any) -> tuple[ModelError, ...]:
    try:
        parse({**BASE, "vpc_vpn_connections": connections})
    except ModelErrors as errors:
        return errors.errors
    return ()


@given(st.sampled_from(places(FULL)), JUNK)
def test_junk_anywhere_is_a_mistake_or_a_model(path: tuple[Any, ...], junk: Any) -> None:
    connections = copy.deepcopy(FULL)
    inside: Any = connections
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = junk
    errors = mistakes(connections)
    assert all(error.path.startswith("vpc_vpn_connections") for error in errors)
    # What is wrong with the first tunnel is no reason to speak of the second.
    if path[1:3] == ("tunnels", 0) and len(path) > 3 and path[3] not in ("inside_cidr", "peer_outside_address"):
        assert not [error for error in errors if "tunnels[1]" in error.path]


NUMBERS = st.integers(0, 2**14 - 1) | st.sampled_from([0, 64, 320, 384, 10879, 10880])


@given(NUMBERS, NUMBERS)
def test_inside_cidrs_collide_exactly_where_they_are_equal(one: int, two: int) -> None:
    def text(index: int) -> str:
        return f"169.254.{index >> 6}.{index % 64 * 4}/30"

    reserved = [0, 64, 128, 192, 256, 320, 169 * 64 + 63]
    tunnels = copy.deepcopy(BASE["vpc_vpn_connections"][0]["tunnels"])
    tunnels[0]["inside_cidr"], tunnels[1]["inside_cidr"] = text(one), text(two)
    errors = mistakes([{**BASE["vpc_vpn_connections"][0], "tunnels": tunnels}])
    expected = [(index, "AWS reserves it") for index, number in enumerate((one, two)) if number in reserved]
    if one == two and not expected:
        expected = [(1, "already taken")]
    assert len(errors) == len(expected)
    for error, (index, reason) in zip(errors, expected):
        assert error.path == f"vpc_vpn_connections[0].tunnels[{index}].inside_cidr"
        assert reason in error.message
