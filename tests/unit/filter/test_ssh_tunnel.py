# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ssh_tunnel: what it takes from the hosts' variables."""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.plainlinux.vpc.plugins.filter.ssh_tunnel import EXAMPLES, FOUND, RETURN, FilterModule

TUNNELS = [
    {"name": "site1", "server": "cloud", "client": "office", "server_unit": 7, "inside_cidr": "169.254.250.0/30"},
    {"name": "back", "server": "office", "client": "cloud", "server_unit": 8, "inside_cidr": "169.254.250.4/31"},
]
HOSTVARS: dict[str, dict[str, Any]] = {
    "cloud": {
        "ansible_host": "203.0.113.7",
        "ansible_port": "2200",
        FOUND: {"stdout": "host_key ssh-ed25519 AAAAcloud root@cloud\npublic back ssh-ed25519 AAAAback me\n"},
    },
    "office": {
        "ansible_host": "198.51.100.1",
        "vpc_underlay_address": "192.0.2.1",
        FOUND: {"stdout": "host_key ssh-ed25519 AAAAoffice root@office\npublic site1 ssh-ed25519 AAAAsite1 me\n"},
    },
    "other": {FOUND: {"skipped": True}},
}


def plan(host: str, tunnels: Any = None, hostvars: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    chosen = TUNNELS if tunnels is None else tunnels
    found: dict[str, Any] = FilterModule().filters()["ssh_tunnel"](chosen, host, hostvars or HOSTVARS)
    return found


def text(planned: dict[str, Any], end: str) -> str:
    (content,) = (file["content"] for file in planned["files"] if file["dest"].endswith(end))
    return str(content)


def test_a_host_that_is_server_and_client() -> None:
    planned = plan("cloud")
    assert (planned["mistakes"], planned["obstacles"], planned["roles"]) == ([], [], ["client", "server"])
    assert planned["ends"] == [
        {"tunnel": "site1", "device": "tun7", "peer": "169.254.250.2", "wait": 55},
        {"tunnel": "back", "device": "tun8", "peer": "169.254.250.4", "wait": 55},
    ]
    assert planned["find"][-1] == "key:back"
    assert "AAAAsite1" in text(planned, "/authorized/vpc-tun-site1")
    assert "AAAAoffice" in text(planned, "/known_hosts/back")


def test_each_family_inside_is_asked() -> None:
    dual = {**TUNNELS[0], "inside_cidr6": "fd00:250::/126"}
    six = {key: value for key, value in dual.items() if key != "inside_cidr"}
    peers = [[end["peer"] for end in plan("office", [item])["ends"]] for item in (TUNNELS[0], six, dual)]
    assert peers == [["169.254.250.1"], ["fd00:250::1"], ["169.254.250.1", "fd00:250::1"]]


def test_the_server_is_reached_as_ansible_reaches_it() -> None:
    assert text(plan("office"), "-site1.service").count("-p 2200 -w 7:7 \\\n  -l vpc-tun-site1 203.0.113.7\n") == 1
    assert text(plan("cloud"), "-back.service").count("-p 22 -w 8:8 \\\n  -l vpc-tun-back 192.0.2.1\n") == 1


def test_a_host_without_tunnels() -> None:
    planned = plan("other")
    assert not any(planned[key] for key in ("mistakes", "obstacles", "ends", "files", "find", "validate"))


def test_mistakes_leave_nothing_else() -> None:
    planned = plan("cloud", [{**TUNNELS[0], "mtu": 1}, 7])
    assert planned["mistakes"] == [
        "ssh_tunnels[0].mtu: 1 is not allowed; a number from 576 to 1500 is needed",
        "ssh_tunnels[1]: 7 is a number; a mapping is needed",
    ]
    assert not any(value for key, value in planned.items() if key != "mistakes")


def test_networks_of_other_variables_are_known() -> None:
    hostvars = {**HOSTVARS, "cloud": {**HOSTVARS["cloud"], "vpc_networks": [{"cidr": "169.254.250.0/24"}]}}
    assert len(plan("cloud", hostvars=hostvars)["mistakes"]) == 2


def test_a_private_key_comes_from_the_client_and_is_never_shown() -> None:
    given = [{**TUNNELS[0], "public_key": "ssh-ed25519 AAAAC3Nz", "private_key_variable": "vault_key"}]
    hostvars = {**HOSTVARS, "office": {**HOSTVARS["office"], "vault_key": "secret words"}}
    planned = plan("office", given, hostvars)
    (obstacle,) = planned["obstacles"]
    assert obstacle.startswith("ssh_tunnels[0].private_key_variable: vault_key is not a private key in OpenSSH's own")
    assert [file["dest"] for file in planned["files"] if "secret words" in str(file)] == [
        "/etc/plainlinux-vpc/ssh_tunnel/given/site1"
    ]
    assert "secret words" not in str(plan("cloud", given, hostvars))


def test_documentation() -> None:
    assert set(yaml.safe_load(RETURN)["_value"]["contains"]) == set(plan("cloud"))
    assert yaml.safe_load(EXAMPLES)
