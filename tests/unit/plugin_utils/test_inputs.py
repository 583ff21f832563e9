# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From Ansible's variables to the planner's inputs, and the plan's folder."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.plainlinux.vpc.plugins.module_utils import _plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_psk import HIDDEN
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs, _plan_dir
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._planner import write
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.test_plan import inventory
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import AWS1


def variables(**changes: Any) -> dict[str, Any]:
    return {
        "groups": {"all": ["r", "h2", "h1"], "hypervisors": ["h1", "h2"], "routers": ["r", "h1"]},
        "hostvars": {
            "h1": {"ansible_host": "192.168.56.103"},
            "h2": {
                "ansible_host": "h2.example.net",
                "vpc_underlay_address": "192.168.56.104",
                "vpc_backend": "iptables",
                "vpc_antispoof": False,
                "vpc_antispoof_trusted_ports": ["mon0"],
            },
            "r": {},
        },
        "vpc_networks": [{"name": "net1"}],
        **changes,
    }


def refuse(value: Any) -> Any:
    raise AssertionError(f"templated for nothing: {value}")


def test_hosts_come_in_inventory_order_with_their_groups_and_defaults() -> None:
    raw = _inputs.gather(variables(), refuse)
    assert list(raw["hosts"]) == ["r", "h2", "h1"]
    assert raw["hosts"]["h1"] == {
        "groups": ["hypervisors", "routers"],
        "vpc_underlay_address": "192.168.56.103",
        "vpc_underlay_address6": None,
        "vpc_backend": "nftables",
        "vpc_antispoof": True,
        "vpc_antispoof_trusted_ports": [],
        "vpn_gateway_provider": None,
        "vpn_gateway_ipsec_backend": None,
    }
    assert raw["hosts"]["h2"]["vpc_underlay_address"] == "192.168.56.104"
    assert raw["hosts"]["h2"]["vpc_backend"] == "iptables"
    assert raw["hosts"]["h2"]["vpc_antispoof"] is False
    assert raw["hosts"]["h2"]["vpc_antispoof_trusted_ports"] == ["mon0"]
    assert raw["hosts"]["r"]["vpc_underlay_address"] == "r"
    assert raw["vpc_instances"] == []


def test_only_what_has_a_template_is_templated() -> None:
    seen = []

    def template(value: Any) -> Any:
        seen.append(value)
        return [{"name": "done"}]

    raw = _inputs.gather(variables(vpc_instances=[{"name": "{{ later }}"}]), template)
    assert seen == [[{"name": "{{ later }}"}]]
    assert raw["vpc_instances"] == [{"name": "done"}]


def test_the_identity_follows_the_inputs() -> None:
    raw = _inputs.gather(variables(), refuse)
    assert _inputs.identity(raw) == _inputs.identity(json.loads(json.dumps(raw)))
    raw["vpc_networks"] = [{"name": "net2"}]
    assert _inputs.identity(raw) != _inputs.identity(_inputs.gather(variables(), refuse))


def connections(psk: Any, **more: Any) -> dict[str, Any]:
    return variables(vpc_vpn_connections=[{"name": "aws1", "tunnels": [{"psk": psk}], **more}])


def refusals(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ModelErrors) as caught:
        parse(raw)
    return [error.message for error in caught.value.errors if error.path.endswith(".psk")]


def test_no_key_is_in_the_inputs_nor_decides_the_identity() -> None:
    ids = set()
    for psk in ("One.Secret_Key", "Another.Secret_Key"):
        raw = _inputs.gather(connections(psk), refuse)
        assert "Secret" not in json.dumps(raw)
        assert not refusals(raw)
        ids.add(_inputs.identity(raw))
    assert len(ids) == 1


@pytest.mark.parametrize(
    "given, resolved, message",
    [
        ("Bad-Secret.Key", None, "has a character that is not allowed: A-Z a-z 0-9 . _"),
        ("{{ vault_key }}", "0Secret.Key", "starts with 0, which is not allowed"),
        ("{{ vault_key }}", 12345678, "is a number; a string is needed: put it in quotes"),
        ("{{ vault_key }}", "short", "has 5 characters: 8 to 64 are needed"),
    ],
)
def test_what_is_wrong_with_a_key_is_told_without_it(given: str, resolved: Any, message: str) -> None:
    raw = _inputs.gather(connections(given), lambda _value: resolved)
    assert refusals(raw) == [message]
    assert "Secret" not in json.dumps(raw)


def test_keys_that_templates_bring_are_hidden_too() -> None:
    whole = [{"name": "aws1", "tunnels": [{"psk": "One.Secret_Key"}]}]
    raw = _inputs.gather(variables(vpc_vpn_connections="{{ imported }}"), lambda _value: whole)
    assert "Secret" not in json.dumps(raw)
    assert not refusals(raw)


