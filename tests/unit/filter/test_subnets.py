# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter and the module subnets in real runs of Ansible."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.plainlinux.vpc.plugins.filter.subnets import (
    DOCUMENTATION,
    EXAMPLES,
    RETURN,
    FilterModule,
    subnets,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.subnets.plan import plan_subnets

TOP = Path(__file__).resolve().parents[3]
MODULE = runpy.run_path(str(TOP / "plugins" / "modules" / "subnets.py"))
REQUEST: dict[str, Any] = {
    "prefix": "10.20.0.0/23",
    "prefix6": "2001:db8:20::/56",
    "zones": ["a", "b"],
    "purposes": [{"name": "web", "hosts": 100, "network": {"nat": True}}],
}


def play(folder: Path, tasks: list[dict[str, Any]], *words: str, **variables: Any) -> str:
    """The output of a playbook; it must not fail."""
    (folder / "ansible.cfg").write_text("", encoding="utf-8")
    (folder / "hosts.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}", encoding="utf-8")
    defaults = {"ansible_python_interpreter": sys.executable, "vpc_plan_dir": str(folder / "plan")}
    told = {"hosts": "localhost", "gather_facts": False, "vars": {**defaults, **variables}, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([told], sort_keys=False), encoding="utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.yml", "play.yml", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".build"),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_FORCE_COLOR": "0",
            "LC_ALL": "C.UTF-8",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def networks(folder: Path) -> dict[str, Any]:
    """The networks that a real run of the planner has taken up."""
    found: dict[str, Any] = json.loads((folder / "plan" / "plan.json").read_text(encoding="utf-8"))["networks"]
    return found


def test_the_examples_of_the_filter_run(tmp_path: Path) -> None:
    # Somebody has had app elsewhere.
    kept = [{"purpose": "app", "zone": "b", "cidr": "10.20.9.0/25", "cidr6": "2001:db8:20:ff::/64"}]
    (tmp_path / "subnets.json").write_text(json.dumps(kept), encoding="utf-8")
    play(tmp_path, yaml.safe_load(EXAMPLES))
    found = {name: (network["cidr"], network["cidr6"]) for name, network in networks(tmp_path).items()}
    assert found == {
        "web-a": ("10.20.0.0/24", "2001:db8:20::/64"),
        "web-b": ("10.20.1.0/24", "2001:db8:20:1::/64"),
        "app-a": ("10.20.9.128/25", "2001:db8:20:fe::/64"),
        "app-b": ("10.20.9.0/25", "2001:db8:20:ff::/64"),
        "db-a": ("10.20.4.0/27", "2001:db8:20:2::/64"),
        "db-b": ("10.20.4.32/27", "2001:db8:20:3::/64"),
    }
    (tmp_path / "subnets.json").unlink()
    play(tmp_path, yaml.safe_load(EXAMPLES))
    assert networks(tmp_path)["app-b"]["cidr"] == "10.20.4.128/25"


@pytest.mark.parametrize("words", [(), ("--check", "--diff")])
def test_the_filter_can_stand_in_variables(tmp_path: Path, words: tuple[str, ...]) -> None:
    text = "{{ (request | plainlinux.vpc.subnets).networks }}"
    play(tmp_path, [{"plainlinux.vpc.plan": {}}], *words, request=REQUEST, vpc_networks=text)
    assert {name: network["cidr"] for name, network in networks(tmp_path).items()} == {
        "web-a": "10.20.0.0/25",
        "web-b": "10.20.0.128/25",
    }


def test_the_examples_of_the_module_run(tmp_path: Path) -> None:
    output = play(tmp_path, yaml.safe_load(MODULE["EXAMPLES"]))
    assert "Move elb-a: create 10.20.15.0/25 for the time being, then remove 10.20.0.0/24." in output
    kept = json.loads((tmp_path / "subnets.json").read_text(encoding="utf-8"))
    assert kept[0] == {"name": "elb-a", "purpose": "elb", "zone": "a", "cidr": "10.20.0.0/25"}
    # What is kept is the current plan of the next run, which changes nothing.
    again, _debug, keep = yaml.safe_load(MODULE["EXAMPLES"])[1:]
    again["plainlinux.vpc.subnets"]["current"] = "{{ lookup('ansible.builtin.file', 'subnets.json') | from_json }}"
    keep["ansible.builtin.copy"]["content"] = "{{ second | to_json }}"
    play(tmp_path, [again, keep])
    second = json.loads((tmp_path / "subnets.json").read_text(encoding="utf-8"))
    assert (second["steps"], second["subnets"], second["changed"]) == ([], kept, False)


@pytest.mark.parametrize("words", [(), ("--check",)])
def test_module_and_filter_agree(tmp_path: Path, words: tuple[str, ...]) -> None:
    wanted = plan_subnets(REQUEST)
    tasks = [
        {"plainlinux.vpc.subnets": REQUEST, "register": "found"},
        {"ansible.builtin.assert": {"that": [f"found.{key} == wanted.{key}" for key in wanted]}},
        {"ansible.builtin.assert": {"that": ["(request | plainlinux.vpc.subnets) == wanted", "found is not changed"]}},
    ]
    play(tmp_path, tasks, *words, wanted=wanted, request=REQUEST)


def test_module_tells_all_mistakes_at_once(tmp_path: Path) -> None:
    bad = {"prefix": "10.0.0.0/33", "zones": ["a"], "purposes": [{"name": "x", "hosts": 0, "lenght": 1}]}
    tasks: list[dict[str, Any]] = [{"plainlinux.vpc.subnets": bad, "register": "found", "ignore_errors": True}]
    output = play(tmp_path, [*tasks, {"ansible.builtin.debug": {"var": "found.errors"}}])
    for path in ("subnets.prefix", "subnets.purposes[0].hosts", "subnets.purposes[0].lenght"):
        assert f'"path": "{path}"' in output
    assert "unknown key; did you mean length?" in output


def test_filter_tells_all_mistakes_at_once() -> None:
    with pytest.raises(AnsibleFilterError, match=r"subnets\.purposes: is missing\nsubnets\.zones: is missing"):
        subnets({"prefix": "10.0.0.0/24"})
    with pytest.raises(AnsibleFilterError, match="subnets: a list is not allowed; a mapping is needed"):
        subnets([], current=[])


def test_current_is_of_the_request_or_beside_it() -> None:
    first = subnets(REQUEST)
    more = {**REQUEST, "purposes": [{"name": "new", "hosts": 10}, *REQUEST["purposes"]]}
    beside = subnets(more, current=first)
    assert beside["moves"] == []
    assert beside == subnets({**more, "current": first}) == subnets({**more, "current": []}, current=first)
    assert subnets(more, current=None) == subnets({**more, "current": None}) != beside


def test_documentation_knows_every_option_and_key() -> None:
    (name,) = FilterModule().filters()
    options = yaml.safe_load(DOCUMENTATION)["options"]
    module = yaml.safe_load(MODULE["DOCUMENTATION"])["options"]
    assert name == "subnets"
    assert set(options["_input"]["suboptions"]) == set(module)
    result = plan_subnets(REQUEST)
    assert set(yaml.safe_load(RETURN)["_value"]["contains"]) == set(result)
    returned = yaml.safe_load(MODULE["RETURN"])
    assert set(returned) == {*result, "errors"}
    assert set(returned["steps"]["contains"]) == set(result["steps"][0])
    assert set(returned["utilisation"]["contains"]) == set(result["utilisation"]["ipv4"])
