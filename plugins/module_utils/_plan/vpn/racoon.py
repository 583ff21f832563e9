# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""racoon and setkey: keys, policies and proposals. Not the routes choose the tunnel, the policies do."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Connection
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway, TunnelPlan, psk_token

Lines = list[str]
# (ours, theirs)
Selector = tuple[str, str]

_KEY_BITS = {"aes256": "aes 256", "aes128": "aes 128"}
_DPD_RETRY = 5


def psk(gateway: Gateway) -> str:
    """psk.txt, with psk_token() in place of the keys. A key ends with its line: nothing may follow it."""
    return "".join(f"{plan.tunnel.peer_outside_address} {psk_token(plan.tunnel)}\n" for plan in gateway.tunnels)


def policies(gateway: Gateway) -> str:
    """ipsec-tools.conf, for setkey.

    spdupdate makes or replaces a policy: nothing is flushed, so it can be loaded again without an outage and without a
    packet that leaves in the clear. setkey makes the policy for forwarding from that for `in`.
    """
    lines = ["#!/usr/sbin/setkey -f"]
    for plan in gateway.tunnels:
        lines.append(f"# {plan.name}")
        for selector in selectors(plan):
            lines += _policy(plan, selector)
    return "\n".join(lines) + "\n"


def switch(connection: Connection, number: int, gateway: Gateway) -> str:
    """Input for `setkey -c` that leads the connection's traffic through its tunnel of this number."""
    plan = next(plan for plan in gateway.tunnels if plan.connection == connection and plan.tunnel.number == number)
    return "".join(f"{line}\n" for selector in _shared(connection) for line in _policy(plan, selector))


def stale(before: str, after: str) -> str:
    """Input for `setkey -c` that removes the policies of one ipsec-tools.conf that the next one does not have."""
    old, new = ({_key(line) for line in text.splitlines() if line.startswith("spdupdate")} for text in (before, after))
    return "".join(f"spddelete {key};\n" for key in sorted(old - new))


def config(gateway: Gateway, psk_path: str) -> str:
    """racoon.conf."""
    listening = {plan.tunnel.local_address: plan.tunnel.nat for plan in gateway.tunnels}
    lines = [f'path pre_shared_key "{psk_path}";', "listen {"]
    for address, nat in sorted(listening.items()):
        lines.append(f"  isakmp {address} [500];")
        if nat:
            lines.append(f"  isakmp_natt {address} [4500];")
    lines += ["}"]
    # Both tunnels of a connection have the same selectors: one sainfo serves them, a second one is an error.
    seen: set[Selector] = set()
    for plan in gateway.tunnels:
        lines += _remote(plan)
        for selector in (*selectors(plan), *_shared(plan.connection)):
            if selector not in seen:
                lines += _sainfo(plan, selector)
                seen.add(selector)
    return "\n".join(lines) + "\n"


def selectors(plan: TunnelPlan) -> list[Selector]:
    """What goes through the tunnel: BGP and what the gateway itself sends; and the networks, if it is the first."""
    tunnel = plan.tunnel
    found = []
    if tunnel.inside_address is not None and tunnel.peer_inside_address is not None:
        ours = f"{tunnel.inside_address}/32"
        found.append((ours, f"{tunnel.peer_inside_address}/32"))
        found += [(ours, prefix.text) for prefix in plan.connection.remote]
    if tunnel.number == 1:
        found += _shared(plan.connection)
    return found


def _shared(connection: Connection) -> list[Selector]:
    """Ids must equal the selectors of the policies to the bit, and have no host bits: strict peers refuse these."""
    return [(ours.text, theirs.text) for ours in connection.announce for theirs in connection.remote]


def _policy(plan: TunnelPlan, selector: Selector) -> Lines:
    ours, theirs = selector
    near, far = plan.tunnel.local_address, plan.tunnel.peer_outside_address
    return [
        # require, not unique: AWS has one pair of SAs for each tunnel, which all selectors share.
        f"spdupdate {ours} {theirs} any -P out ipsec esp/tunnel/{near}-{far}/require;",
        f"spdupdate {theirs} {ours} any -P in ipsec esp/tunnel/{far}-{near}/require;",
    ]


def _key(line: str) -> str:
    """A policy as spddelete wants it: selectors and direction."""
    _verb, source, destination, _any, _option, direction, _rest = line.split(" ", 6)
    return f"{source} {destination} any -P {direction}"


def _remote(plan: TunnelPlan) -> Iterator[str]:
    tunnel, ike, dpd = plan.tunnel, plan.tunnel.ike, plan.tunnel.dpd
    yield f'remote "{plan.name}" {{'
    yield f"  remote_address {tunnel.peer_outside_address};"
    yield "  exchange_mode main;"
    yield f"  my_identifier address {tunnel.outside_address};"
    yield f"  peers_identifier address {tunnel.peer_outside_address};"
    yield "  verify_identifier on;"
    yield f"  lifetime time {ike.lifetime} sec;"
    yield "  proposal_check strict;"
    yield f"  nat_traversal {'on' if tunnel.nat else 'off'};"
    yield "  initial_contact on;"
    yield "  generate_policy off;"
    yield f"  dpd_delay {dpd.interval};"
    yield f"  dpd_retry {_DPD_RETRY};"
    yield f"  dpd_maxfail {dpd.retries};"
    for encryption in ike.encryption:
        for integrity in ike.integrity:
            for group in ike.dh:
                yield "  proposal {"
                yield f"    encryption_algorithm {_KEY_BITS[encryption]};"
                yield f"    hash_algorithm {integrity};"
                yield "    authentication_method pre_shared_key;"
                yield f"    dh_group {group};"
                yield "  }"
    yield "}"


def _sainfo(plan: TunnelPlan, selector: Selector) -> Iterator[str]:
    esp = plan.tunnel.esp
    yield f"sainfo address {selector[0]} any address {selector[1]} any {{"
    yield f"  pfs_group {esp.dh[0]};"
    yield f"  lifetime time {esp.lifetime} sec;"
    yield f"  encryption_algorithm {', '.join(_KEY_BITS[name] for name in esp.encryption)};"
    yield f"  authentication_algorithm {', '.join(f'hmac_{name}' for name in esp.integrity)};"
    # Mandatory, though never used.
    yield "  compression_algorithm deflate;"
    yield "}"
