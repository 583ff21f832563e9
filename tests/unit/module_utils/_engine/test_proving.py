# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that prove expectations, between real network namespaces."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import probing, trials
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.netns import inside
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.trials import Outcome, Trial
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.reach.proof import CLOSED, Attempt

LAB = f"vpcv{os.getpid()}"
A, B, INTERNET = f"{LAB}-vm-a", f"{LAB}-vm-b", f"{LAB}-internet"
# b has a way to the internet; what comes to its ports 81 is dropped, to 82 refused.
BUILD = f"""
for ns in {A} {B} {INTERNET}; do
    ip netns add $ns
    ip -n $ns link set lo up
    ip netns exec $ns sysctl -q -w net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
done
ip link add eth0 netns {A} type veth peer name eth0 netns {B}
ip link add eth0 netns {INTERNET} type veth peer name eth1 netns {B}
ip -n {A} addr add 10.0.0.1/24 dev eth0; ip -n {B} addr add 10.0.0.2/24 dev eth0
ip -n {A} addr add 2001:db8::1/64 dev eth0; ip -n {B} addr add 2001:db8::2/64 dev eth0
ip -n {INTERNET} addr add 10.1.0.1/24 dev eth0; ip -n {B} addr add 10.1.0.2/24 dev eth1
for pair in "{A} eth0" "{B} eth0" "{B} eth1" "{INTERNET} eth0"; do ip -n ${{pair% *}} link set ${{pair#* }} up; done
ip -n {B} route add default via 10.1.0.1
ip netns exec {B} nft -f - <<'END'
table inet t {{
    chain c {{
        type filter hook input priority 0; policy accept;
        th dport 81 drop
        tcp dport 82 reject with tcp reset
        udp dport 82 reject
    }}
}}
END
"""


