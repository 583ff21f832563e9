# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables: texts of the real tool, and transactions in a real kernel."""

from __future__ import annotations

import random
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
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Listed, Nft
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import (
    Netns,
    context,
    mixed,
    texts,
)

NFT = Nft()
T = "inet plainlinux_hypervisor"
B = "bridge plainlinux_hypervisor"

# nft 1.0.6, `nft -s -nny list table inet plainlinux_hypervisor`
PRINTED = """\
table inet plainlinux_hypervisor {
\tcomment "own it"
\tcounter cnt {
\t}

\tquota q {
\t\tover 25 mbytes
\t}

\tset nat4 {
\t\ttype ipv4_addr
\t\tflags interval
\t\tcomment "a { b } , c"
\t\telements = { 10.10.10.0/24, 10.20.0.0/29,
\t\t\t     10.30.0.0/16, 10.40.0.1,
\t\t\t     10.50.0.0/24 comment "x, y : { z }" }
\t}

\tset plain {
\t\ttype ipv4_addr
\t\tsize 1000
\t\ttimeout 3600s
\t\tgc-interval 10s
\t\telements = { 1.1.1.1, 1.1.1.2 timeout 600s,
\t\t\t     1.1.1.3 }
\t}

\tset guard {
\t\ttypeof ip saddr . ether saddr . iifname
\t\telements = { 10.0.0.1 . 02:00:00:00:00:01 . "vif1.0",
\t\t\t     10.0.0.2 . 02:00:00:00:00:02 . "vif2.0" }
\t}

\tset six {
\t\ttype ipv6_addr
\t\tflags interval
\t\telements = { 2001:db8::/64,
\t\t\t     fe80::1 }
\t}

\tset ports {
\t\ttype inet_proto . inet_service
\t\tflags interval
\t\telements = { 6 . 80-90,
\t\t\t     17 . 53 }
\t}

\tset dyn {
\t\ttype ipv4_addr
\t\tsize 65535
\t\tflags dynamic,timeout
\t\ttimeout 60s
\t\telements = { 1.2.3.4 }
\t}

\tmap marks {
\t\ttype ipv4_addr : mark
\t\telements = { 10.0.0.1 : 0x00000001, 10.0.0.2 comment "c : d" : 0x00000002 }
\t}

\tmap goes {
\t\ttype ifname . ipv4_addr : verdict
\t\telements = { "vif1.0" . 10.0.0.1 : jump allowed,
\t\t\t     "vif2.0" . 10.0.0.2 : drop }
\t}

\tmap ivl {
\t\ttype ipv4_addr : verdict
\t\tflags interval
\t\telements = { 10.0.0.0/24 : accept, 10.1.0.0-10.1.0.5 : goto allowed,
\t\t\t     * : drop }
\t}

\tmap natmap {
\t\ttype ipv4_addr : ipv4_addr . inet_service
\t\telements = { 10.0.0.1 : 1.2.3.4 . 80 }
\t}

\tchain allowed {
\t\tcomment "reg chain"
\t\tip saddr 10.0.0.0/8 tcp dport { 22, 80, 443, 1000-2000 } ct state 0x2,0x4 accept comment "x y { } \\, z"
\t\tcounter name "cnt" drop
\t}

\tchain empty {
\t}

\tchain postrouting {
\t\ttype nat hook postrouting priority 100; policy accept;
\t\tip saddr @nat4 ip daddr != { 10.0.0.0/8, 192.168.0.0/16 } counter masquerade
\t\tmeta l4proto 1 limit rate 5/second log prefix "a: b"
\t\toifname "eth0" meta l4proto 6 snat ip to ip saddr map @natmap
\t}

\tchain forward {
\t\ttype filter hook forward priority -5; policy drop;
\t\tct state vmap { 0x1 : drop, 0x2 : accept, 0x4 : accept }
\t\tiifname . ip saddr vmap @goes
\t\tip saddr vmap @ivl
\t\tip saddr . ether saddr . iifname @guard accept
\t\tip6 nexthdr 58 icmpv6 type { 128, 135 } accept
\t\tmeta mark set ip saddr map @marks
\t\ttcp flags 0x2 tcp option maxseg size set rt mtu
\t\tfib saddr . iif oif 0 drop
\t\treject with icmpx 3
\t\tadd @dyn { ip saddr } accept
\t}
}
"""

