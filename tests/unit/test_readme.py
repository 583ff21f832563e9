# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's inventory texts: what a user copies must be accepted, and do what the text around it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach import expectations
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs

README = Path(__file__).resolve().parents[2] / "README.md"
BACKENDS = ("nftables", "iptables")


def blocks(heading: str) -> list[str]:
    """The YAML blocks below a heading, down to the next one of the same level."""
    level = heading.partition(" ")[0]
    rest = README.read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    assert rest, f"the README has no {heading}"
    return re.findall(r"```yaml\n(.*?)```", re.split(rf"\n{level} ", rest)[0], re.DOTALL)


def host(number: int, group: str, backend: str) -> dict[str, Any]:
    return {
        "groups": [group],
        "vpc_underlay_address": f"192.168.56.{number}",
        "vpc_underlay_address6": None,
        "vpc_backend": backend,
    }


def three_tiers() -> str:
    return blocks("## Security groups")[0]


def plan(text: str, backend: str) -> Plan:
    hosts = {
        "host1": host(103, "hypervisors", backend),
        "host2": host(104, "hypervisors", backend),
        "router": host(101, "routers", backend),
    }
    return Plan(parse({**yaml.safe_load(text), "hosts": hosts}), "id")


def test_three_tiers_take_thirty_lines() -> None:
    assert len(three_tiers().splitlines()) <= 30


@pytest.mark.parametrize("backend", BACKENDS)
def test_three_tiers_can_be_planned(backend: str) -> None:
    planned = dict(plan(three_tiers(), backend).hosts())
    for name in ("host1", "host2"):
        assert planned[name]["slices"]["security_groups"]["policy"]["guests"]


def test_three_tiers_do_what_they_promise() -> None:
    answers = expectations.of_summary(plan(three_tiers(), BACKENDS[0]).summary())
    assert [(answer.text, answer.right) for answer in answers] == [
        ("www2 to app1 tcp/8000", True),
        ("www2 to db1 tcp/5432", True),
    ]
    assert f"decided by {answers[1].answer.decided}\n" in README.read_text(encoding="utf-8")


def test_variables_are_those_that_are_read() -> None:
    shown = {name for text in blocks("## Variables") for name in yaml.safe_load(text)}
    assert shown == set(_inputs.MODEL_VARIABLES)
