# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The import of AWS's documents: what they become, which keys they have, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_import import import_connection
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._model.vpn_documents import (
    ADDRESSES,
    INSIDE,
    SECRETS,
    STATIC,
    TUNNEL,
    change,
    document,
    model,
    options,
    refused,
    static,
    take,
    tunnel,
)
from hypothesis import given
from hypothesis import strategies as st

VARIABLES = ["vault_psk1", "vault_psk2"]
STRONG = {
    "ike": {
        "version": 2,
        "encryption": ["aes256-gcm16", "aes256"],
        "integrity": ["sha384", "sha256"],
        "prf": ["sha384", "sha256"],
        "dh": [20, 14],
        "lifetime": 28800,
    },
    "esp": {"encryption": ["aes256-gcm16", "aes256"], "integrity": ["sha256"], "dh": [20, 14], "lifetime": 3600},
    "dpd": {"interval": 10, "retries": 3},
}


# What a document becomes


def test_document() -> None:
    assert take(document()) == {
        "name": "aws1",
        "gateway": "vpn1",
        "customer_asn": 65000,
        "amazon_asn": 64512,
        "hold_time": 30,
        "accept": ["10.20.0.0/16"],
        "tunnels": [
            {
                "outside_address": "203.0.113.10",
                "peer_outside_address": ADDRESSES[index],
                "inside_cidr": INSIDE[index],
                "inside_address": f"169.254.252.{4 * index + 2}",
                "peer_inside_address": f"169.254.252.{4 * index + 1}",
                "psk": SECRETS[index],
                **STRONG,
            }
            for index in (0, 1)
        ],
    }
    connection = model(take(document()))
    assert [item.name for item in connection.tunnels] == ["aws1-1", "aws1-2"]


def test_what_is_not_given_is_left_out() -> None:
    found = import_connection(document(), name="aws1", gateway=None, psk_variables=VARIABLES)
    assert list(found) == ["name", "customer_asn", "amazon_asn", "hold_time", "tunnels"]


def test_strong_is_what_the_model_takes_by_default() -> None:
    found = take(document())
    for item in found["tunnels"]:
        for key in STRONG:
            del item[key]
    assert model(found) == model(take(document()))


def test_blanks_around_values_and_before_the_document() -> None:
    text = document(blanks=" \n\t ")
    assert "\t sha1 " in text
    assert take(f"\n   {text}\n") == take(document())
    assert take("\ufeff" + document()) == take(document())
    assert take(document().split("\n", 1)[1]) == take(document())


def test_identical_tunnels_are_read_and_left_to_the_model() -> None:
    found = take(document(tunnel(0), tunnel(0)), tunnel_options=[options(0), options(0)])
    assert found["tunnels"][0] == found["tunnels"][1]
    with pytest.raises(ModelErrors) as caught:
        model(found)
    assert [error.path for error in caught.value.errors] == [
        "vpc_vpn_connections[0].tunnels[1].peer_outside_address",
        "vpc_vpn_connections[0].tunnels[1].inside_cidr",
    ]


def test_what_may_be_missing() -> None:
    poor = tunnel(0)
    for path in (
        "customer_gateway.tunnel_inside_address.network_mask",
        "customer_gateway.tunnel_inside_address.network_cidr",
        "customer_gateway.bgp.hold_time",
        "ike.lifetime",
        "ike.authentication_protocol",
        "ike.mode",
        "ipsec",
    ):
        poor = change(poor, path, None)
    assert take(document(poor))["tunnels"] == take(document())["tunnels"][:1]
    assert take(document(vpn_connection_type=""))["tunnels"] == take(document())["tunnels"]


def test_other_elements_do_not_matter() -> None:
    more = {**tunnel(0), "new": {"ike": {"mode": "aggressive"}}}
    assert take(document(more, tunnel(1), vpn_gateway_id="", transit_gateway_id="tgw-0")) == take(document())


def test_lifetimes_and_dpd_are_those_of_the_document() -> None:
    other = change(tunnel(0), "ike.lifetime", "7200")
    other = change(other, "ipsec.lifetime", "1800")
    other = change(other, "ipsec.dead_peer_detection", {"interval": "15", "retries": "5"})
    found = take(document(other))["tunnels"][0]
    assert (found["ike"]["lifetime"], found["esp"]["lifetime"]) == (7200, 1800)
    assert found["dpd"] == {"interval": 15, "retries": 5}


