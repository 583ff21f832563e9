# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tunnels over SSH: what correct input becomes, and the exact lines that answer mistakes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.ssh_tunnels import parse
from hypothesis import given
from hypothesis import strategies as st

TABLE = yaml.safe_load(Path(__file__).with_name("ssh_tunnel_mistakes.yml").read_text(encoding="utf-8"))
HOSTS: list[str] = TABLE["hosts"]
BASE: dict[str, Any] = TABLE["base"]
SECOND: dict[str, Any] = TABLE["second"]
CASES = [pytest.param(case, id=case["rule"]) for case in TABLE["cases"]]


def reach(host: str) -> tuple[str, int]:
    return f"192.0.2.{HOSTS.index(host) + 1}", 2200


def change(base: dict[str, Any], by: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in {**base, **(by or {})}.items() if value is not None}


@pytest.mark.parametrize("case", CASES)
def test_mistakes(case: dict[str, Any]) -> None:
    raw = case.get("tunnels")
    if raw is None:
        raw = [change(BASE, case.get("given"))]
        if "second" in case:
            raw.append(change(SECOND, case["second"]))
    with pytest.raises(ModelErrors) as caught:
        parse(raw, HOSTS, reach, case.get("others"))
    assert str(caught.value).splitlines() == case["errors"]


def test_defaults() -> None:
    (tunnel,) = parse([BASE], HOSTS, reach)
    assert (tunnel.server.unit, tunnel.client.unit) == (7, 7)
    assert (tunnel.server_address, tunnel.port, tunnel.account) == ("192.0.2.1", 2200, "vpc-tun-site1")
    assert (tunnel.mtu, tunnel.interval, tunnel.count) == (1400, 10, 3)
    assert (tunnel.public_key, tunnel.private_key_variable, tunnel.host_keys) == ("", "", ())
    # Behind another address there may be another port than the one that Ansible uses.
    (tunnel,) = parse([change(BASE, {"server_address": "203.0.113.7"})], HOSTS, reach)
    assert tunnel.port == 22


def test_two_tunnels_may_share_what_does_not_collide() -> None:
    """Units, accounts and networks of sites count per host."""
    first = change(BASE, {"routes": {"server_site": ["10.71.0.0/24"], "client_site": ["10.72.0.0/24"]}})
    second = change(
        SECOND, {"client_unit": 7, "routes": {"server_site": ["10.71.0.0/24"], "client_site": ["10.72.0.0/16"]}}
    )
    assert len(parse([first, second], HOSTS, reach)) == 2


def test_keys_lose_their_comments() -> None:
    keys = {"public_key": "ssh-ed25519 AAAAC3Nz me@home", "private_key_variable": "vault_key"}
    (tunnel,) = parse([change(BASE, {**keys, "host_keys": ["ssh-rsa AAAAB3Nz root@cloud"]})], HOSTS, reach)
    assert (tunnel.public_key, tunnel.host_keys) == ("ssh-ed25519 AAAAC3Nz", ("ssh-rsa AAAAB3Nz",))


@pytest.mark.parametrize(
    "cidr,server,client",
    [
        ("169.254.250.0/30", "169.254.250.1", "169.254.250.2"),
        ("10.0.0.4/31", "10.0.0.4", "10.0.0.5"),
        ("fd00::4/126", "fd00::5", "fd00::6"),
        ("fd00::4/127", "fd00::4", "fd00::5"),
    ],
)
def test_inside_addresses(cidr: str, server: str, client: str) -> None:
    family = 6 if ":" in cidr else 4
    chosen = {"inside_cidr6" if family == 6 else "inside_cidr": cidr}
    (tunnel,) = parse([change(BASE, chosen)], HOSTS, reach)
    found = [tunnel.address(key, family) for key in ("server", "client")]
    assert [format_address(family, end[0]) for end in found if end] == [server, client]
    (alone,) = parse([change(BASE, {"inside_cidr": None, "inside_cidr6": None} | chosen)], HOSTS, reach)
    assert alone.address("server", 10 - family) is None
    assert [alone.address(key, family) for key in ("server", "client")] == found


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["cloud", "10.0.0.0/30"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*BASE, "routes", "host_keys"]), inner)
        ),
        max_leaves=20,
    )
)
def test_anything_is_read_or_refused(raw: Any) -> None:
    """Never another exception, whatever YAML holds."""
    with contextlib.suppress(ModelErrors):
        parse(raw, HOSTS, reach)
