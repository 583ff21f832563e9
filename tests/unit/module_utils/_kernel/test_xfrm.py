# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XFRM interfaces: texts of iproute2 on Debian's kernels. tests/vm asks such a kernel; many have none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta, KernelError, State
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.xfrm import Xfrm
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ROUTER, VPN_GATEWAY, Scope
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, texts
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import context as any_context

XFRM = Xfrm()
VALUE = "xfrm if_id 0x77359401 mtu 1438"
FIRST = {"aws1-1": VALUE}
DESIRED = {"aws1-1": VALUE, "aws1-2": "xfrm if_id 0x77359402 mtu 1422"}

# `ip -d -j link show` of iproute2 6.1.0 with Linux 6.1 (6.15.0 with 6.12 adds gso_ipv4_max_size, gro_ipv4_max_size):
# just added, and as put() leaves it.
_SIZES = (
    '"num_tx_queues":1,"num_rx_queues":1,"gso_max_size":65536,"gso_max_segs":65535,"tso_max_size":65536,'
    '"tso_max_segs":65535,"gro_max_size":65536'
)
_INFO = '"linkinfo":{"info_kind":"xfrm","info_data":{"if_id":"0x77359401"}}'
ADDED = (
    '{"ifindex":2,"link":null,"ifname":"aws1-1","flags":["NOARP"],"mtu":1500,"qdisc":"noop","operstate":"DOWN",'
    '"linkmode":"DEFAULT","group":"default","txqlen":1000,"link_type":"none","promiscuity":0,"allmulti":0,"min_mtu":68,'
    f'"max_mtu":65535,{_INFO},"inet6_addr_gen_mode":"eui64",{_SIZES}}}'
)
READY = (
    '{"ifindex":2,"link":null,"ifname":"aws1-1","flags":["NOARP","UP","LOWER_UP"],"mtu":1438,"qdisc":"noqueue",'
    '"operstate":"UNKNOWN","linkmode":"DEFAULT","group":"default","txqlen":1000,"link_type":"none","promiscuity":0,'
    f'"allmulti":0,"min_mtu":68,"max_mtu":65535,{_INFO},"inet6_addr_gen_mode":"none",{_SIZES},'
    '"ifalias":"plainlinux.vpc:vpn_gateway"}'
)
# The same of an interface that was made with `dev dum0`, whose device was then set down.
BOUND = READY.replace('"link":null', '"link":"dum0"').replace('"LOWER_UP"', '"M-DOWN"')
EXTERNAL = READY.replace('"if_id":"0x77359401"', '"external":true')
LOOPBACK = (
    '{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"link_type":"loopback",'
    '"address":"00:00:00:00:00:00","inet6_addr_gen_mode":"eui64"}'
)

# `ip -d -o link show dev aws1-1` of the same.
ONE_LINE = (
    "2: aws1-1@NONE: <NOARP,UP,LOWER_UP> mtu 1438 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000"
    r"\    link/none  promiscuity 0  allmulti 0 minmtu 68 maxmtu 65535 "
    r"\    xfrm if_id 0x77359401 addrgenmode none numtxqueues 1 numrxqueues 1 gso_max_size 65536 "
    r"\    alias plainlinux.vpc:vpn_gateway"
)
MARK = "plainlinux.vpc:vpn_gateway"
READY_LINES = f"link set dev aws1-1 mtu 1438 alias {MARK} addrgenmode none\nlink set dev aws1-1 up\n"
ADD_LINE = "link add name aws1-1 type xfrm if_id 0x77359401\n"


def context(desired: State | None = None, recorded: State | None = None, scope: Scope = VPN_GATEWAY) -> Any:
    return any_context(desired, recorded, scope)


def shown(text: str, **changes: object) -> str:
    """The dump of a host with this link and changes to it; None leaves a field out."""
    link = {key: value for key, value in {**json.loads(text), **changes}.items() if value is not None}
    return json.dumps([json.loads(LOOPBACK), link])


@pytest.mark.parametrize(
    "text, value",
    [
        (shown(READY), VALUE),
        (shown(BOUND), VALUE),
        (shown(ADDED), "xfrm if_id 0x77359401 mtu 1500 down addrgenmode eui64 unmarked"),
        (shown(READY, flags=["NOARP"]), f"{VALUE} down"),
        (shown(READY, inet6_addr_gen_mode="eui64"), f"{VALUE} addrgenmode eui64"),
        (shown(READY, inet6_addr_gen_mode=None), VALUE),
        (shown(READY, flags=[], mtu=1400, inet6_addr_gen_mode="random"), f"{VALUE[:-4]}1400 down addrgenmode random"),
        (shown(READY.replace("0x77359401", "0x5")), "xfrm if_id 0x5 mtu 1438"),
        (shown(EXTERNAL), "xfrm if_id none mtu 1438"),
        (shown(READY, ifalias=None), f"{VALUE} unmarked"),
        (shown(READY.replace("0x77359401", "0x5"), ifalias=None), "foreign xfrm"),
        (shown(EXTERNAL, ifalias=None), "foreign xfrm"),
        (shown(READY, ifalias="plainlinux.vpc:router"), "foreign xfrm"),
        (shown(READY, linkinfo={"info_kind": "vti"}), "foreign vti"),
        (shown(READY, linkinfo=None, link_type="ether"), "foreign ether"),
        (shown(READY, ifname="other"), None),
        ("[{},{}]", None),
        ("", None),
    ],
)
def test_parse(text: str, value: str | None) -> None:
    assert XFRM.parse(context({"aws1-1": VALUE}), texts(text)).get("aws1-1") == value


