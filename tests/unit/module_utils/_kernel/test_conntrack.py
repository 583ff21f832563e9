# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows: texts of conntrack, and what the kernel forgets."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import conntrack
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, KernelError, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.conntrack import Flow
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

# conntrack 1.4.7, `conntrack -L -f ipv4 -o id`, with counters, a timestamp, a zone, a helper and labels of others
PRINTED = """\
tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=80 packets=4 bytes=216 src=10.0.0.2 \
dst=10.0.0.1 sport=80 dport=1000 packets=3 bytes=164 [ASSURED] mark=0 secctx=null zone=5 delta-time=7 helper=ftp \
use=1 id=3568190117
udp      17 29 src=10.0.0.1 dst=198.51.100.5 sport=1000 dport=53 [UNREPLIED] src=10.0.0.9 dst=10.0.0.8 sport=5353 \
dport=1000 mark=1 use=2 id=1
icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7 src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=7 \
mark=0 use=1 id=2
gre      47 29 src=10.0.0.1 dst=10.0.0.2 srckey=0x0 dstkey=0x1f src=10.0.0.2 dst=10.0.0.1 srckey=0x1f dstkey=0x0 \
[ASSURED] mark=0 use=1 id=3
unknown  50 599 src=10.0.0.1 dst=10.0.0.2 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 mark=0 use=1 id=4
tcp      6 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 zone-orig=6 src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 [OFFLOAD] \
mark=0 use=2 id=5
"""


def test_parse() -> None:
    ends = ("10.0.0.1", "10.0.0.2", "10.0.0.2")
    assert list(conntrack.parse(4, Output(0, PRINTED))) == [
        Flow(4, 6, *ends, "80", ("1000", "80"), "5", None, True, False, "3568190117"),
        Flow(4, 17, "10.0.0.1", "198.51.100.5", "10.0.0.9", "5353", ("1000", "53"), None, None, False, False, "1"),
        Flow(4, 1, *ends, None, ("8", "0", "7"), None, None, False, False, "2"),
        Flow(4, 47, *ends, None, ("0x0", "0x1f"), None, None, False, False, "3"),
        Flow(4, 50, *ends, None, (), None, None, False, False, "4"),
        Flow(4, 6, *ends, "2", ("1", "2"), None, "6", False, False, "5"),
    ]
    assert list(conntrack.parse(6, Output(0, ""))) == []


def test_parse_refuses_what_it_cannot_read() -> None:
    with pytest.raises(KernelError, match="conntrack -L -f ipv4: 1 of 7 lines are no flow that is known"):
        list(conntrack.parse(4, Output(0, PRINTED + "something else\n")))


# One of each kind that a tuple can have; the first of each pair goes.
FLOWS = """\
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1000 --dport 80 --state ESTABLISHED
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1001 --dport 80 --state ESTABLISHED
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1000 --dport 80 --state ESTABLISHED -w 5
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1001 --dport 80 --state ESTABLISHED -w 5
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1002 --dport 80 --state ESTABLISHED --orig-zone 6
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1003 --dport 80 --state ESTABLISHED --orig-zone 6
-A -t 600 -s 10.0.0.1 -d 198.51.100.5 -r 10.0.0.9 -q 10.0.0.8 -p udp --sport 1000 --dport 53 \
--reply-port-src 5353 --reply-port-dst 1000
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p udp --sport 1000 --dport 53
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 7
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 8
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p gre --srckey 5 --dstkey 31
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p gre --srckey 5 --dstkey 32
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p sctp --sport 3 --dport 4 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p sctp --sport 3 --dport 5 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2
-A -t 600 -s 10.0.0.1 -d 10.0.0.2 -p 50
-A -t 600 -s 10.0.0.1 -d 10.0.0.3 -p 50
-A -t 600 -s 2001:db8::1 -d 2001:db8::2 -p tcp --sport 1000 --dport 80 --state ESTABLISHED
-A -t 600 -s 2001:db8::1 -d 2001:db8::2 -p tcp --sport 1001 --dport 80 --state ESTABLISHED
-A -t 600 -s 2001:db8::1 -d 2001:db8::2 -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7
-A -t 600 -s 2001:db8::1 -d 2001:db8::2 -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 8
"""


def listed(netns: Netns) -> list[Flow]:
    return [flow for family in (4, 6) for flow in conntrack.parse(family, netns.run(conntrack.listed(family)))]


def load(netns: Netns, lines: str) -> None:
    netns.apply([Command(("conntrack", "--load-file", "-"), lines)])


def numbers(flows: Iterable[Flow]) -> list[str]:
    return sorted(flow.identity for flow in flows)


def test_exactly_what_is_told_ends(netns: Netns) -> None:
    lines = FLOWS.splitlines()
    going: list[Flow] = []
    known: set[str] = set()
    for number, line in enumerate(lines):
        load(netns, f"{line} {'-m 5' if number < 2 else ''}\n")
        (flow,) = [flow for flow in listed(netns) if flow.identity not in known]
        known.add(flow.identity)
        if number % 2 == 0:
            going.append(flow)
    kept = [flow for flow in going if flow.protocol not in (1, 58)]
    assert len(kept) == len(going) - 2
    others = known.difference(flow.identity for flow in going)
    assert netns.run(conntrack.end(going, sys.executable)) == Output(0, f"{len(going)}\n")
    left = listed(netns)
    assert numbers(flow for flow in left if not flow.ended) == sorted(others)
    assert numbers(flow for flow in left if flow.ended) == numbers(kept)
    # Others' lower half stays.
    assert netns.sh("conntrack -L -m 0x5ec50005 2>/dev/null | wc -l; conntrack -L -m 5 2>/dev/null | wc -l") == "1\n1\n"
    assert netns.run(conntrack.revive(going, sys.executable)) == Output(0, f"{len(kept)}\n")
    assert numbers(flow for flow in listed(netns) if not flow.ended) == sorted([*others, *numbers(kept)])
    # What is gone is no error.
    gone = [flow for flow in going if flow not in kept]
    assert netns.run(conntrack.end(gone, sys.executable)) == Output(0, "0\n")
    assert numbers(flow for flow in listed(netns) if not flow.ended) == sorted([*others, *numbers(kept)])


def test_thousands_in_one_process(netns: Netns) -> None:
    line = "-A -t 600 -s 10.0.{}.{} -d 10.9.0.1 -p udp --sport 1000 --dport 53\n"
    text = "".join(line.format(high, low) for high in range(20) for low in range(250))
    load(netns, text)
    flows = listed(netns)
    assert len(flows) == 5000
    assert netns.run(conntrack.end(flows[:4321], sys.executable)) == Output(0, "4321\n")
    assert numbers(flow for flow in listed(netns) if not flow.ended) == numbers(flows[4321:])


def test_flows_that_a_helper_announced(netns: Netns) -> None:
    assert list(conntrack.parse(4, netns.run(conntrack.expected(4)))) == []
    load(netns, FLOWS)
    assert list(conntrack.parse(4, netns.run(conntrack.expected(4)))) == []


def test_a_refusal_is_said(netns: Netns) -> None:
    flow = Flow(4, 6, "10.0.0.1", "10.0.0.2", "10.0.0.2", "80", ("1000", "80"), None, None, False, False, "1")
    command = conntrack.end([flow], sys.executable)
    output = netns.run(Command(("setpriv", "--bounding-set=-all", *command.argv), command.stdin))
    assert output.status == 1
    assert output.stderr == "connection tracking refuses a change: Operation not permitted\n"
