# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets through the tunnels of a gateway, and packets that must not get through."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import double
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.systemd import UNIT
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY
from gateway import GatewayMachine, until

# What a check found: (fault, remark), with what it looked at in front where it looks at several things.
Finding = tuple[str, str]
Row = tuple[str, str, str]

IP_AND_ICMP = 28
# Seconds without an answer when an endpoint is cut off: what is accepted, and what shows that there was some to lose.
OUTAGE_LIMIT, OUTAGE_LEAST = 30.0, 2.0
RECOVERY_TIMEOUT = 120.0
SETTLE = 15.0
# Until both daemons have given each other up. What is repaired just before is lost to one of them first.
GIVEN_UP = 60.0
_FLOWS = double.VPC_HOSTS[:6]
_STRANGE = ("IKE from a stranger", "ESP from a stranger", "BGP from the LAN", "BGP from outside")
_UNGUARD = {
    False: f"nft delete table inet {VPN_GATEWAY.table}",
    True: f"iptables-save | grep -v -e ' {VPN_GATEWAY.prefix}' -e ':{VPN_GATEWAY.prefix}' | iptables-restore",
}
_CUT = """
ip netns exec inet nft -f - <<END
table ip cut {{
  chain forward {{
    type filter hook forward priority 0
    ip saddr {address} drop
    ip daddr {address} drop
  }}
}}
END
"""


