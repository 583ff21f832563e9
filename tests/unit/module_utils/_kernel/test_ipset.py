# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipset: texts of the real tool, and sets in a real kernel."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import (
    Delta,
    KernelError,
    Output,
    State,
    failing_line,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.ipset import Ipset
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ROUTER
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import (
    Netns,
    context,
    texts,
)

IPSET = Ipset()
NAT4, NAT6 = "vpc-router-nat4", "vpc-router-nat6"

# ipset 7.17, `ipset save`
PRINTED = """\
create vpc-router-nat4 hash:net family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x8015fd9e
add vpc-router-nat4 10.10.20.0/24
add vpc-router-nat4 10.10.10.0/24
create vpc-router-nat6 hash:net family inet6 hashsize 1024 maxelem 65536 timeout 0 counters comment bucketsize 12 \
initval 0xdb061722
add vpc-router-nat6 2001:db8::/64 timeout 299 nomatch packets 0 bytes 0 comment "a timeout 5, c"
add vpc-router-nat6 fe80::1 timeout 0 packets 0 bytes 0
create vpc-router-ipp hash:ip,port family inet hashsize 1024 maxelem 100 bucketsize 12 initval 0xa0bc7b65
add vpc-router-ipp 1.1.1.1,tcp:80
create vpc-hypervisor-x hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x8015fd9e
add vpc-hypervisor-x 1.1.1.1
create other hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x8015fd9e
"""
STATE = {
    NAT4: "hash:net family inet",
    f"{NAT4} 10.10.10.0/24": "member",
    f"{NAT4} 10.10.20.0/24": "member",
    NAT6: "hash:net family inet6 timeout 0 counters comment",
    f"{NAT6} 2001:db8::/64": 'member nomatch comment "a timeout 5, c"',
    f"{NAT6} fe80::1": "member",
    "vpc-router-ipp": "hash:ip,port family inet",
    "vpc-router-ipp 1.1.1.1,tcp:80": "member",
}

SMALL = {
    NAT4: "hash:net family inet",
    f"{NAT4} 10.10.10.0/24": "member",
    f"{NAT4} 10.10.20.0/24": "member",
    NAT6: "hash:net family inet6",
    f"{NAT6} 2001:db8:10::/64": "member",
}

FOREIGN = """\
ipset restore <<'END'
create other hash:net family inet
add other 10.10.10.0/24
create vpc-routerx hash:ip family inet comment
add vpc-routerx 1.1.1.1 comment "not ours"
create vpc-hypervisor-nat4 hash:net family inet
END
"""


def without(state: State, *keys: str) -> State:
    return {key: value for key, value in state.items() if key not in keys}


def foreign(netns: Netns) -> list[str]:
    return [line for line in netns.lines("ipset save") if " vpc-router-" not in line]


def test_parse_reads_everything_that_ipset_prints() -> None:
    assert IPSET.parse(context(scope=ROUTER), texts(PRINTED)) == STATE


def test_parse_shows_a_maxelem_that_is_too_small_or_wanted() -> None:
    members = {f"vpc-router-ipp 1.1.1.1,tcp:{port}": "member" for port in range(1, 102)}
    desired = {"vpc-router-ipp": "hash:ip,port family inet", **members}
    found = IPSET.parse(context(desired, scope=ROUTER), texts(PRINTED))
    assert found["vpc-router-ipp"] == "hash:ip,port family inet maxelem 100"
    desired = {"vpc-router-ipp": "hash:ip,port family inet maxelem 100"}
    found = IPSET.parse(context(desired, scope=ROUTER), texts(PRINTED))
    assert found["vpc-router-ipp"] == "hash:ip,port family inet maxelem 100"


def test_parse_tells_absence_from_failure() -> None:
    failed = Output(1, "", "ipset v7.17: Cannot open session to kernel.")
    assert IPSET.parse(context(SMALL, scope=ROUTER), [Output(127, "")]) == {}
    assert IPSET.parse(context(scope=ROUTER), [failed]) == {}
    with pytest.raises(KernelError, match="Cannot open session"):
        IPSET.parse(context(SMALL, scope=ROUTER), [failed])


