# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes: texts of iproute2, and the kernel itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Delta, KernelError, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.route import Route
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ROUTER
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns, context, texts
from hypothesis import given
from hypothesis import strategies as st

ROUTE = Route()

# iproute2 6.1.0, `ip -4 -N route show table all proto 173`, kernel 6.18
IPV4 = """\
10.9.0.0/24 table 77 
\tnexthop via 192.168.56.101 dev v0 weight 1 linkdown 
\tnexthop via 192.168.56.102 dev v0 weight 1 
10.9.1.0/24 via 192.168.56.101 dev v0 table 77 onlink mtu 1400 
10.9.2.0/24 via 192.168.56.101 dev v0 table 77 metric 5 
10.9.2.0/24 via 192.168.56.102 dev v0 table 77 metric 6 
6 10.9.3.0/24 table 77 
10.9.4.0/24 via inet6 fe80::9 dev v0 table 77 
default via 192.168.56.101 dev v0 table 1000000101 linkdown 
7 10.10.10.0/24 table 1000000101 
10.10.10.10 dev br-a table 1000000101 scope 253 linkdown 
10.10.10.0/24 via 192.168.56.101 dev v0 
10.10.10.10 dev br-a scope 253 linkdown 
10.10.10.11 dev br-a scope 253 
7 10.10.11.0/24 
"""  # noqa: W291
IPV4_STATE = {
    "4 77 10.9.0.0/24": "nexthop via 192.168.56.101 dev v0 weight 1 nexthop via 192.168.56.102 dev v0 weight 1",
    "4 77 10.9.1.0/24": "via 192.168.56.101 dev v0 mtu 1400",
    "4 77 10.9.2.0/24": "via 192.168.56.101 dev v0 metric 5\nvia 192.168.56.102 dev v0 metric 6",
    "4 77 10.9.3.0/24": "blackhole",
    "4 77 10.9.4.0/24": "via inet6 fe80::9 dev v0",
    "4 1000000101 default": "via 192.168.56.101 dev v0",
    "4 1000000101 10.10.10.0/24": "unreachable",
    "4 1000000101 10.10.10.10": "dev br-a",
    "4 254 10.10.10.0/24": "via 192.168.56.101 dev v0",
    "4 254 10.10.10.10": "dev br-a",
    "4 254 10.10.10.11": "dev br-a",
    "4 254 10.10.11.0/24": "unreachable",
}

# The same tools, `ip -6 ...`
IPV6 = """\
6 2001:db8:13::/64 dev lo table 77 metric 1024 pref medium
2001:db8:14::/64 table 77 metric 1024 pref medium
\tnexthop via fe80::8 dev v0 weight 1 linkdown 
\tnexthop via fe80::9 dev v0 weight 1 
2001:db8:15::/64 via fe80::9 dev v0 table 77 metric 6 mtu 1400 pref medium
2001:db8:10::10 dev br-a table 1000000101 metric 1024 linkdown pref medium
7 2001:db8:10::/64 dev lo table 1000000101 metric 1024 pref medium
default via fe80::9 dev v0 table 1000000101 metric 1024 pref medium
2001:db8:11::/64 via fe80::9 dev v0 metric 1024 linkdown pref medium
7 2001:db8:12::/64 dev lo metric 1024 pref medium
"""  # noqa: W291
IPV6_STATE = {
    "6 77 2001:db8:13::/64": "blackhole",
    "6 77 2001:db8:14::/64": "nexthop via fe80::8 dev v0 weight 1 nexthop via fe80::9 dev v0 weight 1",
    "6 77 2001:db8:15::/64": "via fe80::9 dev v0 metric 6 mtu 1400",
    "6 1000000101 2001:db8:10::10": "dev br-a",
    "6 1000000101 2001:db8:10::/64": "unreachable",
    "6 1000000101 default": "via fe80::9 dev v0",
    "6 254 2001:db8:11::/64": "via fe80::9 dev v0",
    "6 254 2001:db8:12::/64": "unreachable",
}

TABLE = "1000000101"
DESIRED = {
    "4 254 10.10.10.10": "dev br-a",
    "4 254 10.10.10.0/24": "via 192.168.56.101 dev br-up",
    f"4 {TABLE} default": "via 192.168.56.101 dev br-up",
    f"4 {TABLE} 10.10.10.0/24": "unreachable",
    f"4 {TABLE} 10.10.10.10": "dev br-a",
    "6 254 2001:db8:10::10": "dev br-a",
    "6 254 2001:db8:11::/64": "via fe80::c0a8:3865 dev br-up",
    f"6 {TABLE} default": "via fe80::c0a8:3865 dev br-up",
    f"6 {TABLE} 2001:db8:10::/64": "unreachable",
    f"6 {TABLE} 2001:db8:10::10": "dev br-a",
}
FOREIGN = """
ip -4 route add 10.20.0.0/16 dev br-a proto 174
ip -4 route add 10.10.10.0/25 dev br-a
ip -4 route add unreachable 10.10.10.10 table 55 proto 9
ip -4 route add 10.10.10.10 dev br-up metric 7 proto 9
ip -6 route add 2001:db8:10::10 dev br-up metric 7 proto 9
ip -6 route add unreachable 2001:db8:99::/64 table 55
"""