STATE = {
    T: 'table; comment "own it"',
    f"{T} counter cnt": "",
    f"{T} quota q": "over 25 mbytes",
    f"{T} set nat4": 'type ipv4_addr; flags interval; comment "a { b } , c"',
    f"{T} set nat4 10.10.10.0/24": "element",
    f"{T} set nat4 10.20.0.0/29": "element",
    f"{T} set nat4 10.30.0.0/16": "element",
    f"{T} set nat4 10.40.0.1": "element",
    f"{T} set nat4 10.50.0.0/24": 'element comment "x, y : { z }"',
    f"{T} set plain": "type ipv4_addr; size 1000; timeout 3600s; gc-interval 10s",
    f"{T} set plain 1.1.1.1": "element",
    f"{T} set plain 1.1.1.2": "element timeout 600s",
    f"{T} set plain 1.1.1.3": "element",
    f"{T} set guard": "typeof ip saddr . ether saddr . iifname",
    f'{T} set guard 10.0.0.1 . 02:00:00:00:00:01 . "vif1.0"': "element",
    f'{T} set guard 10.0.0.2 . 02:00:00:00:00:02 . "vif2.0"': "element",
    f"{T} set six": "type ipv6_addr; flags interval",
    f"{T} set six 2001:db8::/64": "element",
    f"{T} set six fe80::1": "element",
    f"{T} set ports": "type inet_proto . inet_service; flags interval",
    f"{T} set ports 6 . 80-90": "element",
    f"{T} set ports 17 . 53": "element",
    f"{T} set dyn": "type ipv4_addr; size 65535; flags dynamic,timeout; timeout 60s",
    f"{T} map marks": "type ipv4_addr : mark",
    f"{T} map marks 10.0.0.1": "0x00000001",
    f"{T} map marks 10.0.0.2": 'comment "c : d" : 0x00000002',
    f"{T} map goes": "type ifname . ipv4_addr : verdict",
    f'{T} map goes "vif1.0" . 10.0.0.1': "jump allowed",
    f'{T} map goes "vif2.0" . 10.0.0.2': "drop",
    f"{T} map ivl": "type ipv4_addr : verdict; flags interval",
    f"{T} map ivl 10.0.0.0/24": "accept",
    f"{T} map ivl 10.1.0.0-10.1.0.5": "goto allowed",
    f"{T} map ivl *": "drop",
    f"{T} map natmap": "type ipv4_addr : ipv4_addr . inet_service",
    f"{T} map natmap 10.0.0.1": "1.2.3.4 . 80",
    f"{T} chain allowed": (
        'comment "reg chain"\n'
        "ip saddr 10.0.0.0/8 tcp dport { 22, 80, 443, 1000-2000 } ct state 0x2,0x4 accept "
        'comment "x y { } \\, z"\n'
        'counter name "cnt" drop'
    ),
    f"{T} chain empty": "",
    f"{T} chain postrouting": (
        "type nat hook postrouting priority 100; policy accept;\n"
        "ip saddr @nat4 ip daddr != { 10.0.0.0/8, 192.168.0.0/16 } counter masquerade\n"
        'meta l4proto 1 limit rate 5/second log prefix "a: b"\n'
        'oifname "eth0" meta l4proto 6 snat ip to ip saddr map @natmap'
    ),
    f"{T} chain forward": (
        "type filter hook forward priority -5; policy drop;\n"
        "ct state vmap { 0x1 : drop, 0x2 : accept, 0x4 : accept }\n"
        "iifname . ip saddr vmap @goes\n"
        "ip saddr vmap @ivl\n"
        "ip saddr . ether saddr . iifname @guard accept\n"
        "ip6 nexthdr 58 icmpv6 type { 128, 135 } accept\n"
        "meta mark set ip saddr map @marks\n"
        "tcp flags 0x2 tcp option maxseg size set rt mtu\n"
        "fib saddr . iif oif 0 drop\n"
        "reject with icmpx 3\n"
        "add @dyn { ip saddr } accept"
    ),
}

# A small router: one NAT rule, its set, a verdict map.
SMALL = {
    T: "table",
    f"{T} set nat4": "type ipv4_addr; flags interval",
    f"{T} set nat4 10.10.10.0/24": "element",
    f"{T} set nat4 10.10.20.0/24": "element",
    f"{T} set own": "type ipv4_addr",
    f"{T} set own 10.9.9.1": "element",
    f"{T} map goes": "type ipv4_addr : verdict",
    f"{T} map goes 10.10.10.1": "jump allowed",
    f"{T} chain allowed": "ip saddr @own accept",
    f"{T} chain postrouting": (
        "type nat hook postrouting priority 100; policy accept;\nip saddr @nat4 counter masquerade"
    ),
    f"{T} chain forward": "type filter hook forward priority 0; policy accept;\nip saddr vmap @goes",
    B: "table",
    f"{B} chain guard": "type filter hook forward priority -200; policy accept;\nether type 0x0806 accept",
}