def test_both_orders_of_the_ends() -> None:
    turned = change(tunnel(0), "customer_gateway.tunnel_inside_address.ip_address", "169.254.252.1")
    turned = change(turned, "vpn_gateway.tunnel_inside_address.ip_address", "169.254.252.2")
    found = take(document(turned))["tunnels"][0]
    assert (found["inside_address"], found["peer_inside_address"]) == ("169.254.252.1", "169.254.252.2")
    assert model(take(document(turned))).tunnels[0].inside_address == "169.254.252.1"


def test_order_of_the_tunnels() -> None:
    turned = document(tunnel(1), tunnel(0))
    assert [item["psk"] for item in take(turned)["tunnels"]] == [SECRETS[1], SECRETS[0]]
    assert take(turned, order="outside_address") == take(document())
    named = take(turned, order="outside_address", psk_variables=VARIABLES)["tunnels"]
    assert [(item["psk_variable"], item["peer_outside_address"]) for item in named] == list(zip(VARIABLES, ADDRESSES))
    # Text, as Terraform: 9 is behind 1.
    nine = change(tunnel(0), "vpn_gateway.tunnel_outside_address.ip_address", "9.0.0.1")
    found = take(document(nine, tunnel(1)), order="outside_address")["tunnels"]
    assert [item["peer_outside_address"] for item in found] == [ADDRESSES[1], "9.0.0.1"]


def test_static_connection() -> None:
    found = take(static(), accept=None, static_routes=["10.20.0.0/16"])
    assert list(found) == ["name", "gateway", "static_routes", "tunnels"]
    assert found["tunnels"] == take(document())["tunnels"]
    assert model(found).bgp is None


def test_static_connection_without_inside_addresses() -> None:
    bare = tunnel(0)
    for name in ("customer_gateway", "vpn_gateway"):
        bare = change(bare, f"{name}.tunnel_inside_address", None)
    found = take(static(bare), accept=None, static_routes=["10.20.0.0/16"])
    assert "inside_cidr" not in found["tunnels"][0]
    assert model(found).tunnels[0].inside_cidr is None
    assert refused(document(bare)) == [
        f"{TUNNEL}.{name}.tunnel_inside_address.ip_address: is missing" for name in ("customer_gateway", "vpn_gateway")
    ]


def test_gateway_behind_nat() -> None:
    found = take(document(), local_address="10.0.0.9")
    assert [item["local_address"] for item in found["tunnels"]] == ["10.0.0.9", "10.0.0.9"]
    assert refused(document(), local_address="10.0.0.09")[0].startswith("tunnels[0].local_address: 10.0.0.09 is not")


# Keys


def test_variables_in_place_of_keys() -> None:
    found = take(document(), psk_variables=VARIABLES)
    assert [item["psk_variable"] for item in found["tunnels"]] == VARIABLES
    assert not [secret for secret in SECRETS if secret in str(found)]
    assert refused(document(), psk_variables=VARIABLES[:1]) == ["psk_variables: has 1 items for 2 tunnels"]
    assert refused(document(), psk_variables=[SECRETS[0], 5]) == [
        "psk_variables[0]: is not the name of a variable: A-Z a-z 0-9 _, not starting with a digit",
        "psk_variables[1]: is a number; the name of a variable is needed",
    ]
    assert refused(document(), psk_variables=SECRETS[0]) == [
        "psk_variables: is a string; a list of names of variables is needed",
        "psk_variables: has 0 items for 2 tunnels",
    ]


def test_keys_that_live_elsewhere() -> None:
    bare = document(change(tunnel(0), "ike.pre_shared_key", None))
    name = "name a variable for each tunnel in psk_variables"
    assert refused(bare) == [f"{TUNNEL}.ike.pre_shared_key: is missing: {name}"]
    arn = options(0, PreSharedKeyArn="arn:aws:secretsmanager:eu-west-1:1:secret:vpn")
    assert refused(bare, tunnel_options=[arn]) == [
        f"{TUNNEL}.ike.pre_shared_key: is missing: it is in Secrets Manager; {name}"
    ]
    assert take(bare, psk_variables=VARIABLES[:1])["tunnels"][0]["psk_variable"] == "vault_psk1"
    found = take(bare, tunnel_options=[options(0, PreSharedKey=SECRETS[0])])
    assert found["tunnels"][0]["psk"] == SECRETS[0]


def test_two_keys_that_differ() -> None:
    given = [options(0, PreSharedKey=SECRETS[1])]
    assert refused(document(tunnel(0)), tunnel_options=given) == [
        f"{TUNNEL}.ike.pre_shared_key: differs from tunnel_options: one of them is old"
    ]
    assert take(document(tunnel(0)), tunnel_options=given, psk_variables=["a"])["tunnels"][0]["psk_variable"] == "a"


