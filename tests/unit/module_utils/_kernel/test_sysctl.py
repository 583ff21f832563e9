# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters: texts of grep and /proc/sys, and the kernel itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.sysctl import Sysctl
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context, texts

SYSCTL = Sysctl()

# GNU grep 3.8, `xargs -d '\n' grep -Hs '' /dev/null`, kernel 6.18
READ = """\
/proc/sys/net/ipv4/conf/all/rp_filter:1
/proc/sys/net/ipv4/conf/br-a/rp_filter:0
/proc/sys/net/ipv4/conf/br-b/rp_filter:2
/proc/sys/net/ipv4/conf/eth0.100/proxy_arp:0
/proc/sys/net/ipv4/conf/eth0/tag:
/proc/sys/net/ipv4/ip_forward:1
/proc/sys/net/ipv4/ip_local_port_range:32768\t60999
/proc/sys/net/ipv6/conf/eth0/accept_ra:2
"""

DESIRED = {
    "net/ipv4/conf/br-a/proxy_arp": "1",
    "net/ipv4/conf/br-a/rp_filter": "2|0",
    "net/ipv4/conf/eth0.100/proxy_arp": "1",
    "net/ipv4/ip_forward": "1",
    "net/ipv4/ip_local_port_range": "20000 30000",
    "net/ipv4/neigh/br-a/proxy_delay": "0",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/br-a/accept_ra": "2|0",
}


@pytest.fixture
def host(netns: Netns) -> Netns:
    """A namespace with two interfaces, and reverse path filtering off."""
    netns.sh("ip link add br-a type bridge; ip link add eth0.100 type bridge; cd /proc/sys/net/ipv4/conf")
    netns.sh("for name in all default br-a; do echo 0 >/proc/sys/net/ipv4/conf/$name/rp_filter; done")
    return netns


@pytest.mark.parametrize(
    "key, desired, value",
    [
        ("net/ipv4/ip_forward", "1", "1"),
        ("net/ipv4/ip_forward", "0", "1"),
        ("net/ipv4/conf/eth0.100/proxy_arp", "1", "0"),
        ("net/ipv4/conf/eth0/tag", "1", ""),
        ("net/ipv4/ip_local_port_range", "32768 60999", "32768 60999"),
        ("net/ipv6/conf/eth0/accept_ra", "2|0", "2|0"),
        ("net/ipv6/conf/eth0/accept_ra", "0|2", "0|2"),
        ("net/ipv6/conf/eth0/accept_ra", "0|1", "2"),
        ("net/ipv4/conf/br-a/rp_filter", "2|0", "0"),  # all is 1, and wins
        ("net/ipv4/conf/br-a/rp_filter", "2|1", "2|1"),
        ("net/ipv4/conf/br-b/rp_filter", "2|0", "2|0"),
        ("net/ipv4/conf/br-b/rp_filter", "1", "2"),
        ("net/ipv4/conf/br-a/rp_filter", "0", "0"),  # an original value is given back
        ("net/ipv4/conf/nope/rp_filter", "0", None),
    ],
)
def test_parse(key: str, desired: str, value: str | None) -> None:
    assert SYSCTL.parse(context({key: desired}), texts(READ)).get(key) == value


def test_raw() -> None:
    raw = SYSCTL.raw(texts(READ))
    assert raw["net/ipv4/conf/eth0.100/proxy_arp"] == "0"
    assert raw["net/ipv4/ip_local_port_range"] == "32768 60999"
    assert len(raw) == 8


def test_nothing_to_read() -> None:
    assert SYSCTL.read(context()) == []
    assert SYSCTL.parse(context(), []) == {}


def test_forwarding_is_written_after_accept_ra_and_before_the_rest() -> None:
    (command,) = SYSCTL.put(context(DESIRED), Delta.between({}, DESIRED))
    keys = [line.split()[0].rpartition("/")[2] for line in (command.stdin or "").splitlines()]
    assert keys[:3] == ["accept_ra", "ip_forward", "forwarding"]


def test_round(host: Netns, tmp_path: Path) -> None:
    wanted = context(DESIRED)
    outputs = [host.run(command) for command in SYSCTL.read(wanted)]
    original = {key: value for key, value in SYSCTL.raw(outputs).items() if key in DESIRED}
    assert original.keys() == DESIRED.keys()
    assert host.read(SYSCTL, wanted)["net/ipv4/conf/br-a/rp_filter"] == "2|0"  # 0 was satisfied
    host.converge(SYSCTL, wanted)
    assert host.read(SYSCTL, wanted) == DESIRED
    assert not host.converge(SYSCTL, wanted)
    assert host.sh("cat /proc/sys/net/ipv4/conf/br-a/rp_filter") == "0\n"

    host.sh("echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter")
    assert host.converge(SYSCTL, wanted).changed == ["net/ipv4/conf/br-a/rp_filter"]
    assert host.sh("cat /proc/sys/net/ipv4/conf/br-a/rp_filter") == "2\n"
    assert host.read(SYSCTL, wanted) == DESIRED

    host.converge(SYSCTL, context(original))
    assert host.read(SYSCTL, context(original)) == original

    for _again in range(2):
        assert host.boot(SYSCTL, wanted, tmp_path) == Output(0, "")
        assert host.read(SYSCTL, wanted) == DESIRED
    assert host.sh("cat /proc/sys/net/ipv4/conf/br-a/rp_filter /proc/sys/net/ipv4/ip_local_port_range").split() == [
        "2",  # all is still 1
        "20000",
        "30000",
    ]


def test_a_satisfied_alternative_is_left_alone_at_boot(host: Netns, tmp_path: Path) -> None:
    host.sh("echo 0 >/proc/sys/net/ipv6/conf/br-a/accept_ra")
    assert host.boot(SYSCTL, context(DESIRED), tmp_path) == Output(0, "")
    assert host.sh("cat /proc/sys/net/ipv4/conf/br-a/rp_filter /proc/sys/net/ipv6/conf/br-a/accept_ra") == "0\n0\n"


@pytest.mark.parametrize("key, value", [("net/ipv4/conf/nope/proxy_arp", "1"), ("net/ipv4/conf/br-a/proxy_arp", "x")])
def test_a_refused_value_is_named_and_the_others_are_set(host: Netns, tmp_path: Path, key: str, value: str) -> None:
    desired = {**DESIRED, key: value, "net/ipv4/conf/nope/rp_filter": "2|0"}
    (command,) = SYSCTL.put(context(desired), Delta.between({}, desired))
    for output in (host.run(command), host.boot(SYSCTL, context(desired), tmp_path)):
        assert output.status == 1
        assert f"sysctl {key}: cannot be set to {value}\n" in output.stderr
        assert "sysctl net/ipv4/conf/nope/rp_filter: cannot be set to 2|0\n" in output.stderr
        others = {name: text for name, text in DESIRED.items() if name != key}
        assert host.read(SYSCTL, context(others)) == others
