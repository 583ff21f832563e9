# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel without what a role needs: refused before anything is written, in words that help."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import process, refusal
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import (
    FailedError,
    Options,
    RefusedError,
    Transaction,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Delta, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.plan import Plan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import userland
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

WHY = "modprobe: FATAL: Module {} not found in directory /lib/modules/6.1"


def test_words() -> None:
    assert refusal.module({"tun": "loaded"}) == ""
    one = refusal.module({"br_netfilter": f"missing {WHY.format('br_netfilter')}", "tun": "loaded"})
    assert f"the kernel of {os.uname().nodename}, {os.uname().release}, has no br_netfilter: boot one that has" in one
    assert one.endswith(f" ({WHY.format('br_netfilter')})")
    assert "tun" not in one
    assert "userland" not in one
    two = refusal.module({name: f"missing {WHY.format(name)}" for name in ("xfrm_interface", "esp4")})
    assert "has no esp4 and no xfrm_interface: boot" in two
    assert ", or set vpn_gateway_ipsec_backend: userland (" in two
    assert two.endswith(f"({WHY.format('esp4')}; {WHY.format('xfrm_interface')})")


def test_devices_of_userland_esp_are_in_the_way_of_a_real_run_only(tmp_path: Path) -> None:
    links = {"aws1-1": "foreign tun", "aws1-2": "xfrm if_id 0x2 mtu 1400"}
    born = Path(f"{tmp_path}{userland.device('aws1-1')}")
    born.parent.mkdir(parents=True)
    born.write_text("ipsec0\n")
    assert refusal.tunnels(links, True, str(tmp_path)) == ""
    assert "interface aws1-1 exists and is not ours" in refusal.tunnels(links, False, str(tmp_path))
    born.unlink()
    assert "interface aws1-1 exists and is not ours" in refusal.tunnels(links, True, str(tmp_path))


def filter_of(backend: str, *guests: str) -> dict[str, dict[str, str]]:
    """The state of a hypervisor's filter with guests that have groups, and one that has none."""
    host = {"groups": ["hypervisors", "routers"], "vpc_underlay_address": "192.168.56.103", "vpc_backend": backend}
    instances = [{"name": name, "hypervisor": "host1", "network": "net1"} for name in (*guests, "open")]
    for item in instances[:-1]:
        item["security_groups"] = ["web"]
    raw = {
        "vpc_networks": [{"name": "net1", "cidr": "10.10.10.0/24"}],
        "vpc_security_groups": [{"name": "web", "ingress": [{"protocol": "tcp", "ports": 80}]}],
        "vpc_instances": instances,
        "hosts": {"host1": host},
    }
    state: dict[str, dict[str, str]] = Plan(parse(raw), "id").slice("host1", "security_groups")["state"]
    return state


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_what_counts_of_a_filter_are_the_addresses_that_it_judges(backend: str) -> None:
    three = filter_of(backend, "vm1", "vm2", "vm3")
    # Each has a link-local address as well.
    assert refusal.filtered(three, three) == [("filtered addresses", 0, 6)]
    assert refusal.filtered(three, filter_of(backend, "vm2")) == [("filtered addresses", 4, 6)]
    assert refusal.filtered(three, filter_of(backend)) == [("filtered addresses", 6, 6)]
    assert refusal.filtered({}, three) == [("filtered addresses", -6, 0)]


def test_another_backend_removes_nobody() -> None:
    one, other = (filter_of(backend, "vm1", "vm2") for backend in ("nftables", "iptables"))
    assert refusal.filtered(one, other) == refusal.filtered(other, one) == [("filtered addresses", 0, 4)]


@pytest.fixture
def netns() -> Iterator[Netns]:
    found = Netns()
    yield found
    found.remove()


def test_rules_of_a_backend_that_goes_say_nothing() -> None:
    before = {"route": {"r": "1"}, "nft": dict.fromkeys("abc", ""), "iptables": {}}
    after = {"route": {"r": "1"}, "nft": {}, "iptables": dict.fromkeys("de", "")}
    gone = {name: Delta.between(before[name], after[name]) for name in before}
    assert refusal.objects(before, after, gone) == [("objects", 0, 1), ("routes", 0, 1)]
    # Nothing comes instead: they count.
    assert refusal.objects(before, {**after, "iptables": {}}, gone)[0] == ("objects", 3, 4)


@pytest.mark.parametrize("check", [True, False])
def test_nothing_is_written_for_a_kernel_without_the_module(netns: Netns, tmp_path: Path, check: bool) -> None:
    options = Options(check=check, root=str(tmp_path), lock=str(tmp_path / "lock"))
    slice_ = {"state": {"module": {"vpc_no_such_module": "loaded"}, "sysctl": {"net/ipv4/ip_forward": "1"}}}
    with pytest.raises(RefusedError, match=r"has no vpc_no_such_module: boot one .*modprobe: .*not found"):
        Transaction(VPN_GATEWAY, slice_, options, netns.run).apply()
    assert netns.sh("cat /proc/sys/net/ipv4/ip_forward") == "0\n"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]


def test_a_failure_shows_no_script(netns: Netns, tmp_path: Path) -> None:
    """Of a module that is there, and does not load."""

    def run(command: Command) -> Output:
        if command.stdin == "esp4\n" and command.argv[0] == "sh":
            writes = "module_status" in command.argv[2]
            return Output(1, "", "modprobe: ERROR: could not insert 'esp4': Killed\n") if writes else Output(0, "")
        return netns.run(command)

    options = Options(root=str(tmp_path), lock=str(tmp_path / "lock"))
    with pytest.raises(FailedError) as caught:
        Transaction(VPN_GATEWAY, {"state": {"module": {"esp4": "loaded"}}}, options, run).apply()
    text = str(caught.value)
    assert text.startswith("sh -euc ...: status 1: modprobe: ERROR: could not insert 'esp4': Killed. ")
    assert len(text) < 200


def test_words_of_one_line_are_shown() -> None:
    command = Command(("ip", "-4", "-batch", "-"))
    assert str(process.CommandError(command, Output(1, "", "no"))) == "ip -4 -batch -: status 1: no"
