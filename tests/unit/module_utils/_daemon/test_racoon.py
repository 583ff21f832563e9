# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""racoonctl and setkey: written by their sources (racoonctl.c, pfkey_dump.c) and by outputs that others published.

None was recorded here: no distribution that this collection runs on has these programs.
"""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon import racoon
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Esp, Ike

HEADER = "Destination            Cookies                           ST S  V E Created             Phase2\n"
MINE, PEER, PEER2 = "203.0.113.10", "198.51.100.1", "198.51.100.17"
KEY = "8b2a51f0 a1c4d9e2 40937606 2246d408"


def phase1(peer: str, state: int, created: str, cookie: str = "5a864a2a495c5835", side: str = "I") -> str:
    return f"{peer + '.500':<22} 359f8de96b03a305:{cookie} {state:2} {side} 10 M {created:<19} {1:6} \n"


def sa(source: str, destination: str, **values: object) -> str:
    given = {"kind": "esp", "state": "mature", "age": 93, "octets": 3008, "packets": 26, **values}
    return f"""\
{source} {destination} \n\t{given["kind"]} mode=tunnel spi=186578041(0x0b1ef479) reqid=0(0x00000000)
\tE: aes-cbc  {KEY}
\tA: hmac-sha1  a27c176b 40e0f619 c3a16111 72742867 acfc9b89
\tseq=0x00000000 replay=4 flags=0x00000000 state={given["state"]} \n\tcreated: Jul 20 20:05:25 2026\tcurrent: \
Jul 20 20:06:58 2026
\tdiff: {given["age"]}(s)\thard: 3600(s)\tsoft: 2880(s)
\tlast: Jul 20 20:05:48 2026\thard: 0(s)\tsoft: 0(s)
\tcurrent: {given["octets"]}(bytes)\thard: 0(bytes)\tsoft: 0(bytes)
\tallocated: {given["packets"]}\thard: 0\tsoft: 0
\tsadb_seq=1 pid=2052 refcnt=0
"""


def test_phase1() -> None:
    text = HEADER + phase1(PEER, 9, "2026-06-02 15:37:52") + phase1(PEER2, 3, "", "0" * 16)
    assert racoon.isakmp(text) == {
        PEER: Ike("established", True, 1, created="2026-06-02 15:37:52"),
        PEER2: Ike("phase 1, state 3", False, 1, answered=False),
    }


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_phases1_the_newest_that_works_counts(reverse: bool) -> None:
    rows = [phase1(PEER, 9, "2026-06-02 15:37:52"), phase1(PEER, 9, "2026-06-02 23:12:01"), phase1(PEER, 5, "")]
    found = racoon.isakmp(HEADER + "".join(reversed(rows) if reverse else rows))
    assert found[PEER].created == "2026-06-02 23:12:01"


def test_an_expired_phase1_is_not_up() -> None:
    assert not racoon.isakmp(HEADER + phase1(PEER, 10, "2026-06-02 15:37:52"))[PEER].up


def test_natt_ports_are_no_part_of_the_address() -> None:
    text = HEADER + phase1(PEER, 9, "2026-06-02 15:37:52").replace(f"{PEER}.500 ", f"{PEER}.4500")
    assert list(racoon.isakmp(text)) == [PEER]


def test_no_phase1() -> None:
    assert racoon.isakmp(HEADER) == {}


def test_esp() -> None:
    text = sa(PEER, MINE, octets=252, packets=3) + sa(MINE, PEER, octets=504, packets=6)
    assert racoon.esp(text)[MINE, PEER] == Esp("mature", True, 93, 252, 3, 504, 6, "aes-cbc/hmac-sha1")


def test_the_newest_pair_counts() -> None:
    old = sa(PEER, MINE, age=3000, state="dying", octets=9) + sa(MINE, PEER, age=3000, state="dying", octets=9)
    new = sa(PEER, MINE, age=10, octets=1) + sa(MINE, PEER, age=10, octets=2)
    for text in (old + new, new + old):
        found = racoon.esp(text)[MINE, PEER]
        assert (found.seconds, found.bytes_in, found.bytes_out) == (10, 1, 2)
    assert racoon.esp(old)[MINE, PEER].up


def test_a_pair_that_is_being_made_does_not_hide_the_one_that_works() -> None:
    text = sa(PEER, MINE) + sa(MINE, PEER) + sa(PEER, MINE, age=0, state="larval")
    assert racoon.esp(text)[MINE, PEER].up


def test_one_way_is_not_up() -> None:
    found = racoon.esp(sa(MINE, PEER))[MINE, PEER]
    assert (found.state, found.up) == ("one way only", False)
    larval = racoon.esp(sa(MINE, PEER) + sa(PEER, MINE, state="larval"))[MINE, PEER]
    assert (larval.state, larval.up) == ("larval", False)


def test_esp_in_udp_has_ports() -> None:
    mine, peer = f"{MINE}[4500]", f"{PEER}[4500]"
    text = sa(mine, peer, kind="esp-udp") + sa(peer, mine, kind="esp-udp")
    assert racoon.esp(text)[MINE, PEER].up


def test_other_protocols_are_not_counted() -> None:
    assert racoon.esp(sa(MINE, PEER, kind="ah") + sa(PEER, MINE, kind="ah")) == {}
    assert racoon.esp("No SAD entries.\n") == {}


def test_no_key_is_kept() -> None:
    assert KEY.split()[0] not in str(racoon.esp(sa(MINE, PEER) + sa(PEER, MINE)))