FOREIGN = """\
nft -f - <<'END'
table inet other {
\tset nat4 { type ipv4_addr; elements = { 9.9.9.9 }; }
\tchain c {
\t\ttype nat hook postrouting priority 101; policy accept;
\t\tip saddr @nat4 masquerade comment "not ours"
\t}
}
table ip plainlinux_hypervisor2 {
\tchain c {
\t\tcounter
\t}
}
table ip nat {
\tchain POSTROUTING {
\t\ttype nat hook postrouting priority 100; policy accept;
\t\tcounter accept
\t}
}
END
"""


def put_text(before: State, after: State) -> str:
    commands = NFT.put(context(after), Delta.between(before, after))
    assert len(commands) <= 1
    return (commands[0].stdin or "") if commands else ""


def without(state: State, *keys: str) -> State:
    return {key: value for key, value in state.items() if key not in keys}


def foreign(netns: Netns) -> str:
    """Everything in the namespace but the scope's own tables, without counters."""
    text = ""
    for line in netns.lines("nft list tables"):
        if not line.endswith(" plainlinux_hypervisor"):
            text += netns.sh(f"nft -s list {line}")
    return text


def test_parse_reads_everything_that_nft_prints() -> None:
    assert NFT.parse(context(), texts(PRINTED)) == STATE


@pytest.mark.parametrize(
    "output",
    [
        Output(1, "", "Error: No such file or directory\nlist table inet plainlinux_hypervisor\n"),
        Output(127, "", "nft: not found"),
        Output(0, ""),
    ],
)
def test_parse_finds_nothing_where_there_is_nothing(output: Output) -> None:
    assert NFT.parse(context(), [output]) == {}


@pytest.mark.parametrize(
    "output",
    [
        Output(1, "", "Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed"),
        Output(0, "table inet plainlinux_hypervisor {\n\tset nat4 {\n\t\ttype ipv4_addr\n"),
        Output(0, "unknown words\n"),
        Output(0, "table inet plainlinux_hypervisor {\nunknown words\n}\n"),
    ],
)
def test_parse_refuses_what_it_cannot_read(output: Output) -> None:
    with pytest.raises(KernelError):
        NFT.parse(context(), [output])


def test_read_asks_for_the_families_in_use_only() -> None:
    def families(desired: State, recorded: State) -> list[str]:
        return [command.argv[-2] for command in NFT.read(context(desired, recorded))]

    assert families({}, {}) == ["bridge", "inet"]
    assert families({"ip plainlinux_hypervisor": "table"}, {"ip6 plainlinux_hypervisor": "table"}) == [
        "bridge",
        "inet",
        "ip",
        "ip6",
    ]


def test_everything_survives_a_round_through_the_kernel(netns: Netns) -> None:
    netns.converge(NFT, context(STATE))
    assert netns.read(NFT, context(STATE)) == STATE
    assert not netns.converge(NFT, context(STATE))


def test_nothing_to_do_runs_nothing() -> None:
    assert NFT.put(context(SMALL), Delta.between(SMALL, SMALL)) == []
    assert NFT.drop(context(SMALL), Delta.between(SMALL, SMALL)) == []


def test_a_whole_put_may_run_again(netns: Netns) -> None:
    commands = NFT.put(context(SMALL), Delta.between({}, SMALL))
    netns.apply(commands)
    netns.apply(commands)
    assert netns.read(NFT, context(SMALL)) == SMALL


def test_a_member_change_touches_only_that_member() -> None:
    after = {**without(SMALL, f"{T} set nat4 10.10.20.0/24"), f"{T} set nat4 10.10.30.0/24": "element"}
    assert put_text(SMALL, after) == (
        f"delete element {T} nat4 {{\n10.10.20.0/24,\n}}\nadd element {T} nat4 {{\n10.10.30.0/24,\n}}\n"
    )


def test_a_changed_map_element_is_replaced() -> None:
    after = {**SMALL, f"{T} map goes 10.10.10.1": "drop"}
    assert put_text(SMALL, after) == (
        f"delete element {T} goes {{\n10.10.10.1,\n}}\nadd element {T} goes {{\n10.10.10.1 : drop,\n}}\n"
    )


