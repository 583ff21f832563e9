# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and packets: by table, and against a slow second reading of the same rules."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import Peer, Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter import match
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter.match import Known, Packet, Policy, Verdict
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.filter.rules import many, to_json
from hypothesis import given, settings
from hypothesis import strategies as st

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
KNOWN = Known({"office": ["203.0.113.0/24", "2001:db8:f::/48"]}, {"app": ["10.0.0.12", "2001:db8::12"], "none": []})


def number(text: str) -> int:
    return int(ipaddress.ip_address(text))


def packet(source: str, target: str = "10.0.0.1", protocol: int = TCP, dport: int = 0, kind: int = 0) -> Packet:
    family = 6 if ":" in source else 4
    return Packet(family, number(source), number(target), protocol, 40000, dport, kind, 0)


def rule(action: str = "accept", **keys: Any) -> dict[str, Any]:
    return {"action": action, "path": "here", **keys}


def test_a_rule_as_json_says_what_narrows_it_and_nothing_else() -> None:
    assert to_json(Rule("a[0]")) == {"action": "accept", "path": "a[0]"}
    peers = (Peer(prefix=parse_prefix(4, "10.0.0.0/8")), Peer(list="office"), Peer(group="app"))
    assert to_json(Rule("a[1]", "drop", TCP, ((80, 80),), None, peers)) == {
        "action": "drop",
        "protocol": 6,
        "ports": [[80, 80]],
        "peers": [{"prefix": "10.0.0.0/8"}, {"list": "office"}, {"group": "app"}],
        "path": "a[1]",
    }
    assert to_json(Rule("a", protocol=ICMP, icmp=(8, None)))["icmp"] == [8, None]
    assert many(None) is None
    assert many(()) == []


CASES = [
    ({}, packet("10.9.9.9"), True),
    ({}, packet("2001:db8::1", "2001:db8::2", 47), True),
    ({"protocol": TCP, "ports": [[80, 80]]}, packet("10.9.9.9", dport=80), True),
    ({"protocol": TCP, "ports": [[80, 80]]}, packet("10.9.9.9", dport=81), False),
    ({"protocol": TCP, "ports": [[80, 80]]}, packet("10.9.9.9", dport=79), False),
    ({"protocol": TCP, "ports": [[80, 80]]}, packet("10.9.9.9", protocol=UDP, dport=80), False),
    ({"protocol": TCP, "ports": [[80, 80], [443, 450]]}, packet("10.9.9.9", dport=450), True),
    ({"protocol": TCP, "ports": [[80, 80], [443, 450]]}, packet("10.9.9.9", dport=451), False),
    ({"protocol": 47}, packet("10.9.9.9", protocol=47), True),
    ({"protocol": ICMP}, packet("10.9.9.9", protocol=ICMP, kind=8), True),
    ({"protocol": ICMP}, packet("2001:db8::1", "2001:db8::2", ICMP, kind=8), False),
    ({"protocol": ICMPV6}, packet("10.9.9.9", protocol=ICMPV6, kind=128), False),
    ({"protocol": ICMP, "icmp": [8, None]}, packet("10.9.9.9", protocol=ICMP, kind=8), True),
    ({"protocol": ICMP, "icmp": [8, 1]}, packet("10.9.9.9", protocol=ICMP, kind=8), False),
    ({"protocol": ICMP, "icmp": [8, 0]}, packet("10.9.9.9", protocol=ICMP, kind=0), False),
    ({"peers": [{"prefix": "0.0.0.0/0"}]}, packet("10.9.9.9"), True),
    ({"peers": [{"prefix": "0.0.0.0/0"}]}, packet("2001:db8::1", "2001:db8::2"), False),
    ({"peers": [{"prefix": "10.9.9.9/32"}]}, packet("10.9.9.9"), True),
    ({"peers": [{"prefix": "10.9.9.9/32"}]}, packet("10.9.9.10"), False),
    ({"peers": [{"list": "office"}]}, packet("203.0.113.255"), True),
    ({"peers": [{"list": "office"}]}, packet("203.0.114.0"), False),
    ({"peers": [{"list": "office"}]}, packet("2001:db8:f::9", "2001:db8::2"), True),
    ({"peers": [{"group": "app"}]}, packet("10.0.0.12"), True),
    ({"peers": [{"group": "app"}]}, packet("10.0.0.13"), False),
    ({"peers": [{"group": "none"}]}, packet("10.0.0.12"), False),
    ({"peers": [{"group": "none"}, {"list": "office"}]}, packet("203.0.113.9"), True),
]


