# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that answers DHCP and advertises itself as a router: without the guard its neighbour listens to it.

--expect open: it must be heard where guests share a switch. --expect guarded: nobody hears it. Nobody ever does where
guests are isolated.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import clients
import place as lab

_PREFIX = "2001:db8:bad:"


def main() -> int:
    parser = lab.parser(__doc__ or "")
    parser.add_argument("--expect", required=True, choices=["open", "guarded"])
    given = parser.parse_args()
    place = lab.Place(given)
    pairs = [("sw3", "sw1", given.expect == "open"), ("iso3", "iso1", False)]
    place.plugged([place.guests[name] for pair in pairs for name in pair[:2]])
    # Whoever answers first is believed: with the true one away there is no race.
    place.on("host1", "systemctl", "stop", lab.SERVICE)
    try:
        for rogue, victim, heard in pairs:
            with _serving(place, place.guests[rogue]):
                _judge(place, place.guests[victim], heard)
    finally:
        place.on("host1", "systemctl", "start", lab.SERVICE)
    if given.expect == "guarded":
        _beside(place)
    for name in ("sw1", "iso1"):
        place.forget(name, accept=False)
        place.configure(place.guests[name])
    word = "believes" if given.expect == "open" else "is deaf to"
    lab.say(f"a guest {word} the DHCP, DHCPv6 and router advertisements of its neighbour on the same switch")
    return 0


@contextmanager
def _serving(place: lab.Place, guest: lab.Guest) -> Iterator[None]:
    where = f"vm-{guest.name}"
    own = guest.addresses[4]
    start = own.rpartition(".")[0]
    words = [
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--leasefile-ro", "--pid-file"),
        *(f"--interface={lab.CARD}", "--bind-dynamic", "--dhcp-authoritative", "--enable-ra"),
        f"--dhcp-range={start}.200,{start}.209,255.255.255.0,1h",
        f"--dhcp-range={_PREFIX}:200,{_PREFIX}:209,64,1h",
    ]
    place.must(where, "ip", "address", "add", f"{_PREFIX}:1/64", "dev", lab.CARD, "nodad")
    process = place.start(where, *words)
    try:
        listening = ("ss", "-H", "-l", "-n", "-u", "sport", "=", "547")
        lab.wait(f"{guest.name} serves", 20, lambda: ":547" in place.must(where, *listening))
        yield
        if process.poll() is not None:
            lab.fail(f"the server of {guest.name} has ended")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        place.inside(where, "ip", "address", "del", f"{_PREFIX}:1/64", "dev", lab.CARD)


def _judge(place: lab.Place, victim: lab.Guest, heard: bool) -> None:
    where = f"vm-{victim.name}"
    place.forget(victim.name)
    fresh = place.keep / "rogue"
    fresh.mkdir(exist_ok=True)
    told = {
        "udhcpc": clients.udhcpc(place, where, fresh, tries=6 if heard else 3),
        "dhclient -6": clients.dhclient6(place, where, fresh, seconds=30 if heard else 5),
        "rdisc6": clients.rdisc6(place, where, 2),
    }
    for path in fresh.iterdir():
        path.unlink()
    for name, answer in told.items():
        if bool(answer) != heard:
            lab.fail(f"{victim.name} {'does not hear' if heard else 'hears'} its neighbour by {name}: {answer}")


def _beside(place: lab.Place) -> None:
    """With both at work, a guest has one router and its own address."""
    victim = place.guests["sw1"]
    with _serving(place, place.guests["sw3"]):
        place.forget(victim.name)
        told = clients.udhcpc(place, "vm-sw1", place.keep)
        routers = clients.rdisc6(place, "vm-sw1")
    if told is None or told.address != victim.address or len(routers) != 1:
        lab.fail(f"{victim.name} is told {told} and hears {routers}")


if __name__ == "__main__":
    sys.exit(main())