def test_a_member_change_touches_only_that_member() -> None:
    after = {**without(SMALL, f"{NAT4} 10.10.20.0/24"), f"{NAT4} 10.10.30.0/24": "member"}
    delta, wanted = Delta.between(SMALL, after), context(after, scope=ROUTER)
    assert [command.stdin for command in IPSET.put(wanted, delta)] == [f"add {NAT4} 10.10.30.0/24\n"]
    assert [command.stdin for command in IPSET.drop(wanted, delta)] == [f"del {NAT4} 10.10.20.0/24\n"]
    assert not IPSET.put(wanted, Delta({}, {}))
    assert not IPSET.drop(wanted, Delta({}, {}))


@pytest.mark.parametrize("length, suits", [(27, True), (28, False)])
def test_names_leave_room_for_the_swap(length: int, suits: bool) -> None:
    name = "vpc-router-".ljust(length, "x")
    wanted = context({name: "hash:net family inet"}, scope=ROUTER)
    if suits:
        assert IPSET.put(wanted, Delta.between({}, wanted.desired))
    else:
        with pytest.raises(KernelError, match="longer than 27"):
            IPSET.put(wanted, Delta.between({}, wanted.desired))


COMMENTED = "hash:net family inet comment"
STEPS: dict[str, State] = {
    "member in": {**SMALL, f"{NAT4} 10.10.30.0/24": "member"},
    "member out": without(SMALL, f"{NAT4} 10.10.20.0/24"),
    "member option": {**SMALL, f"{NAT4} 10.10.20.0/24": "member nomatch"},
    "header": {**SMALL, NAT4: COMMENTED, f"{NAT4} 10.10.20.0/24": 'member comment "x y"'},
    "header and members": {**without(SMALL, f"{NAT4} 10.10.20.0/24"), NAT4: COMMENTED, f"{NAT4} 1.0.0.0/8": "member"},
    "family": {**without(SMALL, f"{NAT6} 2001:db8:10::/64"), NAT6: "hash:net family inet", f"{NAT6} 1.1.1.1": "member"},
    "type": {**SMALL, NAT6: "hash:ip family inet6", f"{NAT6} fe80::1": "member"},
    "one set only": without(SMALL, *(key for key in SMALL if key.startswith(NAT6))),
    "all": {**STATE},
    "none": {},
}
STEPS["type"].pop(f"{NAT6} 2001:db8:10::/64")


@pytest.mark.parametrize("name", STEPS)
def test_each_step_there_and_back_leaves_the_foreign_alone(netns: Netns, name: str) -> None:
    netns.sh(FOREIGN)
    others = foreign(netns)
    for desired in (SMALL, STEPS[name], SMALL):
        wanted = context(desired, SMALL, ROUTER)
        netns.converge(IPSET, wanted)
        assert netns.read(IPSET, wanted) == desired
        assert not netns.converge(IPSET, wanted)
    netns.converge(IPSET, context({}, SMALL, ROUTER))
    assert netns.lines("ipset save") == others


def test_put_and_drop_may_run_again(netns: Netns) -> None:
    for before, after in (({}, SMALL), (SMALL, STEPS["header and members"])):
        wanted, delta = context(after, scope=ROUTER), Delta.between(before, after)
        for _run in range(2):
            netns.apply(IPSET.put(wanted, delta))
            netns.apply(IPSET.drop(wanted, delta))
        assert netns.read(IPSET, wanted) == after


@pytest.mark.parametrize("current", ["", "create vpc-router-nat4 hash:net family inet comment\n"])
def test_a_spare_left_by_a_killed_run_is_cleared(netns: Netns, current: str) -> None:
    netns.sh(f"ipset restore <<'END'\n{current}create {NAT4}-new hash:net family inet\nadd {NAT4}-new 9.9.9.9\nEND\n")
    wanted = context(SMALL, scope=ROUTER)
    netns.converge(IPSET, wanted)
    assert netns.read(IPSET, wanted) == SMALL
    assert netns.lines("ipset list -n") == [NAT4, NAT6]


def big(count: int, start: int = 10) -> State:
    """A set of so many networks from start.0.0.0/24 on."""
    members = (f"{start + (n >> 16)}.{n >> 8 & 255}.{n & 255}.0/24" for n in range(count))
    return {NAT4: "hash:net family inet", **{f"{NAT4} {member}": "member" for member in members}}


