# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests in a file beside the inventory: found, read without templating, part of the plan's inputs and identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.utils.display import Display
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs, _instances_file

OWN = {"name": "vm0", "hypervisor": "h1", "network": "net1"}
GUESTS = [
    {"name": "vm1", "hypervisor": "h1", "network": "net1", "address": "10.10.10.10", "mac": "52:54:00:10:20:30"},
    {"name": "vm2", "hypervisor": "h1", "interfaces": [{"network": "net1", "roles": ["vrrp"]}, {"network": "net1"}]},
]
KNOWN = ".csv, .yml, .yaml, .json, each also with .txt after it"
UNKNOWN = "could not determine a constructor for the tag"
ENDINGS = ("csv", "yml", "yaml", "json", "CSV", "csv.txt", "yml.txt", "json.TXT")


def refuse(value: Any) -> Any:
    raise AssertionError(f"templated for nothing: {value}")


def variables(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "inventory_dir": str(folder),
        "groups": {"all": ["h1", "r"], "hypervisors": ["h1"], "routers": ["r"]},
        "hostvars": {"h1": {"ansible_host": "192.168.56.103"}, "r": {"ansible_host": "192.168.56.101"}},
        "vpc_networks": [{"name": "net1", "cidr": "10.10.10.0/24"}],
        "vpc_instances": [OWN],
        **changes,
    }


def gathered(folder: Path, **changes: Any) -> dict[str, Any]:
    return _inputs.gather(variables(folder, **changes), refuse)


def mistakes(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ModelErrors) as caught:
        parse(raw)
    return str(caught.value).split("\n")


@pytest.mark.parametrize("ending", ENDINGS)
def test_guests_of_a_file_follow_those_of_the_variables(tmp_path: Path, ending: str) -> None:
    name = f"guests.{ending}"
    (tmp_path / name).write_text(_instances_file.write(name, GUESTS), encoding="utf-8")
    raw = gathered(tmp_path, vpc_instances_file=name)
    assert raw["vpc_instances"] == [OWN, *GUESTS]
    plain = gathered(tmp_path, vpc_instances=[OWN, *GUESTS])
    assert parse(raw) == parse(plain)
    assert plain.keys() == raw.keys() - {"vpc_instances_file"}
    with_bom = tmp_path / f"bom.{ending}"
    with_bom.write_text(_instances_file.write(name, GUESTS).replace("\n", "\r\n"), encoding="utf-8-sig")
    assert gathered(tmp_path, vpc_instances_file=with_bom.name)["vpc_instances"] == [OWN, *GUESTS]


@pytest.mark.parametrize("ending", ["csv", "yml", "json"])
def test_what_is_written_is_for_people(ending: str) -> None:
    text = _instances_file.write(f"a.{ending}", GUESTS)
    wanted = {
        "csv": "name,hypervisor,network,address,mac,roles\n"
        "vm1,h1,net1,10.10.10.10,52:54:00:10:20:30,\nvm2,h1,net1,,,vrrp\nvm2,,net1,,,\n",
        "json": f"[\n{json.dumps(GUESTS[0])},\n{json.dumps(GUESTS[1])}\n]\n",
    }
    assert text == wanted.get(ending, text)
    if ending == "yml":
        # A number to the base 60 in YAML 1.1, were it not quoted.
        assert "- name: vm1\n" in text
        assert "mac: '52:54:00:10:20:30'\n" in text
    assert _instances_file.write(f"a.{ending}", []) == {
        "csv": "name,hypervisor,network\n",
        "yml": "---\n[]\n",
        "json": "[]\n",
    }.get(ending)


def test_a_path_may_be_anywhere_and_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "guests.csv"
    path.write_text(_instances_file.write("a.csv", GUESTS))
    seen = []

    def template(value: Any) -> Any:
        seen.append(value)
        return "sub/guests.csv"

    raw = _inputs.gather(variables(tmp_path, vpc_instances_file="{{ site }}/guests.csv"), template)
    assert seen == ["{{ site }}/guests.csv"]
    assert raw["vpc_instances"] == [OWN, *GUESTS]
    assert raw["vpc_instances_file"]["name"] == "sub/guests.csv"
    assert gathered(tmp_path / "other", vpc_instances_file=str(path))["vpc_instances"] == [OWN, *GUESTS]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert gathered(tmp_path / "other", vpc_instances_file="~/sub/guests.csv")["vpc_instances"] == [OWN, *GUESTS]


@pytest.mark.parametrize("ending", ["csv", "yml", "json"])
def test_nothing_in_a_file_is_a_template(tmp_path: Path, ending: str) -> None:
    guest = {"name": "vm1", "hypervisor": "h1", "network": "{{ lookup('pipe', 'id') }}"}
    (tmp_path / f"a.{ending}").write_text(_instances_file.write(f"a.{ending}", [guest]))
    raw = gathered(tmp_path, vpc_instances_file=f"a.{ending}")
    assert raw["vpc_instances"] == [OWN, guest]
    (line,) = mistakes(raw)
    assert line.endswith("network: \"{{ lookup('pipe', 'id') }}\" is not a network of vpc_networks")


def test_the_identity_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "guests.csv"
    ids = set()
    for address in ("10.10.10.10", "10.10.10.11", "10.10.10.10"):
        path.write_text(f"name,hypervisor,network,address\nvm1,h1,net1,{address}\n")
        ids.add(_inputs.identity(gathered(tmp_path, vpc_instances_file="guests.csv")))
    assert len(ids) == 2
    path.write_text("name,hypervisor,network,address\nvm1,h1,net1\n")
    ids.add(_inputs.identity(gathered(tmp_path, vpc_instances_file="guests.csv")))
    ids.add(_inputs.identity(gathered(tmp_path)))
    assert len(ids) == 4