def test_a_changed_chain_is_rewritten_and_nothing_else() -> None:
    after = {**SMALL, f"{T} chain allowed": 'drop comment "x y"'}
    assert put_text(SMALL, after) == (
        f'flush chain {T} allowed\ntable {T} {{\nchain allowed {{\ndrop comment "x y"\n}}\n}}\n'
    )


def test_parse_reads_the_same_with_handles() -> None:
    """nft -a numbers tables, chains, sets and rules, but no elements and no header lines."""
    lines = [
        f"{line} # handle {number}" if line.endswith("{") or (line.startswith("\t\t") and inside) else line
        for number, (line, inside) in enumerate(zip(PRINTED.splitlines(), _in_rules(PRINTED)))
    ]
    state = NFT.parse(context(), texts("\n".join(lines)))
    assert state == STATE
    chain = state[f"{T} chain allowed"]
    assert isinstance(chain, Listed)
    assert len(chain.handles) == 2


def _in_rules(text: str) -> list[bool]:
    """Of each line, whether it is a rule."""
    found, chain = [], False
    for line in text.splitlines():
        chain = line.startswith("\tchain ") or (chain and line != "\t}")
        found.append(chain and not line.strip().startswith(("type ", "comment ")))
    return found


def rule(number: int) -> str:
    return f"ip saddr 10.0.{number // 250}.{number % 250 + 1} accept"


def long_chain(*rules: str) -> State:
    header = "type filter hook forward priority 0; policy accept;"
    return {T: "table", f"{T} set own": "type ipv4_addr", f"{T} chain long": "\n".join([header, *rules])}