@pytest.fixture
def host(netns: Netns) -> Netns:
    """A namespace with an uplink, a bridge and routes of others."""
    netns.sh(
        "for link in br-up br-a; do ip link add $link type bridge; ip link set $link addrgenmode none;"
        "ip link set $link up; done; ip addr add 192.168.56.103/24 dev br-up" + FOREIGN
    )
    return netns


def foreign(netns: Netns) -> list[str]:
    lines = netns.lines("ip -4 -N route show table all") + netns.lines("ip -6 -N route show table all")
    return [line for line in lines if "proto 173" not in line]


@pytest.mark.parametrize("ipv4, ipv6, state", [("", "", {}), (IPV4, "", IPV4_STATE), ("", IPV6, IPV6_STATE)])
def test_parse(ipv4: str, ipv6: str, state: dict[str, str]) -> None:
    assert ROUTE.parse(context(), texts(ipv4, ipv6)) == state


def test_parse_keeps_what_it_does_not_know() -> None:
    text = "10.0.0.1 dev br-a scope 253 src 10.0.0.2 frobnicate 3 \n"
    assert ROUTE.parse(context(), texts(text, "")) == {"4 254 10.0.0.1": "dev br-a src 10.0.0.2 frobnicate 3"}


def test_parse_refuses_half_a_line() -> None:
    with pytest.raises(KernelError, match=r"cannot read '10\.0\.0\.1 dev br-a table'"):
        ROUTE.parse(context(), texts("10.0.0.1 dev br-a table\n", ""))


def test_round(host: Netns, tmp_path: Path) -> None:
    others = foreign(host)
    wanted = context(DESIRED)
    assert sorted(host.converge(ROUTE, wanted).added) == sorted(DESIRED)
    assert host.read(ROUTE, wanted) == DESIRED
    assert not host.converge(ROUTE, wanted)

    # Written twice, as after a run that was killed and whose state was not read again: no harm to a change.
    changed = {**DESIRED, "4 254 10.10.10.10": "via 192.168.56.104 dev br-up"}
    delta = Delta.between(DESIRED, changed)
    host.apply(ROUTE.put(wanted, delta) * 2)
    assert host.read(ROUTE, wanted) == changed

    none = context()
    gone = host.converge(ROUTE, none)
    assert sorted(gone.removed) == sorted(DESIRED)
    assert host.read(ROUTE, none) == {}
    host.apply(ROUTE.drop(none, gone))  # gone already: no failure

    for _again in range(2):
        assert host.boot(ROUTE, wanted, tmp_path) == Output(0, "")
        assert host.read(ROUTE, wanted) == DESIRED
    host.sh(f"ip route del default table {TABLE}; ip -6 route replace unreachable 2001:db8:10::10 proto 173")
    assert host.boot(ROUTE, wanted, tmp_path) == Output(0, "")
    assert host.read(ROUTE, wanted) == DESIRED
    assert foreign(host) == others


FORMS = {
    "4 254 10.10.10.10": [
        "dev br-a",
        "dev br-up",
        "unreachable",
        "via 192.168.56.101 dev br-up",
        "via 192.168.56.102 dev br-up",
        "dev br-a metric 5",
        "dev br-up metric 5\nunreachable metric 6",
        "dev br-a\ndev br-a metric 9",
        "nexthop via 192.168.56.101 dev br-up weight 1 nexthop via 192.168.56.102 dev br-up weight 1",
    ],
    "6 254 2001:db8:10::10": [
        "dev br-a",
        "dev br-up",
        "unreachable",
        "via fe80::1 dev br-up",
        "via fe80::2 dev br-up",
        "via fe80::1 dev br-a",
        "dev br-a metric 5",
        "dev br-up metric 5\nunreachable metric 6",
        "nexthop via fe80::1 dev br-up weight 1 nexthop via fe80::2 dev br-up weight 1",
    ],
}


@pytest.mark.parametrize("key", FORMS)
def test_every_change(host: Netns, key: str) -> None:
    """From each form of a route to each other: none is left behind, none becomes a part of a multipath route."""
    others = foreign(host)
    for before in FORMS[key]:
        for after in FORMS[key]:
            host.converge(ROUTE, context({key: before}))
            assert host.read(ROUTE, context()) == {key: before}
            host.converge(ROUTE, context({key: after}))
            assert host.read(ROUTE, context()) == {key: after}, (before, after)
    host.converge(ROUTE, context())
    assert foreign(host) == others


@pytest.mark.parametrize("family, destination", [("4", "10.10.10.10"), ("6", "2001:db8:10::10")])
def test_foreign_route_to_the_same_destination_is_not_overwritten(host: Netns, family: str, destination: str) -> None:
    host.sh(f"ip -{family} route add {destination} dev br-up proto 9")
    others = foreign(host)
    state = context({f"{family} 254 {destination}": "dev br-a"})
    (command,) = ROUTE.put(state, Delta.between({}, state.desired))
    output = host.run(command)
    assert output.status not in command.ok
    assert "File exists" in output.stderr
    assert foreign(host) == others