def test_parse_gives_what_is_ours_and_no_longer_desired() -> None:
    assert XFRM.parse(context(), texts(shown(READY))) == {"aws1-1": VALUE}
    assert XFRM.parse(context(scope=ROUTER), texts(shown(READY))) == {}
    assert XFRM.parse(context(), texts(shown(ADDED))) == {}


def test_parse_refuses_other_texts() -> None:
    with pytest.raises(KernelError, match="ip -d -j link show: not readable as JSON"):
        XFRM.parse(context(), texts("[{"))


def test_hosts_without_tunnels_are_not_asked() -> None:
    assert XFRM.read(context()) == []
    assert XFRM.parse(context(), []) == {}
    assert XFRM.put(context(), Delta({}, {})) == XFRM.drop(context(), Delta({}, {})) == []
    for asked in (context(DESIRED), context({}, DESIRED)):
        assert [command.argv for command in XFRM.read(asked)] == [("ip", "-d", "-j", "link", "show")]


@pytest.mark.parametrize(
    "before, after, lines",
    [
        (None, VALUE, ADD_LINE + READY_LINES),
        ("xfrm if_id 0x77359401 mtu 1500 down addrgenmode eui64 unmarked", VALUE, READY_LINES),
        (f"{VALUE[:-4]}1400 down", VALUE, READY_LINES),
        (
            "xfrm if_id 0x5 mtu 1438",
            VALUE,
            "link set dev aws1-1 type xfrm if_id 0x77359401\n" + READY_LINES.replace(" mtu 1438", ""),
        ),
        # as an undo does
        (
            VALUE,
            "xfrm if_id 0x5 mtu 1500 down addrgenmode eui64 unmarked",
            """\
link set dev aws1-1 type xfrm if_id 0x5
link set dev aws1-1 mtu 1500 alias '' addrgenmode eui64
link set dev aws1-1 down
""",
        ),
    ],
)
def test_put(before: str | None, after: str, lines: str) -> None:
    delta = Delta({"aws1-1": before} if before else {}, {"aws1-1": after})
    (command,) = XFRM.put(context({"aws1-1": after}), delta)
    assert (command.argv, command.stdin) == (("ip", "-batch", "-"), lines)


def test_put_refuses_a_foreign_link() -> None:
    with pytest.raises(KernelError, match=r"link aws1-1: exists already and is not ours \(vti\)"):
        XFRM.put(context(DESIRED), Delta.between({"aws1-1": "foreign vti"}, DESIRED))


def test_drop() -> None:
    (command,) = XFRM.drop(context(), Delta.between(DESIRED, {}))
    assert command.stdin == "link del dev aws1-1\nlink del dev aws1-2\n"
    assert XFRM.drop(context(), Delta.between({"aws1-1": "foreign vti"}, {})) == []


class Host:
    """A namespace where `ip -batch` only writes down what it is told, and `ip link show` prints what it was given."""

    def __init__(self, netns: Netns, folder: Path) -> None:
        self.netns = netns
        self.said, self.shown = folder / "said", folder / "shown"
        self.folder = folder / "scope"
        self.folder.mkdir()
        program = folder / "bin/ip"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\ncase "$*" in *batch*) cat >{self.said} ;; *) cat {self.shown} ;; esac\n')
        program.chmod(0o755)

    def boot(self, desired: State) -> tuple[int, str, str]:
        """Gives the status, the lines for `ip -batch` and the messages."""
        for name, text in XFRM.boot(context(desired)).items():
            (self.folder / name).write_text(text)
        (self.folder / "boot").write_text(f"set -eu\nPATH={self.said.parent}/bin:$PATH\n{XFRM.boot_shell}")
        status = self.netns.sh("status=0; dash boot 2>message || status=$?; echo $status", self.folder)
        said = self.said.read_text() if self.said.exists() else ""
        return int(status), said, (self.folder / "message").read_text()


@pytest.fixture
def host(netns: Netns, tmp_path: Path) -> Host:
    return Host(netns, tmp_path)


def test_boot_makes_what_is_not_there(host: Host) -> None:
    assert host.boot(FIRST) == (0, ADD_LINE + READY_LINES, "")


@pytest.mark.parametrize(
    "mark, found, lines",
    [
        (MARK, ONE_LINE, READY_LINES),
        # a run was killed between the two
        ("", ONE_LINE.partition(r"\    alias")[0], READY_LINES),
        (
            MARK,
            ONE_LINE.replace("0x77359401", "0x773594011"),
            f"link set dev aws1-1 type xfrm if_id 0x77359401\n{READY_LINES}",
        ),
    ],
)
def test_boot_takes_what_is_ours(host: Host, mark: str, found: str, lines: str) -> None:
    host.netns.sh(f"ip link add aws1-1 type veth peer name other; ip link set aws1-1 alias '{mark}'")
    host.shown.write_text(found)
    assert host.boot(FIRST) == (0, lines, "")


@pytest.mark.parametrize(
    "mark, found",
    [
        ("", ONE_LINE.replace("0x77359401", "0x773594011")),
        ("", ONE_LINE.replace("xfrm if_id", "vti remote")),
        (MARK, ONE_LINE.replace("xfrm if_id", "vti remote")),
        ("plainlinux.vpc:router", ONE_LINE),
        (f"{MARK}2", ONE_LINE),
    ],
)
def test_boot_leaves_foreign_links_alone(host: Host, mark: str, found: str) -> None:
    host.netns.sh(f"ip link add aws1-1 type veth peer name other; ip link set aws1-1 alias '{mark}'")
    host.shown.write_text(found)
    assert host.boot(FIRST) == (1, "\n", "link aws1-1: exists already and is not ours\n")


def test_nothing_to_boot(host: Host) -> None:
    assert XFRM.boot(context()) == {}
    assert host.boot({}) == (0, "", "")