RULES = [rule(number) for number in range(4000)]
# What changes in 4,000 rules, and how many lines that takes.
CHANGES = {
    "one swapped": ([*RULES[:2000], "ip saddr @own drop", *RULES[2001:]], 2),
    "one in": ([*RULES[:2000], "ip saddr @own drop", *RULES[2000:]], 1),
    "one first": (["ip saddr @own drop", *RULES], 1),
    "one last": ([*RULES, "ip saddr @own drop"], 1),
    "the last out": (RULES[:-1], 1),
    "three out": ([*RULES[:10], *RULES[11:200], *RULES[201:3000], *RULES[3001:]], 3),
    "all out": ([], 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_rule_changes_alone(netns: Netns, name: str) -> None:
    rules, lines = CHANGES[name]
    for desired, count in ((long_chain(*RULES), None), (long_chain(*rules), lines)):
        before = netns.read(NFT, context(desired))
        commands = NFT.put(context(desired), Delta.between(before, desired))
        netns.apply(commands)
        assert netns.read(NFT, context(desired)) == desired
        if count is not None:
            written = "".join(command.stdin or "" for command in commands)
            assert written.count("\n") == count or (not rules and "flush chain" in written)
            # It cannot be done twice: the kernel finds the rules no more, and changes nothing.
            if "delete rule" in written:
                assert netns.run(commands[0]).status == 1
                assert netns.read(NFT, context(desired)) == desired


def test_rules_that_stay_keep_their_counters(netns: Netns) -> None:
    def desired(last: str) -> State:
        return {T: "table", f"{T} chain out": "\n".join([OUTPUT, "counter accept", f"ip daddr 10.0.0.{last} drop"])}

    netns.converge(NFT, context(desired("1")))
    netns.sh("ping -c 3 -i 0.01 127.0.0.1")
    counted = netns.sh(f"nft list chain {T} out | grep counter")
    assert "packets 0 " not in counted
    netns.converge(NFT, context(desired("2")))
    assert netns.sh(f"nft list chain {T} out | grep counter") == counted


OUTPUT = "type filter hook output priority 0; policy accept;"


def test_any_change_of_rules(netns: Netns) -> None:
    """With rules that are there more than once, and sets, maps and chains that come and go with those that use them."""
    chance = random.Random(2)
    kinds = ["accept", "drop", "return", "ip daddr @own accept"]

    def make() -> str:
        return f"ip saddr 10.0.0.{chance.randint(1, 5)} {chance.choice(kinds)}"

    rules: list[str] = []
    for priority in chance.choices("0001", k=40):
        rules = mixed(rules, chance, make)
        desired = {T: "table"}
        lines = list(rules)
        if any("@own" in line for line in lines):
            desired[f"{T} set own"] = "type ipv4_addr"
            desired[f"{T} set own 10.1.1.{chance.randint(1, 9)}"] = "element"
        if chance.random() < 0.5:
            lines.insert(chance.randint(0, len(lines)), "ip saddr vmap @goes")
            desired[f"{T} map goes"] = "type ipv4_addr : verdict"
            desired[f"{T} map goes 10.0.0.1"] = "goto other"
            desired[f"{T} chain other"] = "accept"
        desired[f"{T} chain long"] = "\n".join([OUTPUT.replace("0;", f"{priority};"), *lines])
        netns.converge(NFT, context(desired))
        assert netns.read(NFT, context(desired)) == desired


FORWARD = "type filter hook forward priority {}; policy {};\nip saddr vmap @goes"

STEPS: dict[str, State] = {
    "member in": {**SMALL, f"{T} set nat4 10.10.30.0/24": "element"},
    "member out": without(SMALL, f"{T} set nat4 10.10.20.0/24"),
    "member split into halves": {
        **without(SMALL, f"{T} set nat4 10.10.20.0/24"),
        f"{T} set nat4 10.10.20.0/25": "element",
        f"{T} set nat4 10.10.20.128/25": "element",
    },
    "members joined to a wider one": {
        **without(SMALL, f"{T} set nat4 10.10.20.0/24", f"{T} set nat4 10.10.10.0/24"),
        f"{T} set nat4 10.10.0.0/16": "element",
    },
    "set emptied": without(SMALL, f"{T} set nat4 10.10.20.0/24", f"{T} set nat4 10.10.10.0/24"),
    "rule and its set go together": {
        **without(SMALL, *(key for key in SMALL if "nat4" in key)),
        f"{T} chain postrouting": "type nat hook postrouting priority 100; policy accept;",
    },
    "map, its chain and its rule go together": {
        **without(SMALL, *(key for key in SMALL if "goes" in key), f"{T} chain allowed"),
        f"{T} chain forward": "type filter hook forward priority 0; policy accept;",
    },
    "map jumps to a new chain": {**SMALL, f"{T} map goes 10.10.10.1": "jump fresh", f"{T} chain fresh": "drop"},
    "map jumps to a new chain instead of the old": {
        **without(SMALL, f"{T} chain allowed"),
        f"{T} map goes 10.10.10.1": "jump fresh",
        f"{T} chain fresh": "drop",
    },
    "policy": {**SMALL, f"{T} chain forward": FORWARD.format(0, "drop")},
    "priority": {**SMALL, f"{T} chain forward": FORWARD.format(-7, "accept")},
    "set header": {**SMALL, f"{T} set own": "type ipv4_addr; flags interval"},
    "set type and members": {
        **without(SMALL, f"{T} set own 10.9.9.1"),
        f"{T} set own": "type ipv6_addr",
        f"{T} set own fe80::1": "element",
        f"{T} chain allowed": "ip6 saddr @own accept",
    },
    "new set with a new user": {
        **SMALL,
        f"{T} set more": "type ipv4_addr",
        f"{T} set more 1.1.1.1": "element",
        f"{T} chain allowed": "ip saddr @more accept",
    },
    "regular chain becomes a base chain": {
        **without(SMALL, f"{T} map goes 10.10.10.1"),
        f"{T} chain allowed": "type filter hook input priority 0; policy accept;\nip saddr @own accept",
    },
    "table comment": {**SMALL, T: 'table; comment "vpc"'},
    "one table only": without(SMALL, *(key for key in SMALL if key.startswith(B))),
    "all": STATE,
    "none": {},
}


@pytest.mark.parametrize("name", STEPS)
def test_each_step_there_and_back_leaves_the_foreign_alone(netns: Netns, name: str) -> None:
    netns.sh(FOREIGN)
    others = foreign(netns)
    for desired in (SMALL, STEPS[name], SMALL):
        wanted = context(desired, SMALL)
        netns.converge(NFT, wanted)
        assert netns.read(NFT, wanted) == desired
    netns.converge(NFT, context({}, SMALL))
    assert "plainlinux_hypervisor " not in netns.sh("nft list tables; echo")
    assert foreign(netns) == others


@pytest.mark.parametrize("name", [name for name in STEPS if name not in ("one table only", "none")])
def test_each_step_is_one_transaction(name: str) -> None:
    delta = Delta.between(SMALL, STEPS[name])
    assert len(NFT.put(context(STEPS[name]), delta)) == 1


def test_a_failing_step_changes_nothing_and_names_its_line(netns: Netns) -> None:
    netns.converge(NFT, context(SMALL))
    after = {**SMALL, f"{T} set nat4 10.10.30.0/24": "element", f"{T} chain allowed": "ip saddr @nowhere accept"}
    (command,) = NFT.put(context(after), Delta.between(SMALL, after))
    output = netns.run(command)
    assert output.status == 1
    assert failing_line(command, output) == "ip saddr @nowhere accept"
    assert netns.read(NFT, context(SMALL)) == SMALL


def test_an_error_names_the_very_element(netns: Netns) -> None:
    netns.converge(NFT, context(SMALL))
    gone = {**SMALL, f"{T} set own 10.9.9.2": "element", f"{T} set own 10.9.9.3": "element"}
    (command,) = NFT.put(context(SMALL), Delta.between(gone, SMALL))
    assert failing_line(command, netns.run(command)) == "10.9.9.2,"


def test_drop_may_run_again(netns: Netns) -> None:
    netns.converge(NFT, context(SMALL))
    commands = NFT.drop(context({}), Delta.between(SMALL, {}))
    netns.apply(commands)
    netns.apply(commands)
    assert netns.read(NFT, context(SMALL)) == {}


@pytest.mark.parametrize("desired", [SMALL, STATE], ids=["small", "all"])
def test_boot_files_restore_everything_any_number_of_times(netns: Netns, tmp_path: Path, desired: State) -> None:
    netns.sh(FOREIGN)
    others = foreign(netns)
    for _run in range(2):
        output = netns.boot(NFT, context(desired), tmp_path)
        assert output.status == 0, output
        assert netns.read(NFT, context(desired)) == desired
    netns.sh(f"nft flush table {T}")
    assert netns.boot(NFT, context(desired), tmp_path).status == 0
    assert netns.read(NFT, context(desired)) == desired
    assert foreign(netns) == others


def test_boot_without_files_does_nothing_and_a_bad_file_fails(netns: Netns, tmp_path: Path) -> None:
    assert NFT.boot(context({})) == {}
    assert netns.boot(NFT, context({}), tmp_path).status == 0
    bad = {T: "table", f"{T} chain c": "no such words"}
    assert netns.boot(NFT, context(bad), tmp_path).status != 0


def big(count: int, kind: str = "type ipv4_addr; flags interval") -> State:
    state = {T: "table", f"{T} set nat4": kind}
    size = "/30" if "interval" in kind else ""
    for number in range(0, count * 4, 4):
        state[f"{T} set nat4 10.{number >> 16}.{number >> 8 & 255}.{number & 255}{size}"] = "element"
    return state


def test_many_removals_from_an_interval_set_are_quick(netns: Netns) -> None:
    whole = big(5000)
    part = {key: value for number, (key, value) in enumerate(whole.items()) if number < 2 or number % 2}
    netns.converge(NFT, context(whole))
    assert put_text(whole, part).startswith(f"flush set {T} nat4\n")
    started = time.monotonic()
    netns.converge(NFT, context(part))
    assert time.monotonic() - started < 5
    assert netns.read(NFT, context(part)) == part


def test_a_ping_flood_sees_no_gap_while_sets_and_chains_change(netns: Netns) -> None:
    """The set decides who passes; each step keeps 127.0.0.1 in it."""
    accept = "type filter hook output priority 0; policy accept;\nip daddr @ok accept\ndrop"
    base = {
        T: "table",
        f"{T} set ok": "type ipv4_addr; flags interval",
        f"{T} set ok 127.0.0.1": "element",
        f"{T} chain out": accept,
    }
    crowd = {f"{T} set ok 10.{number >> 8}.{number & 255}.0/30": "element" for number in range(3000)}
    half = dict(list(crowd.items())[::2])
    steps: list[State] = [
        {**base, **crowd},
        {**base, **half},
        base,
        {**base, f"{T} chain out": f'{accept}\ncounter comment "tail"'},
        {**base, f"{T} chain out": accept.replace("priority 0", "priority 5")},
    ]
    netns.converge(NFT, context(base))
    flood = subprocess.Popen(
        ["ip", "netns", "exec", netns.name, "ping", "-q", "-i", "0.002", "-w", "6", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ended = time.monotonic() + 5
    rounds = 0
    while time.monotonic() < ended:
        netns.converge(NFT, context(steps[rounds % len(steps)]))
        rounds += 1
    printed = flood.communicate()[0]
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", printed)
    assert counts, printed
    assert rounds >= len(steps)
    # The last request may still be under way when ping ends.
    assert int(counts[1]) - int(counts[2]) <= 1, printed
    assert "errors" not in printed