@pytest.mark.parametrize("keys, sent, matches", CASES)
def test_one_rule(keys: dict[str, Any], sent: Packet, matches: bool) -> None:
    assert match.first([rule(**keys)], sent, True, KNOWN) == (0 if matches else None)
    # The other way round, the target is the peer.
    assert match.first([rule(**keys)], sent._replace(source=sent.target, target=sent.source), False, KNOWN) == (
        0 if matches else None
    )


def test_the_first_rule_that_matches_decides() -> None:
    rules = [rule("drop", peers=[{"group": "app"}]), rule(protocol=TCP), rule("reject")]
    assert [match.first(rules, packet(*sent), True, KNOWN) for sent in (("10.0.0.12",), ("10.0.0.13",))] == [0, 1]
    assert match.first(rules, packet("10.0.0.13", protocol=UDP), True, KNOWN) == 2


POLICY: dict[str, Any] = {
    "guests": {"10.0.0.1": ["web", "ssh"], "10.0.0.2": ["shut"], "10.5.0.0/16": ["web"], "10.5.5.0/24": ["shut"]},
    "groups": {
        "web": {
            "ingress": [{"action": "accept", "protocol": 6, "ports": [[80, 80]], "path": "web.80"}],
            "egress": None,
        },
        "ssh": {"ingress": [{"action": "reject", "protocol": 6, "path": "ssh.tcp"}], "egress": []},
        "shut": {"ingress": [], "egress": []},
    },
    "lists": {},
    "members": {},
}


@pytest.mark.parametrize(
    "sent, verdict",
    [
        (packet("10.9.9.9", dport=80), Verdict("accept", "web.80", True)),
        (packet("10.9.9.9", dport=22), Verdict("reject", "ssh.tcp", True)),
        (packet("10.9.9.9", protocol=UDP), Verdict("drop", match.NO_RULE, True)),
        # Egress of web is open at its place, before the empty one of ssh.
        (packet("10.0.0.1", "10.9.9.9"), Verdict("accept", "", False)),
        (packet("10.0.0.2", "10.9.9.9"), Verdict("drop", match.NO_RULE, False)),
        (packet("10.0.0.1", "10.0.0.2"), Verdict("drop", match.NO_RULE, True)),
        (packet("10.8.0.1", "10.9.9.9"), Verdict("accept", "", False)),
        # The longest prefix decides whose an address is.
        (packet("10.9.9.9", "10.5.6.7", dport=80), Verdict("accept", "web.80", True)),
        (packet("10.9.9.9", "10.5.5.7", dport=80), Verdict("drop", match.NO_RULE, True)),
        # Addresses are given and neighbours found whatever groups say.
        (packet("10.0.0.2", "255.255.255.255", UDP, 67)._replace(sport=68), Verdict("accept", "", False)),
        (packet("10.0.0.2", "255.255.255.255", UDP, 67), Verdict("drop", match.NO_RULE, False)),
        (packet("10.0.0.2", "224.0.0.18", 112), Verdict("accept", "", False)),
        (packet("10.0.0.2", "224.0.0.22", 2), Verdict("accept", "", False)),
        (packet("10.0.0.2", "10.9.9.9", 112), Verdict("drop", match.NO_RULE, False)),
    ],
)
def test_a_hosts_policy(sent: Packet, verdict: Verdict) -> None:
    assert match.judge(POLICY, sent) == verdict


