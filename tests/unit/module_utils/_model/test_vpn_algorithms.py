# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which algorithms the import chooses: AWS's words for them, TunnelOptions, strong ones and minimums."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import RACOON, impossible
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._model.vpn_documents import (
    ADDRESSES,
    INSIDE,
    SECRETS,
    TUNNEL,
    WANTED,
    change,
    document,
    model,
    options,
    refused,
    take,
    tunnel,
    values,
)
from hypothesis import given
from hypothesis import strategies as st

MINIMUMS = {
    "ike": {
        "version": 1,
        "encryption": ["aes128"],
        "integrity": ["sha1"],
        "prf": [],
        "dh": [2],
        "lifetime": 28800,
    },
    "esp": {"encryption": ["aes128"], "integrity": ["sha1"], "dh": [2], "lifetime": 3600},
    "dpd": {"interval": 10, "retries": 3},
}
HARD = {
    "Phase1EncryptionAlgorithms": values("AES256"),
    "Phase2EncryptionAlgorithms": values("AES128", "AES256-GCM-16"),
    "Phase1IntegrityAlgorithms": values("SHA1", "SHA2-512"),
    "Phase2IntegrityAlgorithms": values("SHA2-256"),
    "Phase1DHGroupNumbers": values(2, 15, 16),
    "Phase2DHGroupNumbers": values(14, 24),
    "IkeVersions": values("ikev2"),
    "Phase1LifetimeSeconds": 14400,
    "Phase2LifetimeSeconds": 1800,
    "PreSharedKey": SECRETS[0],
}


def snake(item: Any) -> Any:
    """As Ansible's modules spell what AWS's API returns."""
    if isinstance(item, dict):
        return {
            re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=H)(?=Group)", "_", key).lower(): snake(value)
            for key, value in item.items()
        }
    return [snake(value) for value in item] if isinstance(item, list) else item


# Algorithms


def test_minimums_only_where_asked_for() -> None:
    for item in take(document(), minimums=True)["tunnels"]:
        assert {key: item[key] for key in MINIMUMS} == MINIMUMS


def test_minimums_that_the_document_lacks() -> None:
    poor = change(change(tunnel(0), "ike.encryption_protocol", None), "ipsec.perfect_forward_secrecy", None)
    assert refused(document(poor), minimums=True) == [
        f"{TUNNEL}.ike.encryption_protocol: is missing, and minimums are asked for",
        f"{TUNNEL}.ipsec.perfect_forward_secrecy: is missing, and minimums are asked for",
    ]
    assert "minimums" not in str(take(document(poor)))


def test_version_1_is_strong_and_what_racoon_can() -> None:
    connection = model({**take(document(), ike_version=1), "mode": "active_passive"})
    assert impossible(connection, RACOON) == []
    assert connection.tunnels[0].ike.encryption == ("aes256",)
    assert connection.tunnels[0].esp.dh == (14,)


@pytest.mark.parametrize(
    "token, word",
    [
        *((token, "sha256") for token in ("sha256", "SHA2-256", "sha-256", "hmac-sha2-256-128", "hmac_sha256")),
        *((token, "sha384") for token in ("sha384", "sha2-384", "hmac-sha-384-192")),
        *((token, "sha512") for token in ("sha512", "sha2-512", "hmac-sha2-512-256")),
        *((token, "sha1") for token in ("sha1", "sha-1", "SHA1", "hmac-sha1-96")),
    ],
)
def test_words_for_hashes(token: str, word: str) -> None:
    found = take(document(change(tunnel(0), "ike.authentication_protocol", token)), minimums=True)
    assert found["tunnels"][0]["ike"]["integrity"] == [word]


@pytest.mark.parametrize(
    "token, word",
    [
        ("aes-128", "aes128"),
        ("aes-256-cbc", "aes256"),
        ("AES256", "aes256"),
        ("aes-128-gcm", "aes128-gcm16"),
        ("AES256-GCM-16", "aes256-gcm16"),
    ],
)
def test_words_for_encryption(token: str, word: str) -> None:
    found = take(document(change(tunnel(0), "ipsec.encryption_protocol", token)), minimums=True)
    assert found["tunnels"][0]["esp"]["encryption"] == [word]


