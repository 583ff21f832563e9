# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading `ip -j addr show`."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import interfaces
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import KernelError
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.interfaces import Interface
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._daemon.records import text
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns


def test_recorded() -> None:
    found = interfaces.parse(text("addr.json"))
    assert found["ipsec0"] == Interface("ipsec0", True, 1400, ("169.254.252.2/30",))
    assert found["lo"] == Interface("lo", True, 65536, ("127.0.0.1/8", "10.10.0.1/24"))


def test_what_has_no_address_and_is_down() -> None:
    # Old iproute2 leaves an empty object where another name was filtered out.
    output = '[{},{"ifname":"aws1-1","flags":["NOARP"],"mtu":1438,"addr_info":[]}]'
    assert interfaces.parse(output) == {"aws1-1": Interface("aws1-1", False, 1438)}


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(KernelError):
        interfaces.parse("Error: netlink\n")


def test_a_real_kernel(netns: Netns) -> None:
    netns.sh("ip link add aws1-1 mtu 1400 type veth peer name other; ip addr add 169.254.252.2/30 dev aws1-1")
    before = interfaces.parse(netns.run(interfaces.READ).stdout)["aws1-1"]
    netns.sh("ip link set aws1-1 up")
    after = interfaces.parse(netns.run(interfaces.READ).stdout)["aws1-1"]
    assert before == Interface("aws1-1", False, 1400, ("169.254.252.2/30",))
    assert after == Interface("aws1-1", True, 1400, ("169.254.252.2/30",))