ADDRESSES = st.sampled_from(
    ["10.0.0.1", "10.0.0.255", "10.0.1.0", "10.0.128.0", "192.0.2.7", "2001:db8::1", "2001:db8::ffff", "2001:db9::"]
)
PREFIXES = st.sampled_from(
    [
        "10.0.0.0/24",
        "10.0.0.0/16",
        "0.0.0.0/0",
        "10.0.0.1/32",
        "2001:db8::/32",
        "2001:db8::1/128",
        "::/0",
        "10.0.1.0/24",
    ]
)
NAMES = st.sampled_from(["one", "two"])
PEERS = st.one_of(
    st.builds(lambda text: {"prefix": text}, PREFIXES),
    st.builds(lambda name: {"list": name}, NAMES),
    st.builds(lambda name: {"group": name}, NAMES),
)
PORTS = st.tuples(st.integers(0, 6), st.integers(0, 3)).map(lambda pair: [pair[0], pair[0] + pair[1]])


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    found = rule(draw(st.sampled_from(["accept", "drop", "reject"])))
    protocol = draw(st.sampled_from([None, TCP, UDP, ICMP, ICMPV6, 47]))
    if protocol is not None:
        found["protocol"] = protocol
    if protocol in (TCP, UDP) and draw(st.booleans()):
        found["ports"] = draw(st.lists(PORTS, min_size=1, max_size=3))
    if protocol in (ICMP, ICMPV6) and draw(st.booleans()):
        found["icmp"] = [draw(st.integers(0, 2)), draw(st.sampled_from([None, 0, 1]))]
    if draw(st.booleans()):
        found["peers"] = draw(st.lists(PEERS, min_size=1, max_size=3))
    return found


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    source = draw(ADDRESSES)
    target = draw(ADDRESSES.filter(lambda text: (":" in text) == (":" in source)))
    protocol = draw(st.sampled_from([TCP, UDP, ICMP, ICMPV6, 47]))
    small = st.integers(0, 2)
    family = 6 if ":" in source else 4
    return Packet(
        family, number(source), number(target), protocol, 9, draw(st.integers(0, 9)), draw(small), draw(small)
    )


def slowly(
    found: list[dict[str, Any]], sent: Packet, ingress: bool, named: dict[str, dict[str, list[str]]]
) -> int | None:
    """The same answer as match.first(), read from the rules' meaning with the standard library."""
    make = ipaddress.IPv4Address if sent.family == 4 else ipaddress.IPv6Address
    other = make(sent.source if ingress else sent.target)
    for index, item in enumerate(found):
        texts: list[str] = []
        for peer in item.get("peers", []):
            ((kind, word),) = peer.items()
            texts += [word] if kind == "prefix" else named[kind][word]
        if "peers" in item and not any(other in ipaddress.ip_network(text) for text in texts):
            continue
        if item.get("protocol", sent.protocol) != sent.protocol:
            continue
        if (item.get("protocol"), sent.family) in ((ICMP, 6), (ICMPV6, 4)):
            continue
        if "ports" in item and not any(sent.dport in range(low, high + 1) for low, high in item["ports"]):
            continue
        if "icmp" in item and not (item["icmp"][0] == sent.icmp_type and item["icmp"][1] in (None, sent.icmp_code)):
            continue
        return index
    return None


@settings(max_examples=400, deadline=None)
@given(
    st.lists(rules(), max_size=6),
    st.lists(packets(), min_size=1, max_size=12),
    st.booleans(),
    st.fixed_dictionaries({name: st.lists(PREFIXES, max_size=3) for name in ("one", "two")}),
    st.fixed_dictionaries({name: st.lists(ADDRESSES, max_size=3) for name in ("one", "two")}),
)
def test_every_packet_finds_the_rule_that_a_slow_reading_finds(
    found: list[dict[str, Any]],
    sent: list[Packet],
    ingress: bool,
    lists: dict[str, list[str]],
    members: dict[str, list[str]],
) -> None:
    known = Known(lists, members)
    group = {"ingress": found, "egress": found}
    policy = Policy(
        {"guests": {"0.0.0.0/0": ["g"], "::/0": ["g"]}, "groups": {"g": group}, "lists": lists, "members": members}
    )
    for item in sent:
        index = slowly(found, item, ingress, {"list": lists, "group": members})
        assert match.first(found, item, ingress, known) == index
        side = policy._side(item.family, item.source)
        assert side is not None
        verdict = side.judge(item, ingress)
        assert verdict.action == (found[index]["action"] if index is not None else "drop")