def test_gcm_in_the_document_needs_version_2() -> None:
    found = take(document(change(tunnel(0), "ike.encryption_protocol", "aes-128-gcm-16")), minimums=True)
    assert found["tunnels"][0]["ike"] == {
        "version": 2,
        "encryption": ["aes128-gcm16"],
        "integrity": [],
        "prf": ["sha1"],
        "dh": [2],
        "lifetime": 28800,
    }


@pytest.mark.parametrize("token, number", [("group14", 14), ("Group 20", 20), ("dh-group-5", 5), ("24", 24)])
def test_words_for_groups(token: str, number: int) -> None:
    found = take(document(change(tunnel(0), "ipsec.perfect_forward_secrecy", token)), minimums=True)
    assert found["tunnels"][0]["esp"]["dh"] == [number]


@pytest.mark.parametrize(
    "path, token",
    [
        ("ike.authentication_protocol", "md5"),
        ("ike.authentication_protocol", "sha3-256"),
        ("ike.encryption_protocol", "aes-192-cbc"),
        ("ike.perfect_forward_secrecy", "group1"),
        ("ike.perfect_forward_secrecy", "none"),
        ("ipsec.authentication_protocol", "hmac-sha1-128"),
        ("ipsec.encryption_protocol", "3des"),
        ("ipsec.perfect_forward_secrecy", "group31"),
    ],
)
def test_unknown_words_are_refused_even_where_not_used(path: str, token: str) -> None:
    assert refused(document(change(tunnel(0), path, token))) == [f"{TUNNEL}.{path}: {token} is unknown"]


@pytest.mark.parametrize(
    "path, token, known",
    [
        ("ike.mode", "aggressive", "main"),
        ("ipsec.mode", "transport", "tunnel"),
        ("ipsec.protocol", "ah", "esp"),
        ("customer_gateway.tunnel_inside_address.network_cidr", "29", "30"),
        ("vpn_gateway.tunnel_inside_address.network_mask", "255.255.255.0", "255.255.255.252"),
    ],
)
def test_what_only_one_word_is_known_for(path: str, token: str, known: str) -> None:
    assert refused(document(change(tunnel(0), path, token))) == [f"{TUNNEL}.{path}: {token} is unknown: {known}"]


# TunnelOptions


@pytest.mark.parametrize("spelt", [lambda item: item, snake], ids=["CamelCase", "snake_case"])
def test_options_choose_one_strong_algorithm_of_each_kind(spelt: Any) -> None:
    given = spelt([options(1), options(0, **HARD)])
    first, second = take(document(), tunnel_options=given)["tunnels"]
    assert first["ike"] == {
        "version": 2,
        "encryption": ["aes256"],
        "integrity": ["sha512"],
        "prf": [],
        "dh": [15],
        "lifetime": 14400,
    }
    assert first["esp"] == {"encryption": ["aes256-gcm16"], "integrity": [], "dh": [14], "lifetime": 1800}
    # Nothing said is everything allowed.
    assert second["ike"] == {
        "version": 2,
        "encryption": ["aes256-gcm16"],
        "integrity": [],
        "prf": ["sha384", "sha256", "sha512"],
        "dh": [20],
        "lifetime": 28800,
    }
    assert second["esp"] == {"encryption": ["aes256-gcm16"], "integrity": [], "dh": [20], "lifetime": 3600}


def test_snake_case_is_ansibles() -> None:
    assert snake(HARD) == camel_dict_to_snake_dict(HARD)


def test_words_need_not_be_wrapped() -> None:
    plain = options(0, Phase1DHGroupNumbers=["16"], Phase1EncryptionAlgorithms=["AES256"], IkeVersions=["ikev1"])
    found = take(document(tunnel(0)), tunnel_options=[plain])["tunnels"][0]["ike"]
    assert (found["version"], found["encryption"], found["integrity"], found["dh"]) == (1, ["aes256"], ["sha256"], [16])


