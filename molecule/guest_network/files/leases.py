# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every guest starts with nothing, asks by stock clients, and has what the plan has for it: no less, and nothing else.

What they were told, they then use: every pair of guests, and every name. They keep it.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

import clients
import place as lab
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.name_query import NoAnswerError


def main() -> int:
    parser = lab.parser(__doc__ or "")
    parser.add_argument("--only", help="names of guests, with commas; by default all")
    given = parser.parse_args()
    place = lab.Place(given)
    served = [guest for guest in place.served() if not given.only or guest.name in given.only.split(",")]
    others = [] if given.only else [guest for guest in place.guests.values() if not guest.told["dhcp"]]
    place.plugged([*served, *others])
    wrong = lab.all_of(lambda guest: configured(place, guest), served)
    wrong += [item for guest in others for item in _nothing(place, guest)]
    if wrong:
        lab.fail("; ".join(wrong))
    wrong = lab.all_of(lambda pair: _reach(place, *pair), _pairs(place, served))
    wrong += lab.all_of(lambda guest: _names(place, guest), served)
    if wrong:
        lab.fail("; ".join(wrong))
    lab.say(f"{len(served)} guests have exactly what the plan says, reach each other by it, and know their names")
    return 0


def configured(place: lab.Place, guest: lab.Guest) -> list[str]:
    """Configure a guest by what its clients are told; gives what is wrong."""
    where = f"vm-{guest.name}"
    place.forget(guest.name)
    found = list(_four(place, guest)) if guest.address else []
    found += list(_six(place, guest)) if guest.address6 else []
    text = place.must(where, "ip", "-o", "address", "show", "dev", lab.CARD, "scope", "global")
    has = sorted(line.split()[3] for line in text.splitlines())
    length6 = "64" if guest.told["ipv6_addressing"] == "slaac" else "128"
    wanted = sorted(filter(None, (guest.address, guest.address6 and f"{guest.addresses[6]}/{length6}")))
    if has != wanted:
        found.append(f"it has {has}, not {wanted}")
    return [f"{guest.name}: {item}" for item in found]


def _four(place: lab.Place, guest: lab.Guest) -> Iterator[str]:
    where = f"vm-{guest.name}"
    routes = [(route["to"], route["via"]) for route in guest.told["routes"] if ":" not in route["to"]]
    wanted = clients.Told(
        guest.address or "",
        [("0.0.0.0/0", guest.gateway or ""), *routes],
        guest.servers(4),
        guest.told["search"],
        guest.told["domain"],
        guest.name,
        guest.told["mtu"],
        place.networks[guest.network]["bridge_address"],
    )
    for name, client in (("udhcpc", clients.udhcpc), ("dhclient", clients.dhclient)):
        told = client(place, where, place.keep)
        if told is None:
            yield f"{name} gets no answer"
            return
        told.routes.sort()
        wanted.routes.sort()
        if told != wanted:
            yield f"{name} is told {told}, not {wanted}"
    # What a client's script does with it.
    device = ("dev", lab.CARD)
    place.must(where, "ip", "address", "add", told.address, *device)
    if told.mtu:
        place.must(where, "ip", "link", "set", lab.CARD, "mtu", str(told.mtu))
    for prefix, via in told.routes:
        place.must(where, "ip", "route", "add", prefix, "via", via, *device)


def _six(place: lab.Place, guest: lab.Guest) -> Iterator[str]:
    where = f"vm-{guest.name}"
    slaac = guest.told["ipv6_addressing"] == "slaac"
    heard = clients.rdisc6(place, where)
    cidr6 = place.networks[guest.network]["cidr6"]
    if len(heard) != 1:
        yield f"hears {len(heard)} routers instead of one: {heard}"
        return
    (router,) = heard
    wanted = clients.Advertised(
        managed=not slaac,
        other=router.other,
        lifetime=router.lifetime,
        mtu=guest.told["mtu"],
        prefixes=[(cidr6, False, slaac)],
        dns=guest.servers(6),
        search=guest.told["search"],
        router="fe80::1",
    )
    if router != wanted or router.lifetime < 60:
        yield f"rdisc6 is told {router}, not {wanted}"
    if not slaac:
        told = clients.dhclient6(place, where, place.keep)
        expected = clients.Told(f"{guest.addresses[6]}/128", dns=guest.servers(6), search=guest.told["search"])
        if told != expected:
            yield f"dhclient -6 is told {told}, not {expected}"
        if told is not None:
            place.must(where, "ip", "address", "add", told.address, "dev", lab.CARD, "nodad")
    # The kernel's own part: the route, and with SLAAC the address.
    lab.wait(f"{guest.name} has its IPv6 address", 20, lambda: f" {guest.addresses[6]}/" in _addresses(place, where))
    text = place.must(where, "ip", "-6", "route", "show", "default")
    if "via fe80::1 " not in text or " proto ra" not in text or text.count("default") != 1:
        yield f"its kernel's default route is {text!r}"
    mtu = place.must(where, "sysctl", "-n", f"net.ipv6.conf.{lab.CARD}.mtu").strip()
    if int(mtu) != (guest.told["mtu"] or 1500):
        yield f"its kernel's MTU for IPv6 is {mtu}"


def _addresses(place: lab.Place, where: str) -> str:
    return place.must(where, "ip", "-6", "-o", "address", "show", "dev", lab.CARD, "-tentative")


def _nothing(place: lab.Place, guest: lab.Guest) -> Iterator[str]:
    """A guest of a network that is not served."""
    where = f"vm-{guest.name}"
    place.forget(guest.name, accept=False)
    for name, told in (
        ("udhcpc", clients.udhcpc(place, where, place.keep, tries=3)),
        ("dhclient -6", clients.dhclient6(place, where, place.keep, seconds=5)),
        ("rdisc6", clients.rdisc6(place, where, 2)),
    ):
        if told:
            yield f"{guest.name} is in {guest.network}, which is not served, but {name} is told {told}"
    place.configure(guest)


def _pairs(place: lab.Place, guests: list[lab.Guest]) -> list[tuple[lab.Guest, lab.Guest]]:
    """From each of the guests to every other one that has been configured."""
    return [pair for pair in itertools.product(guests, place.served()) if pair[0] != pair[1]]


def _reach(place: lab.Place, source: lab.Guest, target: lab.Guest) -> list[str]:
    found = []
    for family in sorted(set(source.addresses) & set(target.addresses)):
        # On a common switch, the neighbours of a guest that moved away look for it there for 50 s.
        words = ("ping", "-n", "-q", "-c", "1", "-W", "1", target.addresses[family])
        if not any(place.inside(f"vm-{source.name}", *words).returncode == 0 for _attempt in range(75)):
            found.append(f"{source.name} does not reach {target.name}, {target.addresses[family]}")
    return found


def _names(place: lab.Place, guest: lab.Guest) -> list[str]:
    """All names of its network, in both families, by each server of the hypervisor."""
    network = place.networks[guest.network]
    servers = {network["bridge_address"], guest.told["bridge_address6"]} - {None}
    found = []
    for other in place.served():
        name = f"{other.name}.{other.told['domain']}"
        if other.network != guest.network:
            continue
        for server, family in itertools.product(sorted(servers), (4, 6)):
            wanted = [other.addresses[family]] if family in other.addresses else []
            try:
                told = place.names(f"vm-{guest.name}", server, name, family)
            except NoAnswerError as error:
                found.append(f"{guest.name} asks {server} for {name}: {error}")
                continue
            if told != wanted:
                found.append(f"{guest.name} is told that {name} is {told}, not {wanted}")
    return found


if __name__ == "__main__":
    sys.exit(main())
