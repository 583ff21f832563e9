# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter guest_config: what it takes, and that its documentation says the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.plainlinux.vpc.plugins.filter.guest_config import DOCUMENTATION, RETURN, FilterModule
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.formats import FORMATS
from ansible_collections.plainlinux.vpc.plugins.modules import guest_config as module
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.guest_plan import summary

PLAN = summary(
    [{"name": "net1", "cidr": "10.10.10.0/24"}], [{"name": "vm1", "network": "net1", "address": "10.10.10.10"}]
)


def call(*arguments: Any, **keys: Any) -> Any:
    return FilterModule().filters()["guest_config"](*arguments, **keys)


def test_one_text_or_several() -> None:
    assert call(PLAN, "vm1", "ifupdown") == yaml.safe_load(RETURN)["_value"]["sample"]
    assert list(call(PLAN, "vm1", "systemd-networkd", prefix="lan")) == ["10-vpc0.link", "10-vpc0.network"]
    assert list(call(PLAN, guest="vm1", format="systemd-networkd")) == ["10-vpc0.network"]


@pytest.mark.parametrize(
    "plan, name, chosen, message",
    [
        (PLAN, "vm2", "xen", "guest_config: vm2 is no guest of the plan; did you mean vm1?"),
        (PLAN, "vm1", "xem", "guest_config: xem is no format; did you mean xen?"),
        (
            PLAN,
            "vm1",
            "docker",
            "docker is no format; formats are cloud-init, netplan, ifupdown, systemd-networkd, xen, ",
        ),
        ("{}", "vm1", "xen", "guest_config: this is no plan"),
    ],
)
def test_refusals(plan: Any, name: str, chosen: str, message: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        call(plan, name, chosen)
    assert message in str(caught.value)


def test_documentation_has_all_formats() -> None:
    for text in (DOCUMENTATION, module.DOCUMENTATION):
        assert yaml.safe_load(text)["options"]["format"]["choices"] == list(FORMATS)
    described = "\n".join(yaml.safe_load(DOCUMENTATION)["options"]["format"]["description"])
    assert all(f"V({name}) " in described for name in FORMATS)