@pytest.mark.parametrize("key", [f"0{SECRETS[0]}", f"{SECRETS[0]} {SECRETS[1]}", "&lt;hidden&gt;", "a" * 65, "sh.rt"])
def test_keys_that_are_none(key: str) -> None:
    (line,) = refused(document(change(tunnel(0), "ike.pre_shared_key", key)))
    assert line.startswith(f"{TUNNEL}.ike.pre_shared_key: ")
    assert key not in line
    bare = document(change(tunnel(0), "ike.pre_shared_key", None))
    (line,) = refused(bare, tunnel_options=[options(0, PreSharedKey=key)])
    assert line.startswith("tunnel_options[0].PreSharedKey: ")


# Mistakes


def test_every_mistake_at_once() -> None:
    bad = change(tunnel(0), "customer_gateway.tunnel_outside_address.ip_address", "fd00::1")
    bad = change(bad, "vpn_gateway.tunnel_outside_address", None)
    bad = change(bad, "ike.lifetime", "eight")
    bad = change(bad, "ipsec.encryption_protocol", "rot13")
    bad = change(bad, "vpn_gateway.bgp.asn", None)
    bad = change(bad, "ike.pre_shared_key", "short")
    address = "tunnel_outside_address.ip_address"
    assert refused(document(bad), accept=["10.20.0.1/16"], ike_version=3, minimums="yes", order="random") == [
        "accept[0]: 10.20.0.1/16 has host bits set: the network is 10.20.0.0/16",
        "order: random is not allowed: document or outside_address",
        "ike_version: 3 is not allowed: 1 to 2",
        "minimums: yes is a string; a boolean is needed: true or false, without quotes",
        f"{TUNNEL}.customer_gateway.{address}: fd00::1 is an IPv6 address; an IPv4 address is needed",
        f"{TUNNEL}.ipsec.encryption_protocol: rot13 is unknown",
        f"{TUNNEL}.ike.lifetime: eight is not a whole number",
        f"{TUNNEL}.vpn_gateway.bgp.asn: is missing, and there is no NoBGPVPNConnection",
        f"{TUNNEL}.vpn_gateway.{address}: is missing",
        f"{TUNNEL}.ike.pre_shared_key: has 5 characters: 8 to 64 are needed",
    ]


def test_what_holds_for_users_holds_for_aws() -> None:
    bad = tunnel(0)
    for name, number in (("customer_gateway", 2), ("vpn_gateway", 1)):
        bad = change(bad, f"{name}.tunnel_inside_address.ip_address", f"169.254.3.{number}")
    bad = change(bad, "vpn_gateway.bgp.asn", "65001")
    bad = change(bad, "customer_gateway.bgp.asn", "65001")
    bad = change(bad, "ipsec.lifetime", "28800")
    assert refused(document(bad)) == [
        "customer_asn: 65001 is the amazon_asn as well",
        "tunnels[0].inside_cidr: 169.254.3.0/30 is not allowed: AWS reserves it",
        "tunnels[0].esp.lifetime: 28800 is not allowed: 900 to 3600",
    ]


def test_inside_addresses_that_are_no_pair() -> None:
    path = "customer_gateway.tunnel_inside_address"
    assert refused(document(change(tunnel(0), f"{path}.ip_address", "169.254.252.6"))) == [
        f"{TUNNEL}: has inside addresses that are not in one /30: 169.254.252.4/30, 169.254.252.0/30"
    ]
    assert refused(document(change(tunnel(0), f"{path}.ip_address", "169.254.252.3"))) == [
        "tunnels[0].inside_address: 169.254.252.3 is not allowed in 169.254.252.0/30: 169.254.252.1 or 169.254.252.2"
    ]
    assert refused(document(change(tunnel(0), f"{path}.ip_address", "fd00::2"))) == [
        f"{TUNNEL}.{path}.ip_address: fd00::2 is an IPv6 address; an IPv4 address is needed"
    ]
    assert refused(document(change(tunnel(0), path, None))) == [
        f"{TUNNEL}: has the inside address of one end only",
        f"{TUNNEL}.{path}.ip_address: is missing",
    ]


def test_elements_that_are_there_twice() -> None:
    twice = {**tunnel(0), "ike": [tunnel(0)["ike"], tunnel(1)["ike"]]}
    assert f"{TUNNEL}.ike: is there 2 times" in refused(document(twice))