def test_a_key_that_is_not_defined_is_one_mistake_among_others() -> None:
    def template(value: Any) -> Any:
        if value == "{{ vault_key }}":
            raise AnsibleError("'vault_key' is undefined, near: Secret")
        return [{"name": "aws1", "tunnels": [{"psk": HIDDEN}], "vpc": "shop"}]

    raw = _inputs.gather(connections("{{ vault_key }}"), template)
    assert refusals(raw) == ["cannot be templated (AnsibleError)"]
    # A key that is given is not asked of what else has templates.
    raw = _inputs.gather(connections("One.Secret_Key", vpc="{{ name }}"), template)
    assert raw["vpc_vpn_connections"][0]["vpc"] == "shop"


def test_the_identity_follows_every_file_of_the_planner() -> None:
    folder = Path(str(_plan.__file__)).parent
    found = {Path(path).relative_to(folder) for path in _inputs._sources(str(folder))}
    assert found == {path.relative_to(folder) for path in folder.glob("**/*.py")}
    assert Path("antispoof/rules.py") in found


def test_the_folder_is_beside_the_inventory_or_where_it_is_said(tmp_path: Path) -> None:
    assert _plan_dir.folder({"inventory_dir": "/srv/inv"}, str) == "/srv/inv/.vpc-plan"
    # With `-i host,` Ansible makes a string of what is None.
    assert _plan_dir.folder({"inventory_dir": "None"}, str) == f"{Path.cwd()}/.vpc-plan"
    assert _plan_dir.folder({"inventory_dir": "/srv/inv", "vpc_plan_dir": tmp_path}, str) == str(tmp_path)


def test_a_slice_is_whole_after_writing_reading_and_packing(tmp_path: Path) -> None:
    made = Plan(parse(inventory()), "id1")
    base = str(tmp_path)
    _plan_dir.write(str(tmp_path / _plan_dir.COMMON), made.common())
    for host, content in made.hosts():
        _plan_dir.write(_plan_dir.host_path(base, host), content)
    for host, role in (("host1", "antispoof"), ("host1", "hypervisor"), ("router", "router")):
        found = _plan_dir.read_slice(base, host, role)
        assert found == made.slice(host, role)
        assert json.loads(zlib.decompress(base64.b64decode(_plan_dir.pack(found or {})))) == found
    assert _plan_dir.read_slice(base, "host9", "router") is None


def test_parts_of_two_plans_are_no_plan(tmp_path: Path) -> None:
    for name, plan_id in ((_plan_dir.COMMON, "old"), ("", "new")):
        made = Plan(parse(inventory()), plan_id)
        path = str(tmp_path / name) if name else _plan_dir.host_path(str(tmp_path), "host1")
        _plan_dir.write(path, made.common() if name else dict(made.hosts())["host1"])
    assert _plan_dir.read_slice(str(tmp_path), "host1", "hypervisor") is None


def test_file_plans_are_written_and_old_ones_removed(tmp_path: Path) -> None:
    base = str(tmp_path)
    path, old = (Path(_plan_dir.host_path(base, name)) for name in ("vpn1", "vpn9"))
    old.parent.mkdir()
    old.write_text("{}")
    gateway = {"groups": ["vpn_gateways"], "vpc_underlay_address": "192.168.56.105"}
    hosts = {**inventory()["hosts"], "vpn1": gateway}
    made = Plan(parse(inventory(hosts=hosts, vpc_vpn_connections=[AWS1])), "id1")
    write(made, base)
    assert not old.exists()
    found = {(host, role): item for host, content in made.hosts() for role, item in content["files"].items()}
    assert ("vpn1", "vpn_gateway") in found
    for (host, role), content in found.items():
        assert _plan_dir.read_files(base, host, role) == content
    assert _plan_dir.read_files(base, "host1", "vpn_gateway") is None
    assert _plan_dir.read_files(base, "host9", "vpn_gateway") is None
    made = Plan(parse(inventory()), "id2")
    write(made, base)
    assert not path.exists()
    assert sorted(item.name for item in path.parent.iterdir()) == sorted(
        f"{name}.json" for name, _content in made.hosts()
    )


def test_the_summary_is_one_line_an_object(tmp_path: Path) -> None:
    summary = Plan(parse(inventory()), "id1").summary()
    _plan_dir.write_summary(str(tmp_path), summary)
    text = (tmp_path / _plan_dir.SUMMARY).read_text()
    assert json.loads(text) == summary
    assert len([line for line in text.splitlines() if line.startswith('  "vm')]) == len(summary["instances"])
    _plan_dir.write_summary(str(tmp_path), {**summary, "instances": {}})
    assert json.loads((tmp_path / _plan_dir.SUMMARY).read_text())["instances"] == {}