def full_size(gateway: GatewayMachine, tunnels: Sequence[dict[str, Any]]) -> Finding:
    """The largest packets that the plan allows, not to be fragmented: through each tunnel, and from LAN to VPC."""
    faults = []
    before, fragments = gateway.sent(), _fragments(gateway)
    for tunnel in tunnels:
        size = tunnel["mtu"] - IP_AND_ICMP
        for space, source, target in (
            ("", tunnel["inside_address"], tunnel["peer_inside_address"]),
            (tunnel["name"], tunnel["peer_inside_address"], tunnel["inside_address"]),
        ):
            faults += _ping(gateway, space, source, target, size)
        too_large = _ping(gateway, "", tunnel["inside_address"], tunnel["peer_inside_address"], size + 1)
        if not too_large:
            faults.append(f"{tunnel['name']}: a packet of {tunnel['mtu'] + 1} octets passed too")
    size = min(tunnel["mtu"] for tunnel in tunnels) - IP_AND_ICMP
    for address in double.VPC_HOSTS:
        faults += _ping(gateway, "lan", double.GUEST, address, size)
        faults += _ping(gateway, "vpc", address, double.GUEST, size)
    after = gateway.sent()
    faults += [f"nothing went through {name}" for name in after if after[name] - before[name] < len(_FLOWS) // 2]
    if (now := _fragments(gateway)) != fragments:
        faults.append(f"packets were fragmented: {now} instead of {fragments}")
    sizes = ", ".join(f"{tunnel['name']} {tunnel['mtu']}" for tunnel in tunnels)
    return "; ".join(faults), f"{sizes} octets; {len(double.VPC_HOSTS)} addresses in the VPC, both ways"


def _ping(gateway: GatewayMachine, space: str, source: str, target: str, size: int) -> list[str]:
    inside = f"ip netns exec {space} " if space else ""
    output = gateway.shell(f"{inside}ping -n -q -c 2 -i 0.2 -W 3 -M do -s {size} -I {source} {target}")
    return [f"{size + IP_AND_ICMP} octets from {source} to {target}: no answer"] if output.status else []


def _fragments(gateway: GatewayMachine) -> list[str]:
    """How many packets the gateway and each endpoint have cut, and had to put together."""
    found = []
    for space in ("", *(f"ip netns exec {endpoint.name} " for endpoint in gateway.endpoints)):
        names, values = re.findall(r"^Ip: (.*)$", gateway.ask(f"{space}cat /proc/net/snmp"), re.MULTILINE)
        counts = dict(zip(names.split(), values.split(), strict=True))
        found.append(f"{counts['FragCreates']} {counts['ReasmReqds']}")
    return found


def guarded(gateway: GatewayMachine, tunnels: Sequence[dict[str, Any]], iptables: bool) -> Iterator[Row]:
    """What the firewall does, and that it is the firewall that does it."""
    with_guard = _segments(gateway), *_strangers(gateway)
    gateway.ask(_UNGUARD[iptables])
    without = _segments(gateway), *_strangers(gateway)
    gateway.ask(f"systemctl restart {UNIT}", 120)
    again = _segments(gateway), *_strangers(gateway)
    sizes = {str(tunnel["mss"]) for tunnel in tunnels}
    # Between two machines whose links take 1500 octets.
    faults = [f"{found} instead of {sizes}" for found in (with_guard[0], again[0]) if found != sizes]
    faults += [f"{without[0]} without the rule too"] if without[0] != {"1460"} else []
    yield "MSS", "; ".join(faults), f"{', '.join(sorted(with_guard[0]))}; without the rule {', '.join(without[0])}"
    for index, what in enumerate(
        ("IKE from a stranger", "ESP from a stranger", "BGP from the LAN", "BGP from outside"), 1
    ):
        faults = ["gets through"] if with_guard[index] or again[index] else []
        faults += [] if without[index] else ["does not get through without the guard either"]
        yield f"{what} dropped", "; ".join(faults), "heard without the guard"


def _segments(gateway: GatewayMachine) -> set[str]:
    """Sizes of segments that connections between LAN and VPC agree on, in both directions."""
    return set(gateway.inside("lan", f"{double.FOLDER}/connect", *double.VPC_HOSTS, *double.VPC_HOSTS).split())


def _strangers(gateway: GatewayMachine) -> tuple[bool, bool, bool, bool]:
    strange = f"{double.FOLDER}/strange"
    unknown = "awk '$1 == \"XfrmInNoStates\" { print $2 }' /proc/net/xfrm_stat"
    before = int(gateway.ask(unknown))
    gateway.inside("stranger", strange, "esp")
    esp = int(gateway.ask(unknown)) > before
    heard = [
        "heard" in gateway.inside(space, strange, kind)
        for space, kind in (("stranger", "ike"), ("lan", "bgp"), ("stranger", "bgp"))
    ]
    return heard[0], esp, heard[1], heard[2]


def failover(gateway: GatewayMachine, tunnels: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """Cut off the first endpoint while packets go to several addresses of the VPC; give it back."""
    cut = gateway.endpoints[0]
    pings = [
        f"ip netns exec lan ping -n -D -i 0.2 -I {double.GUEST} {address} >/run/ping.{address} 2>&1 & echo $!"
        for address in _FLOWS
    ]
    pids = gateway.ask("\n".join(pings)).split()
    time.sleep(5)
    gateway.ask(_CUT.format(address=cut.address))
    began = time.monotonic()
    left = until(lambda: gateway.ways() == [tunnels[1]["name"]], 2 * OUTAGE_LIMIT, gateway.sessions_in_words)
    time.sleep(5)
    gaps = _gaps(gateway)
    worst = max(gaps.values())
    fault = "" if worst < OUTAGE_LIMIT else f"{worst:.1f} s without an answer"
    if worst < OUTAGE_LEAST:
        fault = f"only {worst:.1f} s without an answer: nothing went by the endpoint that was cut off"
    words = ", ".join(f"{gap:.1f}" for gap in gaps.values())
    remark = f"longest silence {worst:.1f} s, allowed {OUTAGE_LIMIT:.0f} s; by address {words}; BGP {left:.1f} s"
    yield "failover", fault, remark
    faults = _ping(gateway, "lan", double.GUEST, _FLOWS[0], tunnels[1]["mtu"] - IP_AND_ICMP)
    yield "full size by the other tunnel", "; ".join(faults), f"{tunnels[1]['mtu']} octets"
    time.sleep(max(0.0, began + GIVEN_UP - time.monotonic()))
    gateway.ask("ip netns exec inet nft delete table ip cut")
    repaired = _now(gateway)
    back = gateway.await_tunnels(len(tunnels), RECOVERY_TIMEOUT)
    # A daemon that has just given up on the other one makes new SAs yet.
    until(lambda: min(_last(gateway)) > back + repaired, RECOVERY_TIMEOUT, lambda: f"last answers {_last(gateway)}")
    time.sleep(SETTLE)
    worst = max(_gaps(gateway, repaired).values())
    silent = _now(gateway) - min(_last(gateway))
    gateway.ask(f"kill -INT {' '.join(pids)}")
    fault = "" if worst < OUTAGE_LIMIT else f"{worst:.1f} s without an answer"
    fault = fault if silent < OUTAGE_LEAST else f"no answer for {silent:.1f} s at the end"
    yield "recovery", fault, f"both tunnels after {back:.0f} s; longest silence {worst:.1f} s"


def _gaps(gateway: GatewayMachine, since: float = 0.0) -> dict[str, float]:
    """The longest time without an answer, for each address that is asked, in seconds of the machine."""
    now = _now(gateway)
    found = {}
    for address in _FLOWS:
        times = [max(stamp, since) for stamp in _answers(gateway, address)] + [now]
        found[address] = max((after - before for before, after in zip(times, times[1:], strict=False)), default=now)
    return found


def _last(gateway: GatewayMachine) -> list[float]:
    """When the last answer of each address came."""
    return [max(_answers(gateway, address), default=0.0) for address in _FLOWS]


def _answers(gateway: GatewayMachine, address: str) -> list[float]:
    text = gateway.ask(f"cat /run/ping.{address}")
    return [float(stamp) for stamp in re.findall(r"^\[([\d.]+)\] \d+ bytes from", text, re.MULTILINE)]


def _now(gateway: GatewayMachine) -> float:
    return float(gateway.ask("date +%s.%N"))