def test_options_that_allow_nothing_strong() -> None:
    weak = options(
        0,
        Phase1EncryptionAlgorithms=values("AES128", "AES128-GCM-16"),
        Phase2IntegrityAlgorithms=values("SHA1"),
        Phase2EncryptionAlgorithms=values("AES256"),
        Phase2DHGroupNumbers=values(2, 22),
    )
    one, more = "allow one of", "in AWS, or ask for minimums"
    first = "tunnel_options[0].Phase1EncryptionAlgorithms: allows only aes128, aes128-gcm16"
    assert refused(document(tunnel(0)), tunnel_options=[weak]) == [
        f"{first}: {one} aes256-gcm16, aes256 {more}",
        f"tunnel_options[0].Phase2IntegrityAlgorithms: allows only sha1: {one} sha384, sha256, sha512 {more}",
        f"tunnel_options[0].Phase2DHGroupNumbers: allows only 2, 22: {one} 20, 19, 21, 14, 15, 16, 17, 18 {more}",
    ]
    found = take(document(tunnel(0)), tunnel_options=[weak], minimums=True)["tunnels"][0]
    assert found["ike"]["encryption"] == ["aes128"]
    assert found["esp"] == {"encryption": ["aes256"], "integrity": ["sha1"], "dh": [2], "lifetime": 3600}


def test_minimums_that_options_do_not_allow() -> None:
    found = take(document(tunnel(0)), tunnel_options=[options(0, **HARD)], minimums=True)["tunnels"][0]
    assert found["ike"]["version"] == 2
    assert found["ike"]["encryption"] == ["aes256"]
    assert found["ike"]["integrity"] == ["sha1"]
    assert found["ike"]["dh"] == [2]
    assert found["esp"] == {"encryption": ["aes128"], "integrity": ["sha256"], "dh": [14], "lifetime": 1800}


def test_minimums_with_gcm_only() -> None:
    gcm = options(0, Phase1EncryptionAlgorithms=values("AES256-GCM-16", "AES128-GCM-16"))
    found = take(document(tunnel(0)), tunnel_options=[gcm], minimums=True)["tunnels"][0]["ike"]
    assert (found["version"], found["encryption"], found["prf"]) == (2, ["aes128-gcm16"], ["sha1"])


def test_version_that_options_do_not_allow() -> None:
    assert refused(document(tunnel(0)), tunnel_options=[options(0, **HARD)], ike_version=1) == [
        "tunnel_options[0].IkeVersions: does not allow ike_version 1"
    ]


def test_version_1_where_options_allow_nothing_else() -> None:
    old = options(0, IkeVersions=values("ikev1"), Phase1EncryptionAlgorithms=values("AES256-GCM-16", "AES256"))
    found = take(document(tunnel(0)), tunnel_options=[old])["tunnels"][0]
    assert (found["ike"]["version"], found["ike"]["encryption"], found["ike"]["dh"]) == (1, ["aes256"], [14])
    assert found["esp"]["encryption"] == ["aes256"]
    gcm = {**old, "Phase1EncryptionAlgorithms": values("AES256-GCM-16")}
    assert refused(document(tunnel(0)), tunnel_options=[gcm]) == ["tunnels[0].ike.encryption: GCM needs version 2"]


def test_options_find_their_tunnel() -> None:
    marks = [{"Phase2LifetimeSeconds": 1000}, {"Phase2LifetimeSeconds": 2000}]
    by_address = [{"OutsideIpAddress": ADDRESSES[1], **marks[1]}, {"OutsideIpAddress": ADDRESSES[0], **marks[0]}]
    # With the address of an end in it, as it has been seen.
    by_inside = [{"TunnelInsideCidr": "169.254.252.5/30", **marks[1]}, {"TunnelInsideCidr": INSIDE[0], **marks[0]}]
    for written in (by_address, by_inside, marks):
        found = take(document(), tunnel_options=written)["tunnels"]
        assert [item["esp"]["lifetime"] for item in found] == [1000, 2000]
    found = take(document(), tunnel_options=by_address, order="outside_address")["tunnels"]
    assert [item["esp"]["lifetime"] for item in found] == [1000, 2000]


def test_options_of_something_else() -> None:
    other = {"OutsideIpAddress": "192.0.2.1", "TunnelInsideCidr": INSIDE[0]}
    assert refused(document(), tunnel_options=[options(1), other]) == [
        f"{TUNNEL}: has no item in tunnel_options with its OutsideIpAddress or TunnelInsideCidr",
        "tunnel_options[1]: is of no tunnel of the document",
    ]
    moved = {**options(0), "TunnelInsideCidr": "169.254.10.0/30"}
    assert refused(document(tunnel(0)), tunnel_options=[moved]) == [
        f"tunnel_options[0].TunnelInsideCidr: 169.254.10.0/30 differs from {TUNNEL}, {INSIDE[0]}: one of them is old"
    ]


