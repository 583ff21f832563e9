# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module host_info says of a real host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import host_facts
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.grouped_host import Host

GROUPS = [
    {"name": "web", "ingress": [{"protocol": "tcp", "ports": 80, "from": "app"}]},
    {"name": "app", "ingress": []},
]


@pytest.fixture(params=["nftables", "iptables"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    found = Host(tmp_path, request.param)
    yield found
    found.close()


def collect(host: Host) -> dict[str, Any]:
    return host_facts.collect(host.netns.run, str(host.root))


def test_a_host_without_roles(host: Host) -> None:
    before = host.netns.sh("nft list ruleset")
    assert collect(host) == {"roles": [], "guests": [], "groups": [], "local": []}
    assert host.netns.sh("nft list ruleset") == before
    assert not host.root.exists()


def test_a_hypervisor(host: Host) -> None:
    plan = host.plan(GROUPS, vm1=["web", "app"], vm3=["app"])
    for role in ("antispoof", "security_groups", "hypervisor"):
        host.apply(plan, role)
    host.plug("vm1")
    host.apply(plan, "antispoof")
    host.netns.sh("nft add table inet plainlinux_others; iptables -N vpc-others; ipset create vpc-others hash:ip")
    found = collect(host)
    assert [(role["name"], role["plan_id"]) for role in found["roles"]] == [
        ("antispoof", "test"),
        ("security_groups", "test"),
        ("hypervisor", "test"),
    ]
    assert found["roles"][2]["objects"]["link"] == 2
    assert all(role["objects"]["nft" if role["name"] == "security_groups" else "file"] for role in found["roles"])
    assert found["guests"] == [
        {"port": "vm1.0", "mac": "52:54:00:0a:0a:0a", "present": True},
        *({"port": f"vm{number}.0", "mac": mac, "present": False} for number, mac in PLANNED),
    ]
    # Rules name the members of app, and those of web nowhere.
    assert [(group["name"], _members(group)) for group in found["groups"]] == [
        ("app", {"10.10.10.10": True, "10.10.20.10": True, "2001:db8:10::10": True, "2001:db8:20::10": True}),
        ("web", {"10.10.10.10": None, "2001:db8:10::10": None}),
    ]
    local = {item["address"]: item for item in found["local"]}
    assert local["10.10.10.10"] == {
        "address": "10.10.10.10",
        "guest": "vm1",
        "groups": ["web", "app"],
        "in_kernel": True,
    }
    assert local["2001:db8:20::10"]["groups"] == ["app"]
    assert all(item["in_kernel"] for item in local.values())
    assert "others" not in str(found)

    # Somebody took a member away.
    host.netns.sh(
        "nft delete element inet plainlinux_security_groups members4_app { 10.10.20.10 }"
        if host.backend == "nftables"
        else "ipset del vpc-sg-m4-app 10.10.20.10"
    )
    assert _members(collect(host)["groups"][0])["10.10.20.10"] is False


PLANNED = [(2, "52:54:00:0a:0a:0b"), (3, "52:54:00:0a:14:0a"), (4, "52:54:00:0a:14:0b")]


def _members(group: dict[str, Any]) -> dict[str, bool | None]:
    return {member["address"]: member["in_kernel"] for member in group["members"]}


def test_texts_come_and_go_with_the_slice(host: Host) -> None:
    folder = host.root / "etc/plainlinux-vpc/security_groups"
    host.apply(host.plan(GROUPS, vm1=["web", "app"], vm3=["app"]), "security_groups")
    assert {path.name for path in (folder / "members").iterdir()} == {"app", "web"}
    assert "10.10.10.10 vm1\n" in (folder / "members/web").read_text()
    assert "10.10.10.10 web app\n" in (folder / "guests").read_text()
    assert (folder / "members/app").stat().st_mode & 0o777 == 0o644

    # What somebody changed is written again, and what no longer exists goes.
    (folder / "members/app").write_text("nobody\n")
    plan = host.plan(GROUPS, vm3=["app"])
    assert host.apply(plan, "security_groups").deltas["file"]
    assert {path.name for path in (folder / "members").iterdir()} == {"app"}
    assert "vm3" in (folder / "members/app").read_text()
    assert not host.apply(plan, "security_groups").changed

    host.apply(host.plan(GROUPS), "security_groups")
    assert not folder.exists()
