# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that nobody has declared is plugged into a bridge by hand.

--expect heard: its packets pass, but no address is given to it. --expect nothing: nor where a guard stops them; what is
sent to all on the bridge it may hear. --expect told: it was declared meanwhile, and has what the plan says. Without
--expect it is taken away.
"""

from __future__ import annotations

import sys

import clients
import leases
import place as lab
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import netns
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.paths import Paths

# As the scenario declares it later.
NAME, HOST, PORT, MAC, BRIDGE = "late", "host1", "late.port", "52:54:00:61:61:61", "br-iso"
WHERE = f"vm-{NAME}"


def main() -> int:
    parser = lab.parser(__doc__ or "")
    parser.add_argument("--expect", choices=["heard", "nothing", "told"])
    given = parser.parse_args()
    place = lab.Place(given)
    if given.expect is None:
        netns.unlink(f"{place.lab}-{HOST}", [PORT])
        netns.delete(Paths(place.lab), f"{place.lab}-{WHERE}")
        return 0
    _plug(place)
    if given.expect == "told":
        wrong = leases.configured(place, place.guests[NAME])
        if wrong:
            lab.fail("; ".join(wrong))
        lab.say(f"{NAME} has what the plan says since it was declared")
        return 0
    place.forget(NAME)
    fresh = place.keep / "stranger"
    fresh.mkdir(exist_ok=True)
    told = [clients.udhcpc(place, WHERE, fresh, tries=3), clients.dhclient6(place, WHERE, fresh, seconds=5)]
    heard = clients.rdisc6(place, WHERE, 2)
    if told != [None, None]:
        lab.fail(f"a stranger is told {told}")
    if given.expect == "heard" and not heard:
        lab.fail("a stranger's packets should pass, but no router answers")
    lab.say(f"a stranger gets no address{', though its packets pass' if given.expect == 'heard' else ''}")
    return 0


def _plug(place: lab.Place) -> None:
    host, own = f"{place.lab}-{HOST}", f"{place.lab}-{WHERE}"
    if not netns.add(Paths(place.lab), own):
        return
    cable = f"link add name {PORT} type veth peer name {lab.CARD} address {MAC} netns {own}"
    netns.batch(host, [cable, f"link set dev {PORT} master {BRIDGE}"])
    netns.batch(host, [f"link set dev {PORT} type bridge_slave isolated on", f"link set dev {PORT} up"])


if __name__ == "__main__":
    sys.exit(main())