def test_options_that_cannot_be_read() -> None:
    bad = options(
        0,
        IkeVersions=values("ikev3"),
        Phase1EncryptionAlgorithms=values("AES192", "AES256"),
        Phase1DHGroupNumbers=[{"Number": 14}, True],
        Phase2LifetimeSeconds="1h",
        OutsideIpAddress="fd00::1",
        TunnelInsideCidr="169.254.252.0/29",
    )
    assert refused(document(), tunnel_options=[bad, SECRETS[0]]) == [
        "tunnel_options[0].OutsideIpAddress: fd00::1 is an IPv6 address; an IPv4 address is needed",
        "tunnel_options[0].TunnelInsideCidr: 169.254.252.0/29 is not a /30, as 169.254.10.0/30",
        "tunnel_options[0].IkeVersions[0]: ikev3 is unknown",
        "tunnel_options[0].Phase1EncryptionAlgorithms[0]: AES192 is unknown",
        "tunnel_options[0].Phase1DHGroupNumbers[0]: null is unknown",
        "tunnel_options[0].Phase1DHGroupNumbers[1]: true is unknown",
        "tunnel_options[0].Phase2LifetimeSeconds: 1h is not a whole number",
        "tunnel_options[1]: a string is not allowed; a mapping is needed",
        "vpn_connection.ipsec_tunnel[1]: has no item in tunnel_options with its OutsideIpAddress or TunnelInsideCidr",
    ]
    assert refused(document(), tunnel_options={"OutsideIpAddress": 1})[0] == (
        "tunnel_options: a mapping is not allowed; a list is needed"
    )


# Properties


def subset(words: list[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.sampled_from(words), unique=True).map(lambda chosen: values(*chosen))


GROUPS = [2, *range(14, 25)]
HASHES = ["SHA1", "SHA2-256", "SHA2-384", "SHA2-512"]
CIPHERS = ["AES128", "AES256", "AES128-GCM-16", "AES256-GCM-16"]
SETS = st.fixed_dictionaries(
    {
        "Phase1EncryptionAlgorithms": subset(CIPHERS),
        "Phase2EncryptionAlgorithms": subset(CIPHERS),
        "Phase1IntegrityAlgorithms": subset(HASHES),
        "Phase2IntegrityAlgorithms": subset(HASHES),
        "Phase1DHGroupNumbers": subset(GROUPS),
        "Phase2DHGroupNumbers": subset([5, *GROUPS]),
        "IkeVersions": subset(["ikev1", "ikev2"]),
    }
)


@given(SETS, st.booleans())
def test_what_is_offered_is_allowed_and_strong_unless_asked(sets: dict[str, Any], minimums: bool) -> None:
    try:
        found = take(document(tunnel(0)), tunnel_options=[options(0, **sets)], minimums=minimums)["tunnels"][0]
    except ModelErrors as errors:
        lines = str(errors).split("\n")
        known = ("allows only" if not minimums else "GCM needs version 2", "GCM needs version 2")
        assert all(any(word in line for word in known) for line in lines)
        return
    model({**WANTED, "tunnels": [found]})
    allowed = {key: [item["Value"] for item in items] or None for key, items in sets.items()}
    for phase, offer in ((1, found["ike"]), (2, found["esp"])):
        for name, key in (("Encryption", "encryption"), ("Integrity", "integrity")):
            words = allowed[f"Phase{phase}{name}Algorithms"]
            plain = [word.lower().replace("-16", "16").replace("sha2-", "sha") for word in words or []]
            assert words is None or set(offer[key]) <= set(plain)
        groups = allowed[f"Phase{phase}DHGroupNumbers"]
        assert groups is None or set(offer["dh"]) <= set(groups)
        if not minimums:
            assert not {"aes128", "aes128-gcm16"}.intersection(offer["encryption"])
            assert "sha1" not in [*offer["integrity"], *offer.get("prf", [])]
            assert not {2, 5, 22, 23, 24}.intersection(offer["dh"])
    assert allowed["IkeVersions"] is None or f"ikev{found['ike']['version']}" in allowed["IkeVersions"]