def sh(script: str) -> str:
    return subprocess.run(["sh", "-euc", script], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module", autouse=True)
def lab() -> Iterator[None]:
    try:
        sh(BUILD)
        yield
    finally:
        sh(f"for ns in {A} {B} {INTERNET}; do ip netns del $ns || true; done")


def trial(kind: str, port: int, answer: bool = True, family: int = 4, listen: bool = True) -> Trial:
    address = "10.0.0.2" if family == 4 else "2001:db8::2"
    return Trial(A, "", kind, address, port, answer, (B, address, port) if listen else None)


def test_answers_refusals_and_silence_in_both_families() -> None:
    cases = {}
    for family, own in ((4, "10.0.0.1"), (6, "2001:db8::1")):
        for kind in ("tcp", "udp"):
            cases[trial(kind, 80, True, family)] = Outcome("answered", own)
            cases[trial(kind, 81, False, family)] = Outcome("silent")
            cases[trial(kind, 82, False, family)] = Outcome("refused", "Connection refused")
        cases[trial("ping", 0, True, family, False)] = Outcome("answered")
    # Nobody listens; and nobody is there.
    cases[trial("tcp", 83, False, 4, False)] = Outcome("refused", "Connection refused")
    cases[Trial(A, "", "ping", "10.0.0.9", 0, False)] = Outcome("unreachable", "No route to host")
    cases[Trial(A, "", "tcp", "10.9.9.9", 80, False)] = Outcome("no route", "Network is unreachable")
    found = dict(zip(cases, trials.run(list(cases))))
    wrong = {key: value for key, value in found.items() if value != cases[key]}
    # A neighbour that does not answer is found out later than silence is believed.
    assert all(value.word == "silent" and key.address == "10.0.0.9" for key, value in wrong.items()), wrong


def test_many_at_once_share_a_listener() -> None:
    found = trials.run([trial("tcp", 80), trial("udp", 80), trial("ping", 0, listen=False)] * 250)
    assert {item.word for item in found} == {"answered"}


def test_a_port_of_others_is_named_or_used() -> None:
    with inside(B), socket.create_server(("10.0.0.2", 90)):
        one, other = trials.run([trial("tcp", 90), trial("tcp", 90)._replace(others=True)])
        (datagram,) = trials.run([trial("udp", 90)])
    assert one == Outcome("", f"tcp/90 is in use by another program in {B}")
    assert other == Outcome("answered")
    assert datagram == Outcome("answered", "10.0.0.1")


def attempt(kind: str, port: int, verdict: str, seen: str = "", **changes: object) -> Attempt:
    listen = ("vm-b", "10.0.0.2", port) if kind != "ping" else None
    made = Attempt(
        f"vpc_expectations[{port}]", f"a to b {kind}/{port}", "vm-a", "10.0.0.1", kind, "10.0.0.2", port, verdict, seen,
        listen, False, True, (), (), "", "",
    )  # fmt: skip
    return made._replace(**changes)  # type: ignore[arg-type]


CASES = [
    (attempt("tcp", 80, "accept", "10.0.0.1"), "answered", ""),
    (attempt("tcp", 80, "accept", "10.0.0.7"), "answered", "came from 10.0.0.1 instead of 10.0.0.7"),
    (attempt("tcp", 80, "drop"), "answered", "answered, where drop is due"),
    (attempt("tcp", 80, "reject"), "answered", "answered, where reject is due"),
    (attempt("tcp", 81, "drop"), "silent", ""),
    (attempt("udp", 81, "reject"), "silent", "silent, where reject is due"),
    (attempt("udp", 81, CLOSED), "silent", ""),
    (attempt("tcp", 82, "reject"), "refused", ""),
    (attempt("tcp", 82, "drop"), "refused", "refused, where drop is due"),
    (attempt("tcp", 82, CLOSED), "refused", ""),
    (attempt("udp", 82, "accept"), "refused", "refused, where accept is due"),
    (attempt("ping", 0, "accept"), "answered", ""),
    (attempt("ping", 0, "drop", address="10.9.9.9"), "no route", "vm-a has no route to 10.9.9.9"),
    (attempt("ping", 0, "drop", address="10.9.9.9", led=False), "no route", ""),
    (attempt("tcp", 80, "accept", source="vm-x"), "", f"{LAB}-vm-x: No such file or directory"),
    (attempt("tcp", 80, "accept", source_address="10.0.0.7"), "", f"{A}: 10.0.0.7: Cannot assign requested address"),
    (attempt("tcp", 80, "drop", source="", why="nobody there"), "", "nobody there"),
]


def test_what_is_proved_and_what_is_not() -> None:
    rows = probing.prove([case[0] for case in CASES], LAB)
    assert [(row["outcome"], row["fault"]) for row in rows] == [case[1:] for case in CASES]
    assert [row["sent"] for row in rows] == [True] * (len(CASES) - 1) + [False]
    assert [row["path"] for row in rows] == [case[0].path for case in CASES]


def test_the_internet_is_lent_an_address_for_the_moment() -> None:
    asked = attempt(
        "tcp", 80, "accept", "203.0.113.9", source="internet", source_address="203.0.113.9", address="10.1.0.2"
    )
    asked = asked._replace(listen=("vm-b", "10.1.0.2", 80), lent=("203.0.113.9", "10.1.0.1"))
    before = sh(f"ip -n {INTERNET} -o address show")
    assert probing.prove([asked], LAB)[0]["fault"] == ""
    assert sh(f"ip -n {INTERNET} -o address show") == before
    assert "10.1.0.1/24" in before
    # Without it nothing could have been sent.
    assert probing.prove([asked._replace(lent=())], LAB)[0]["fault"].endswith("Cannot assign requested address")


@pytest.mark.parametrize("family", [4, 6])
def test_the_internet_is_lent_a_route_for_the_moment(family: int) -> None:
    """By a router whose address may be link-local."""
    sh(f"ip -n {B} addr replace fe80::b/64 dev eth1; ip netns exec {B} sysctl -q -w net.ipv6.conf.all.forwarding=1")
    sh(f"ip netns exec {B} sysctl -q -w net.ipv4.ip_forward=1; ip -n {INTERNET} addr replace 2001:db8:e::1/128 dev lo")
    sh(f"ip -n {B} route replace 2001:db8:e::1 via fe80::a dev eth1; ip -n {INTERNET} addr replace fe80::a/64 dev eth0")
    sh(f"ip -n {A} route replace default via 10.0.0.2; ip -n {A} route replace default via 2001:db8::2")
    own, router, outside = {
        4: ("10.0.0.1", "10.1.0.2", "10.1.0.1"),
        6: ("2001:db8::1", "fe80::b", "2001:db8:e::1"),
    }[family]
    asked = attempt("tcp", 80, "accept", outside, source="internet", source_address=outside, address=own)
    asked = asked._replace(listen=("vm-a", own, 80), routed=(own,), router=router)
    before = sh(f"ip -n {INTERNET} -{family} route show table all")
    assert probing.prove([asked], LAB)[0]["fault"] == ""
    back = attempt("tcp", 80, "accept", own, source_address=own, address=outside)
    back = back._replace(listen=("internet", outside, 80), routed=(own,), router=router)
    assert probing.prove([back], LAB)[0]["fault"] == ""
    assert sh(f"ip -n {INTERNET} -{family} route show table all") == before
    assert probing.prove([asked._replace(routed=())], LAB)[0]["outcome"] == "no route"
    assert probing.prove([back._replace(routed=())], LAB)[0]["outcome"] == "silent"
