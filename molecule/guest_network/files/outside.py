# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the role must not be noticed: on the underlay, by the host's own dnsmasq, and on a bridge of somebody else."""

from __future__ import annotations

import sys

import clients
import place as lab
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.name_query import NoAnswerError
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import netns
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.paths import Paths

# See prepare.yml.
OWN = ("127.0.0.1", "own.example", "203.0.113.9")
FOREIGN = ("192.168.122.1", "foreign.example", "203.0.113.10")
BRIDGE, PORT, WHERE = "virbr9", "virbr9-port", "vm-foreign"


def main() -> int:
    place = lab.Place(lab.parser(__doc__ or "").parse_args())
    _underlay(place)
    for server, name, address in (OWN, FOREIGN):
        if place.names("host1", server, name, 4) != [address]:
            lab.fail(f"{server} does not know {name} any more")
    _bridge(place)
    lab.say("nothing is answered on the underlay; the host's own dnsmasq, and that of another bridge, go on")
    return 0


def _underlay(place: lab.Place) -> None:
    """From the router, and from a guest to the address that a hypervisor has there."""
    guest = place.guests["iso1"]
    name = f"{guest.name}.{guest.told['domain']}"
    bridge = str(place.networks[guest.network]["bridge_address"])
    for host in ("host1", "host2"):
        underlay = place.hosts[host]["underlay"]
        # As an intruder would: by way of the host to an address that it has on a bridge.
        place.must("router", "ip", "route", "add", f"{bridge}/32", "via", underlay)
        try:
            for where, server in (("router", underlay), ("router", bridge), ("vm-four1", underlay)):
                try:
                    told = place.names(where, server, name, 4)
                except NoAnswerError:
                    continue
                lab.fail(f"{host}, asked at {server}, tells {where} that {name} is {told}")
        finally:
            place.must("router", "ip", "route", "del", f"{bridge}/32", "via", underlay)
    fresh = place.keep / "underlay"
    fresh.mkdir(exist_ok=True)
    told = [clients.udhcpc(place, "router", fresh, 3), clients.dhclient6(place, "router", fresh, 5)]
    heard = clients.rdisc6(place, "router", 2)
    if told != [None, None] or heard:
        lab.fail(f"on the underlay the router is told {told} and hears {heard}")


def _bridge(place: lab.Place) -> None:
    """A guest of somebody else is served by somebody else. Clients that heard nothing on the underlay hear it."""
    host, own = f"{place.lab}-host1", f"{place.lab}-{WHERE}"
    netns.add(Paths(place.lab), own)
    try:
        netns.batch(host, [f"link add name {PORT} type veth peer name {lab.CARD} netns {own}"])
        netns.batch(host, [f"link set dev {PORT} master {BRIDGE}", f"link set dev {PORT} up"])
        place.forget(WHERE[3:])
        fresh = place.keep / "bridge"
        fresh.mkdir(exist_ok=True)
        told = clients.udhcpc(place, WHERE, fresh)
        if told is None or told.server != FOREIGN[0]:
            lab.fail(f"a guest of {BRIDGE} is told {told}")
    finally:
        netns.unlink(host, [PORT])
        netns.delete(Paths(place.lab), own)


if __name__ == "__main__":
    sys.exit(main())