def test_a_set_grows_beyond_its_maxelem(netns: Netns) -> None:
    netns.converge(IPSET, context(big(60_000), scope=ROUTER))
    # The second ones fit in the set, but not together with those that leave.
    for desired in (big(40_000, 20), big(65_537), SMALL, big(65_536)):
        wanted = context(desired, scope=ROUTER)
        netns.converge(IPSET, wanted)
        assert netns.read(IPSET, wanted) == desired
    assert netns.lines("ipset list -n") == [NAT4]


def test_a_set_in_use_is_not_dropped_in_silence(netns: Netns) -> None:
    netns.converge(IPSET, context(SMALL, scope=ROUTER))
    netns.sh(f"iptables -w -A INPUT -m set --match-set {NAT4} src")
    delta = Delta.between(SMALL, {})
    (command,) = IPSET.drop(context(scope=ROUTER), delta)
    output = netns.run(command)
    assert output.status == 1
    assert "in use" in output.stderr
    assert failing_line(command, output) == f"destroy {NAT4}"


def test_an_error_names_its_line(netns: Netns) -> None:
    bad = {**SMALL, f"{NAT4} nonsense": "member"}
    (command,) = IPSET.put(context(bad, scope=ROUTER), Delta.between({}, bad))
    output = netns.run(command)
    assert output.status == 1
    assert failing_line(command, output) == f"add {NAT4} nonsense"


@pytest.mark.parametrize("desired", [SMALL, STATE], ids=["small", "all"])
def test_boot_files_restore_everything_any_number_of_times(netns: Netns, tmp_path: Path, desired: State) -> None:
    netns.sh(FOREIGN)
    others = foreign(netns)
    wanted = context(desired, scope=ROUTER)
    spoil = ("true", "true", f"ipset flush {NAT4}", f"ipset create {NAT4}-new hash:ip", f"ipset add {NAT4} 9.9.9.9")
    for script in spoil:
        netns.sh(script)
        output = netns.boot(IPSET, wanted, tmp_path)
        assert output.status == 0, output
        assert netns.read(IPSET, wanted) == desired
    assert foreign(netns) == others


def test_boot_of_a_large_set_over_a_small_one(netns: Netns, tmp_path: Path) -> None:
    large = big(65_537)
    netns.converge(IPSET, context(SMALL, scope=ROUTER))
    output = netns.boot(IPSET, context(large, scope=ROUTER), tmp_path)
    assert output.status == 0, output
    found = netns.read(IPSET, context(large, scope=ROUTER))
    assert {key: value for key, value in found.items() if key.startswith(NAT4)} == large


def test_boot_without_files_does_nothing_and_a_bad_file_fails(netns: Netns, tmp_path: Path) -> None:
    assert IPSET.boot(context({}, scope=ROUTER)) == {}
    assert netns.boot(IPSET, context({}, scope=ROUTER), tmp_path).status == 0
    bad = {NAT4: "hash:net family inet", f"{NAT4} nonsense": "member"}
    assert netns.boot(IPSET, context(bad, scope=ROUTER), tmp_path).status != 0
    bad = {NAT4: "hash:nonsense"}
    assert netns.boot(IPSET, context(bad, scope=ROUTER), tmp_path).status != 0


def test_a_ping_flood_sees_no_gap_while_the_set_changes(netns: Netns) -> None:
    """Only members may leave; each step keeps 127.0.0.1 in the set."""
    base = {NAT4: "hash:net family inet", f"{NAT4} 127.0.0.1": "member"}
    crowd = {f"{NAT4} 10.{number >> 8}.{number & 255}.0/30": "member" for number in range(5000)}
    steps = [{**base, **crowd}, base, {**base, NAT4: COMMENTED}, {**base, **crowd, NAT4: COMMENTED}]
    netns.converge(IPSET, context(base, scope=ROUTER))
    netns.sh(f"iptables -w -A OUTPUT -m set --match-set {NAT4} dst -j ACCEPT; iptables -w -P OUTPUT DROP")
    flood = subprocess.Popen(
        ["ip", "netns", "exec", netns.name, "ping", "-q", "-i", "0.002", "-w", "4", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ended = time.monotonic() + 3
    rounds = 0
    while time.monotonic() < ended:
        netns.converge(IPSET, context(steps[rounds % len(steps)], scope=ROUTER))
        rounds += 1
    printed = flood.communicate()[0]
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", printed)
    assert counts, printed
    assert rounds >= len(steps)
    # The last request may still be under way when ping ends.
    assert int(counts[1]) - int(counts[2]) <= 1, printed
    assert "errors" not in printed