def test_more_tunnels_than_a_connection_has() -> None:
    """The first mistake is the only one: 70,000 tunnels would have a million."""
    for xml, count in (
        (document(tunnel(0), tunnel(1), tunnel(0)), 3),
        ("<vpn_connection>" + "<ipsec_tunnel/>" * 69_000 + "</vpn_connection>", 69_000),
    ):
        assert refused(xml) == [
            f"vpn_connection.ipsec_tunnel: is there {count} times; a connection has one or two tunnels"
        ]


def test_routing_that_is_not_clear() -> None:
    assert refused(document(change(tunnel(0), "vpn_gateway.bgp.asn", "64512.1"))) == [
        f"{TUNNEL}.vpn_gateway.bgp.asn: 64512.1 is not a whole number"
    ]
    bare = change(change(tunnel(0), "customer_gateway.bgp", None), "vpn_gateway.bgp", None)
    assert refused(document(bare)) == [
        f"{TUNNEL}.{name}.bgp.asn: is missing, and there is no NoBGPVPNConnection"
        for name in ("customer_gateway", "vpn_gateway")
    ]
    other = change(tunnel(1), "vpn_gateway.bgp.asn", "64513")
    assert refused(document(tunnel(0), other)) == [
        "vpn_connection.ipsec_tunnel[1].vpn_gateway.bgp.asn: 64513 differs from that of the first tunnel, 64512"
    ]
    assert refused(document(), static_routes=["10.20.0.0/16"]) == ["static_routes: has no use: the connection has BGP"]
    assert refused(static()) == [
        "accept: has no use: the connection has no BGP (NoBGPVPNConnection)",
        "static_routes: is needed: the connection has no BGP (NoBGPVPNConnection)",
    ]
    assert refused(document(**{**STATIC, "vpn_connection_attributes": "Other"})) == [
        "vpn_connection.vpn_connection_attributes: Other is unknown: NoBGPVPNConnection"
    ]
    assert refused(document(vpn_connection_type="ipsec.2")) == [
        "vpn_connection.vpn_connection_type: ipsec.2 is unknown: ipsec.1"
    ]


def test_documents_of_something_else() -> None:
    name = "customer_gateway_configuration"
    assert refused("<DescribeVpnConnectionsResponse><a/></DescribeVpnConnectionsResponse>") == [
        f"{name}: is another document: its root is DescribeVpnConnectionsResponse, not vpn_connection"
    ]
    assert refused('<vpn_connection id="vpn-0"/>') == [
        "vpn_connection.ipsec_tunnel: is missing: the connection has no tunnels (is it deleted?)"
    ]
    assert refused({"CustomerGatewayConfiguration": document()}) == [
        f"{name}: is a mapping; the document as a string is needed"
    ]
    assert refused(SECRETS[0]) == [f"{name}: is not XML: it must start with <"]


def test_names() -> None:
    assert refused(document(), name=None) == ["name: is missing"]
    assert refused(document(), name=5)[0].startswith("name: 5 is a number")
    assert refused(document(), name="AWS")[0].startswith("name: AWS is not allowed")
    assert refused(document(), gateway=["vpn1"]) == ["gateway: a list is not allowed; a string is needed"]


# Properties

LEAVES = [
    f"{outer}.{inner}"
    for outer in ("ike", "ipsec")
    for inner, value in tunnel(0)[outer].items()
    if isinstance(value, str)
] + [
    f"{end}.{path}"
    for end in ("customer_gateway", "vpn_gateway")
    for path in ("tunnel_outside_address.ip_address", "tunnel_inside_address.ip_address", "bgp.asn", "bgp.hold_time")
]
WORDS = st.text("abcdefgh0123456789.-_ ", max_size=12) | st.sampled_from(
    ["sha2-512", "aes-256-gcm-16", "group19", "0", "4294967295", "169.254.252.2", "10.0.0.1", "999999999999"]
)


@given(st.sampled_from(LEAVES), WORDS | st.none(), st.booleans())
def test_any_value_is_refused_or_becomes_what_the_model_takes(path: str, word: str | None, minimums: bool) -> None:
    xml = document(change(tunnel(0), path, word), tunnel(1))
    try:
        found = take(xml, minimums=minimums)
    except ModelErrors as errors:
        lines = str(errors)
    else:
        lines = ""
        # Numbers that only the whole list shows, as two tunnels to one peer.
        try:
            model(found)
        except ModelErrors as errors:
            lines = str(errors)
            assert "tunnels[1]" in lines or "peer_outside_address" in lines or "inside" in lines
    assert not [secret for secret in SECRETS if secret in lines]