@pytest.mark.parametrize(
    "name, content, lines",
    [
        ("guests.csv", None, ["vpc_instances_file: {0} cannot be read: No such file or directory"]),
        (
            "guests.xlsx",
            b"",
            [f"vpc_instances_file: guests.xlsx has no known ending: {KNOWN}"],
        ),
        (
            "guests.csv",
            b"name,hypervisor\nJos\xe9,",
            ["vpc_instances_file: guests.csv is not UTF-8: byte 0xe9 in line 2"],
        ),
        ("guests.csv", "name".encode("utf-16"), ["vpc_instances_file: guests.csv is UTF-16; UTF-8 is needed"]),
        ("a.yml", b"a: 1", ["a.yml: a mapping is not allowed; a list is needed, the items of vpc_instances"]),
        ("a.json", b"{}", ["a.json: a mapping is not allowed; a list is needed, the items of vpc_instances"]),
        (
            "a.yml",
            b"---\n- name: vm1\n  network: [a\n- b\n",
            [
                "vpc_instances_file: a.yml cannot be read: did not find expected ',' or ']' in line 5, column 1",
            ],
        ),
        (
            "a.yml",
            b"- name: vm1\n  hypervisor: !vault x\n",
            [f"vpc_instances_file: a.yml cannot be read: {UNKNOWN} '!vault' in line 2, column 15"],
        ),
        (
            "a.yml",
            b"- {name: vm1}\n- name: vm2\n  mac: a\n  mac: b\n",
            ["vpc_instances_file: a.yml cannot be read: a key is twice in one mapping in line 2, column 3"],
        ),
        (
            "a.json",
            b'[{"name": "vm1", "mac": "a", "mac": "b"}]',
            ["vpc_instances_file: a.json cannot be read: mac is twice in one mapping, of vm1"],
        ),
        (
            "a.json",
            b'[{"name": "vm1",}]',
            ["vpc_instances_file: a.json cannot be read: {1} in line 1, column {2}"],
        ),
        ("a.yml", b"", []),
        ("a.yml", b"- &a {name: vm1, hypervisor: h1, network: net1}\n- {<<: *a, name: vm2}\n", []),
        (
            "a.yml",
            b"""---
- {name: vm1, hypervisor: h1, network: net1}
- vm2
- {name: vm0, hypervisor: h1, network: net1, adress: 1}
- {name: vm3, hypervisor: h1, network: net1, mac: 52:54:00:10:20:30}
""",
            [
                "a.yml[1]: vm2 is a string; a mapping is needed",
                "a.yml[2].adress: unknown key; did you mean address?",
                "a.yml[2].name: vm0 is already the name of vpc_instances[0]",
                "a.yml[3].mac: 41135077230 is a number; a string is needed: put what you wrote in quotes",
            ],
        ),
    ],
)
def test_mistakes(tmp_path: Path, name: str, content: bytes | None, lines: list[str]) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    raw = gathered(tmp_path, vpc_instances_file=name)
    if not lines:
        parse(raw)
        return
    reason, column = "Illegal trailing comma before end of object", 16
    try:
        json.loads('[{"name": "vm1",}]')
    except json.JSONDecodeError as error:  # other words in older versions of Python
        reason, column = error.msg, error.colno
    assert mistakes(raw) == [line.format(tmp_path / name, reason, column) for line in lines]


def test_mistakes_of_the_variable(tmp_path: Path) -> None:
    assert mistakes(gathered(tmp_path, vpc_instances_file=["a.csv"])) == [
        "vpc_instances_file: a list is a list; the path of a file is needed"
    ]
    (tmp_path / "a.csv").mkdir()
    (line,) = mistakes(gathered(tmp_path, vpc_instances_file="a.csv"))
    assert line.endswith("a.csv cannot be read: Is a directory")
    for nothing in (None, ""):
        assert "vpc_instances_file" not in gathered(tmp_path, vpc_instances_file=nothing)


def test_a_variable_that_is_no_list_is_told_with_what_else_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,hypervisor,network\nvm1,h1\n")
    raw = gathered(tmp_path, vpc_instances={"vm1": {}}, vpc_instances_file="a.csv")
    assert mistakes(raw) == [
        "vpc_instances: a mapping is not allowed; a list is needed",
        "a.csv:2: has 2 cells, and the header 3 cells",
    ]


def test_without_libyaml_the_same_is_read() -> None:
    text = _instances_file.write("a.yml", GUESTS)
    assert yaml.load(text, Loader=yaml.SafeLoader) == GUESTS
    assert issubclass(_instances_file._Loader, _instances_file._LOADER)


@pytest.mark.parametrize(
    "hosts, name, warned",
    [
        (["h1", "name,hypervisor,network", "vm1,h1,net1"], "guests.csv", True),
        (["h1", "name,hypervisor,network"], "guests.yml", False),
        (["h1", "r"], "guests.csv", False),
    ],
)
def test_ansible_must_not_take_guests_for_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosts: list[str], name: str, warned: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda _display, text, **_more: said.append(text))
    (tmp_path / name).write_text(_instances_file.write(name, GUESTS))
    groups = {"all": hosts, "hypervisors": ["h1"]}
    gathered(tmp_path, vpc_instances_file=name, groups=groups)
    assert len(said) == warned
    assert all("end its name with .txt" in text for text in said)