def test_scopes_do_not_see_each_other(host: Netns) -> None:
    host.converge(ROUTE, context(DESIRED))
    assert host.read(ROUTE, context(scope=ROUTER)) == {"4 254 10.20.0.0/16": "dev br-a"}


def test_link_gone(host: Netns) -> None:
    """A bridge takes its routes along; what is left is dropped without a failure."""
    host.converge(ROUTE, context(DESIRED))
    delta = Delta.between(host.read(ROUTE, context()), {})
    host.sh("ip link del br-a")
    host.apply(ROUTE.drop(context(), delta))
    assert host.read(ROUTE, context()) == {}


def test_boot_reports_what_fails_and_applies_the_rest(host: Netns, tmp_path: Path) -> None:
    desired = {**DESIRED, f"4 {TABLE} 10.1.1.1": "dev br-nowhere"}
    output = host.boot(ROUTE, context(desired), tmp_path)
    assert output.status != 0
    assert 'Cannot find device "br-nowhere"' in output.stderr
    assert host.read(ROUTE, context()) == DESIRED


def test_large(host: Netns, tmp_path: Path) -> None:
    """Chunks of ip's standard input; reading costs less than writing."""
    desired = {f"4 {TABLE} 10.{a}.{b}.{c}": "dev br-a" for a in (1, 2) for b in range(64) for c in range(1, 201)}
    state = context(desired)
    delta = host.converge(ROUTE, state)
    assert len(delta.added) == 25_600
    assert len(ROUTE.put(state, delta)) == 3
    outputs = [host.run(command) for command in ROUTE.read(state)]
    start = time.perf_counter()
    assert ROUTE.parse(state, outputs) == desired
    assert time.perf_counter() - start < 1
    host.converge(ROUTE, context())
    assert host.boot(ROUTE, state, tmp_path) == Output(0, "")
    assert host.read(ROUTE, state) == desired


# --- properties -----------------------------------------------------------------------------------------------------

DESTINATIONS = {
    "4": st.one_of(
        st.just("default"),
        st.ip_addresses(v=4).map(str),
        st.integers(0, 255).map(lambda number: f"10.{number}.0.0/16"),
    ),
    "6": st.one_of(
        st.just("default"),
        st.ip_addresses(v=6).map(str),
        st.integers(0, 0xFFF).map(lambda number: f"2001:db8:{number:x}::/48"),
    ),
}
VALUES = st.sampled_from(
    ("dev br-net1", "unreachable", "blackhole", "via 192.0.2.1 dev eth0", "via fe80::1 dev eth0.100", "dev a mtu 1400")
)
STATES = st.dictionaries(
    st.sampled_from("46")
    .flatmap(lambda family: st.tuples(st.just(family), st.sampled_from(("254", "77", TABLE)), DESTINATIONS[family]))
    .map(" ".join),
    VALUES,
    max_size=20,
)


def printed(family: str, state: dict[str, str]) -> str:
    """The state as ip prints it."""
    lines = []
    for key, value in state.items():
        found, table, destination = key.split(" ")
        if found != family:
            continue
        shown = "" if table == "254" else f" table {table}"
        kind = {"unreachable": "7 ", "blackhole": "6 "}.get(value, "")
        if family == "6":
            lines.append(f"{kind}{destination} {'dev lo' if kind else value}{shown} metric 1024 pref medium")
        else:
            scope = " scope 253" if value.startswith("dev ") else ""
            lines.append(f"{kind}{destination}{'' if kind else ' ' + value}{shown}{scope} ")
    return "".join(f"{line}\n" for line in lines)


@given(STATES)
def test_parse_reads_what_is_printed(state: dict[str, str]) -> None:
    assert ROUTE.parse(context(), texts(printed("4", state), printed("6", state))) == state


@given(STATES, STATES)
def test_put_and_drop_cover_the_delta(before: dict[str, str], after: dict[str, str]) -> None:
    """Played on a dictionary, the written lines lead from one state to the other, and back."""
    for start, end in ((before, after), (after, before)):
        delta = Delta.between(start, end)
        state = dict(start)
        for command in ROUTE.put(context(end), delta) + ROUTE.drop(context(end), delta):
            for line in (command.stdin or "").splitlines():
                play(command.argv[1].strip("-"), line, state)
        assert state == end
        assert not Delta.between(state, end)


def play(family: str, line: str, state: dict[str, str]) -> None:
    words = line.split()
    assert words[0] == "route"
    verb, rest = words[1], words[2:]
    kind = rest.pop(0) if rest[0] in ("unreachable", "blackhole") else ""
    destination = rest.pop(0)
    table = rest.index("table")
    key = f"{family} {rest[table + 1]} {destination}"
    assert rest[table + 2 : table + 4] == ["proto", "173"]
    del rest[table : table + 4]
    if verb == "del":
        del state[key]
        return
    assert (key in state) == (verb == "replace")
    state[key] = " ".join([kind, *rest]).strip()
