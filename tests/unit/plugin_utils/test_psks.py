# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the keys of tunnels come from, with the templating of Ansible."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _psks

KEY = "kanarienvogel.7_Xq"
KEY2 = "papageienfeder.8_Zw"


def tunnel(number: int, variable: str | None = None, connection: int = 0) -> dict[str, Any]:
    path = f"vpc_vpn_connections[{connection}].tunnels[{number}]"
    return {"name": f"aws{connection}-{number}", "path": path, "psk_variable": variable}


def keys(variables: dict[str, Any], *tunnels: dict[str, Any]) -> dict[str, str]:
    return _psks.keys(variables, Templar(DataLoader(), variables).template, tunnels)


def refused(variables: dict[str, Any], *tunnels: dict[str, Any]) -> list[str]:
    with pytest.raises(AnsibleActionFail) as caught:
        keys(variables, *tunnels)
    message = str(caught.value)
    assert "kanarien" not in message
    assert "papagei" not in message
    return message.splitlines()


def written(*psks: Any) -> dict[str, Any]:
    return {"vpc_vpn_connections": [{"name": "aws0", "tunnels": [{"psk": psk} for psk in psks]}]}


def test_a_key_comes_from_a_variable_or_from_the_tunnel() -> None:
    variables = {**written(KEY, "unused"), "vault_two": KEY2}
    assert keys(variables, tunnel(0), tunnel(1, "vault_two")) == {"aws0-0": KEY, "aws0-1": KEY2}


@pytest.mark.parametrize("place", ["list", "connection", "tunnel", "key", "variable"])
def test_every_level_may_be_a_template(place: str) -> None:
    entry: Any = {"psk": trust_as_template("{{ other }}") if place == "key" else KEY}
    variables: dict[str, Any] = {"other": KEY, "entry": entry}
    entry = trust_as_template("{{ entry }}") if place == "tunnel" else entry
    variables["connection"] = {"tunnels": [entry]}
    variables["list"] = [trust_as_template("{{ connection }}") if place == "connection" else variables["connection"]]
    variables["vpc_vpn_connections"] = trust_as_template("{{ list }}") if place == "list" else variables["list"]
    variables["vault"] = trust_as_template("{{ other }}")
    found = keys(variables, tunnel(0, "vault" if place == "variable" else None))
    assert found == {"aws0-0": KEY}
    # Not a subclass, which could carry a template.
    assert found["aws0-0"].__class__ is str


def test_all_that_is_wrong_is_told_at_once_and_no_key_is_shown() -> None:
    variables = {
        "short": "kanarie",
        "sign": f"{KEY}-",
        "zero": f"0{KEY}",
        "number": 1234567890,
        "broken": trust_as_template("{{ '" + KEY + "' | no_such_filter }}"),
        "gap": trust_as_template("{{ nowhere }}"),
        **written(f"{KEY2} "),
    }
    names = ["short", "sign", "zero", "number", "broken", "gap", "none"]
    told = refused(variables, *(tunnel(0, name) for name in names), tunnel(0), tunnel(1), tunnel(0, connection=1))
    assert [line.split(" (psk_variable")[0].split(":")[0] for line in told] == [
        *names,
        "vpc_vpn_connections[0].tunnels[0].psk",
        "vpc_vpn_connections[0].tunnels[1].psk",
        "vpc_vpn_connections[1].tunnels[0].psk",
    ]
    reasons = ["has 7 characters", "not allowed", "starts with 0", "in quotes", "cannot be templated"]
    reasons += ["uses a variable that is not defined", "is not defined", "not allowed", *["is not defined"] * 2]
    for line, reason in zip(told, reasons):
        assert reason in line


def test_a_broken_tunnel_is_no_fault_of_the_next() -> None:
    variables = written(trust_as_template("{{ nowhere }}"), KEY)
    assert keys(variables, tunnel(1)) == {"aws0-1": KEY}
    assert len(refused(variables, tunnel(0), tunnel(1))) == 1
