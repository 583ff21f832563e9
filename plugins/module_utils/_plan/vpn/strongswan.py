# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""strongswan.conf: what belongs to the daemon, not to a connection."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.swanctl import Lines, block
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway, TunnelPlan

# They answer for addresses of other hosts; with selectors of 0.0.0.0/0, for every address of the LAN.
_HARMFUL = ("farp", "dhcp", "forecast", "bypass-lan")
# How often a message is sent to a peer that does not answer, within the shortest and the longest pause in seconds.
_MESSAGES = 30
_PAUSES = (3.0, 10.0)
# What a daemon needs beside access to the kernel. The distribution's list has the harmful ones too.
PLUGINS = (
    "random nonce openssl aes sha1 sha2 hmac kdf gmp drbg pem x509 pubkey pkcs1 constraints"
    " socket-default vici updown counters"
)


def kernel() -> str:
    """A file for strongswan.d, whose files are read after those of the plugins. A change of it needs a restart."""
    plugins = [line for name in _HARMFUL for line in block(name, ["load = no"])]
    # Routes that BGP changes are no reason to look for another way to the peers.
    plugins += block("kernel-netlink", ["roam_events = no"])
    return "\n".join(block("charon", ["install_routes = no", *block("plugins", plugins)])) + "\n"


def dead_peers(gateway: Gateway) -> str:
    """Another file for strongswan.d: the daemon takes it up without a restart."""
    return "\n".join(block("charon", _retransmit(gateway.tunnels))) + "\n"


def userland(plan: TunnelPlan, socket: str) -> str:
    """The whole of strongswan.conf of the daemon of one tunnel. socket: path of its vici socket.

    A daemon for each tunnel, because userland ESP knows no interface ids: of two children with the same selectors, one
    gets all packets. It always adds a rule and a route for its selectors: in a table of its own, for a mark that
    nothing sets, they do no harm. The ports are free ones: 500 can be had only once, and ESP goes in UDP in any case.
    """
    plugins = [
        *block("vici", [f"socket = unix://{socket}"]),
        *block("kernel-libipsec", ["load = yes"]),
        *block("kernel-netlink", [f"fwmark = {plan.id:#x}", "roam_events = no"]),
    ]
    lines = [
        "load_modular = no",
        f"load = {PLUGINS} kernel-libipsec kernel-netlink",
        "install_routes = no",
        f"routing_table = {plan.id}",
        "port = 0",
        "port_nat_t = 0",
        *_retransmit([plan]),
        *block("plugins", plugins),
    ]
    return "\n".join(block("charon", lines)) + "\n"


def _retransmit(plans: tuple[TunnelPlan, ...] | list[TunnelPlan]) -> Lines:
    """A peer is dead interval x retries seconds after its last packet; the shortest of the tunnels counts.

    The first probe is sent one interval after that packet. The daemon waits timeout x base^n seconds after the n-th of
    1 + tries messages. They are evenly spaced: with growing pauses, as usual, a path that comes back may wait for long.
    The peer counts from the first probe on, and lets go without a word: who tried for as long as it does might be
    answered just before, and have to begin anew.
    """
    if not plans:
        return []
    dpd = min((plan.tunnel.dpd for plan in plans), key=lambda dpd: (dpd.interval * dpd.retries, dpd.retries))
    total = dpd.interval * max(dpd.retries - 1, 1)
    pause = min(max(total / _MESSAGES, _PAUSES[0]), _PAUSES[1])
    messages = max(round(total / pause), 2)
    return [
        f"retransmit_tries = {messages - 1}",
        f"retransmit_timeout = {total / messages:.2f}",
        "retransmit_base = 1.0",
    ]
