# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other network software is told, and what it does that we must name."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import coexistence, systemd
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import HYPERVISOR, ROUTER
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, texts

# `nft -nny list chains` of nftables 1.0.6.
CHAINS = """table ip filter {
\tchain FORWARD {
\t\ttype filter hook forward priority 0; policy drop;
\t}
\tchain DOCKER {
\t}
}
table inet plainlinux_router {
\tchain forward {
\t\ttype filter hook forward priority 0; policy drop;
\t}
}
table inet filter {
\tchain input {
\t\ttype filter hook input priority 0; policy drop;
\t}
\tchain forward {
\t\ttype filter hook forward priority 10; policy accept;
\t}
}
"""


def test_only_foreign_forward_policies_of_drop_count() -> None:
    assert coexistence.forward_drops(texts(CHAINS)) == ["table ip filter chain FORWARD"]
    assert coexistence.forward_drops([Output(127, "", "nft: not found")]) == []


def test_the_real_tool_prints_what_is_read(netns: Netns) -> None:
    netns.sh("ip6tables -P FORWARD DROP; iptables -P FORWARD ACCEPT")
    outputs = [netns.run(command) for command in coexistence.forward_read()]
    assert coexistence.forward_drops(outputs) == ["table ip6 filter chain FORWARD"]


def test_bridges_are_taken_from_networkd_and_network_manager() -> None:
    files = coexistence.files(HYPERVISOR, ["br-b", "br-a"], {"1000000001": "vpc-a"}, network_manager=True)
    assert "Name=br-a br-b\n" in files["/etc/systemd/network/00-plainlinux-vpc-hypervisor.network"]
    manager = files["/etc/NetworkManager/conf.d/plainlinux-vpc-hypervisor.conf"]
    assert "unmanaged-devices+=interface-name:br-a;interface-name:br-b\n" in manager
    assert "1000000001\tvpc-a\n" in files["/etc/iproute2/rt_tables.d/plainlinux-vpc-hypervisor.conf"]


def test_a_host_without_bridges_needs_only_what_is_shared() -> None:
    assert set(coexistence.files(ROUTER, [], {}, network_manager=True)) == set(coexistence.SHARED)


@pytest.mark.parametrize(
    "printed, state", [("enabled\nactive\n", "enabled active"), ("disabled\nfailed\n", "disabled failed")]
)
def test_the_unit_is_what_systemctl_says(printed: str, state: str) -> None:
    enabled, active = printed.splitlines()
    outputs = [Output(0, f"{enabled}\n"), Output(3, f"{active}\n")]
    unit = systemd.Unit()
    context = boot_context()
    assert unit.parse(context, outputs) == {systemd.UNIT: state}
    assert unit.parse(context, [Output(4, "not-found\n"), Output(4, "inactive\n")]) == {}


def boot_context() -> systemd.Context:
    return systemd.Context(HYPERVISOR)


def test_the_boot_script_waits_for_the_underlay_and_names_it(
    netns: Netns, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("boot")
    (folder / "hypervisor").mkdir()
    (folder / "hypervisor" / "underlay").write_text("192.168.56.103\n")
    text = systemd.script(["echo applied\n"], ["hypervisor", "router"])
    script = text.replace(systemd.FOLDER, str(folder)).replace("-gt 120", "-gt 2").replace("sleep 0.5", "sleep 0.1")
    output = netns.run(systemd.Command(("dash", "-c", script)))
    assert (output.status, output.stdout) == (1, "")
    assert "no interface has the underlay address 192.168.56.103" in output.stderr
    netns.sh("ip addr add 192.168.56.103/32 dev lo")
    assert netns.run(systemd.Command(("dash", "-c", script))) == Output(0, "applied\n", "")


def test_helpers_that_come_by_themselves() -> None:
    # Since Linux 6.0 there is no such file.
    absent = Output(1, "", "cat: /proc/sys/net/netfilter/nf_conntrack_helper: No such file or directory")
    assert not coexistence.helped_unasked(absent)
    assert not coexistence.helped_unasked(Output(0, "0\n"))
    assert coexistence.helped_unasked(Output(0, "1\n"))
