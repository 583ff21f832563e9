# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway's file plan: every token is replaced, and a key gets nowhere but into its file."""

from __future__ import annotations

import fnmatch
import json
import re
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.plainlinux.vpc.plugins.action.vpn_gateway import LEGACY
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import gateway
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _vpn_files

PSKS = {"aws1-1": "kanarienvogel.7_Xq", "aws1-2": "papageienfeder.8_Zw"}
BACKENDS = [("strongswan_frr", "kernel"), ("strongswan_frr", "userland"), ("racoon_quagga", "kernel")]


def plan_of(provider: str, ipsec: str) -> dict[str, Any]:
    tunnels = [
        {
            "outside_address": "203.0.113.10",
            "peer_outside_address": f"198.51.100.{number}",
            "inside_cidr": f"169.254.{number}.0/30",
            "psk_variable": f"vault_{number}",
            "ike": {"version": 1, "encryption": ["aes128"], "integrity": ["sha1"], "dh": [2]},
            "esp": {"encryption": ["aes128"], "integrity": ["sha1"], "dh": [2]},
        }
        for number in (10, 20)
    ]
    connection = {"name": "aws1", "gateway": "gw", "accept": ["10.20.0.0/16"], "tunnels": tunnels}
    raw = {
        "vpc_networks": [{"name": "net1", "cidr": "10.10.10.0/24"}],
        "vpc_vpn_connections": [{**connection, "mode": "active_passive"}],
        "hosts": {
            "gw": {
                "groups": ["vpn_gateways"],
                "vpc_underlay_address": "203.0.113.10",
                "vpn_gateway_provider": provider,
                "vpn_gateway_ipsec_backend": ipsec,
            }
        },
    }
    return gateway.files_of(parse(raw), "gw")


def filled(plan: dict[str, Any], **legacy: str) -> dict[str, Any]:
    return _vpn_files.filled(plan, _vpn_files.tokens({**LEGACY, **legacy}, "gw", False), PSKS)


@pytest.mark.parametrize("provider, ipsec", BACKENDS)
def test_no_token_is_left_and_keys_are_in_secret_files_only(provider: str, ipsec: str) -> None:
    plan = plan_of(provider, ipsec)
    assert re.search("@psk aws1-1@", json.dumps(plan))
    found = filled(plan)
    assert not re.search(r"@(psk |hostname|no ipv6|racoon|policies|quagga|unit )", json.dumps(found))
    with_keys = {file["dest"] for file in found["files"] if any(psk in file["content"] for psk in PSKS.values())}
    assert with_keys == {file["dest"] for file in found["files"] if file["secret"]} != set()
    rest = json.dumps({**found, "files": [file for file in found["files"] if not file["secret"]]})
    assert not any(psk in rest for psk in PSKS.values())


def test_a_key_that_would_be_seen_is_refused() -> None:
    for place in ("files", "apply"):
        plan = plan_of("strongswan_frr", "kernel")
        if place == "files":
            next(file for file in plan["files"] if file["secret"])["secret"] = False
        else:
            plan["apply"].append({"command": ["echo", "@psk aws1-1@"]})
        with pytest.raises(AnsibleActionFail, match="not secret"):
            filled(plan)


def test_places_and_units_of_racoon_are_variables() -> None:
    names = {"racoon": "/opt/racoon", "policies": "/opt/setkey.conf", "quagga": "/opt/quagga"}
    names |= {"quagga_owner": "zebra", "unit_racoon": "ike.service"}
    found = filled(plan_of("racoon_quagga", "kernel"), **names)
    by_name = {file["dest"]: file for file in found["files"]}
    assert {"/opt/racoon/psk.txt", "/opt/setkey.conf", "/opt/quagga/bgpd.conf"} <= set(by_name)
    assert by_name["/opt/quagga/bgpd.conf"]["owner"] == "zebra"
    assert found["units"] == ["setkey.service", "ike.service", "zebra.service", "bgpd.service"]
    assert "/etc/racoon" not in json.dumps(found)


def test_the_line_about_ipv6_follows_the_host() -> None:
    plan = plan_of("strongswan_frr", "kernel")
    for forwarding6 in (True, False):
        found = _vpn_files.filled(plan, _vpn_files.tokens(LEGACY, "node7", forwarding6), PSKS)
        text = next(file["content"] for file in found["files"] if file["dest"] == "/etc/frr/frr.conf")
        lines = text.splitlines()
        assert ("no ipv6 forwarding" in lines) is not forwarding6
        assert "hostname node7" in lines
        assert "" not in lines


def test_a_value_is_not_looked_into() -> None:
    plan = {"files": [{"content": "@hostname@", "secret": True}], "validate": [], "apply": [], "units": []}
    found = _vpn_files.filled(plan, _vpn_files.tokens(LEGACY, "@racoon@", False), PSKS)
    assert found["files"][0]["content"] == "@racoon@"


@pytest.mark.parametrize("provider, ipsec", BACKENDS)
def test_every_file_of_another_provider_has_a_farewell(provider: str, ipsec: str) -> None:
    """Of daemons that may go on running. Scripts need none, and a file beside DAEMON is told with it."""
    mine = plan_of(provider, ipsec)
    patterns = [item for program in _vpn_files.farewell(mine, LEGACY) for item in program["when_changed"]]
    kept = {file["dest"] for file in filled(mine)["files"]}
    assert not [path for path in kept if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)]
    for other in BACKENDS:
        gone = {file["dest"] for file in filled(plan_of(*other))["files"]} - kept
        gone = {
            path for path in gone if not path.startswith("/etc/plainlinux-vpc-vpn/") and not path.endswith("-dpd.conf")
        }
        assert [path for path in gone if not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)] == []


def test_nothing_is_left_without_a_farewell_when_all_goes() -> None:
    patterns = [item for program in _vpn_files.farewell(None, LEGACY) for item in program["when_changed"]]
    assert patterns == [
        item
        for program in _vpn_files.farewell({"files": [], "provider": "strongswan_frr", "ipsec": "kernel"}, LEGACY)
        for item in program["when_changed"]
    ]
    for backend in BACKENDS:
        for wanted in ("/etc/swanctl/", "/etc/frr/", "/etc/racoon/", "/etc/systemd/"):
            for file in filled(plan_of(*backend))["files"]:
                if file["dest"].startswith(wanted):
                    assert any(fnmatch.fnmatchcase(file["dest"], pattern) for pattern in patterns), file["dest"]
