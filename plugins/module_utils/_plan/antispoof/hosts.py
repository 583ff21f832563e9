# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guard of one hypervisor has to know: its guests, its policy and the bridges that it stands on."""

from __future__ import annotations

from functools import cache
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, parse_ipv4, parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import forms, iptables
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest, file_name
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.state import static
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import netfiltered
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import Layout, State, bridge_of, extras

# Without it, frames to link-local groups that no rule sees teach a bridge where a MAC is.
_SETTINGS = "no_linklocal_learn 1"
# Rules of iptables, and security groups, see the packets of those bridges only that hand them over.
_SETTINGS_FILTERED = f"{_SETTINGS} nf_call_iptables 1 nf_call_ip6tables 1"


def slice_of(layout: Layout, name: str) -> tuple[State, dict[str, Any]]:
    """(state, ports) of a hypervisor: what depends on no port's name, and what the host makes of ports that it has.

    ports: guests, forms: templates by file name, of which forms.unpack() makes texts. names: file name by port name,
    for those that the plan knows. bridges: whether ours, uplinks and settings, by name. trusted: ports. chains: with
    backend iptables, by family.
    """
    host = layout.model.hosts[name]
    with_iptables = host.backend == "iptables"
    # Bridges of ours get from role hypervisor what groups need.
    filtered = netfiltered(layout, name)
    found = guests(layout, name)
    rules = policy(layout, name)
    files = {vif: file_name(guest.mac) for vif, guest in found.items()}
    state: State = {"nft": static(rules, files, host.backend)}
    texts, packed = forms.pack({files[vif]: guest for vif, guest in found.items()}, host.backend)
    ports: dict[str, Any] = {
        "forms": texts,
        "guests": packed,
        "names": files,
        "bridges": {
            bridge_of(network): {
                "own": not network.flat,
                "uplinks": list(network.uplinks),
                "settings": _SETTINGS_FILTERED
                if with_iptables or (network.flat and bridge_of(network) in filtered)
                else _SETTINGS,
            }
            for network in layout.networks(name)
        },
        "trusted": list(host.trusted_ports),
    }
    if with_iptables or any(bridge["settings"] == _SETTINGS_FILTERED for bridge in ports["bridges"].values()):
        state["module"] = {"br_netfilter": "loaded"}
    if with_iptables:
        state["iptables"] = iptables.jumps()
        ports["chains"] = iptables.chains(rules)
    return state, ports


def guests(layout: Layout, name: str) -> dict[str, Guest]:
    """Guests of a hypervisor by the name of the port that the plan gives them."""
    return {port.vif: _guest(layout, port) for port in layout.by_hypervisor.get(name, [])}


def _guest(layout: Layout, port: Port) -> Guest:
    interface = layout.model.instances[port.instance].interfaces[port.number]
    network = layout.model.networks[port.network]
    own = ((4, port.address), (6, port.address6))
    addresses = tuple([(family, address) for family, address in own if address is not None])
    pairs: tuple[tuple[str, int, int], ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    if interface.allowed_addresses or interface.allowed_pairs:
        pairs = tuple(extras(layout.model, port))
        prefixes = tuple(item for item in interface.allowed_addresses if item.size > 1)
    guest = Guest(port.mac, addresses, pairs, prefixes, _roles(interface.roles), logged=network.log_drops)
    if network.flat and port.address6 is None and 6 not in guest.families:
        guest = guest._replace(open6=True)
    return _shared(layout, port, guest) if pairs else guest


@cache
def _roles(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)


def _shared(layout: Layout, port: Port, guest: Guest) -> Guest:
    """What a guest elsewhere may use as well, such as a virtual router's address, is no proof of a spoofed sender."""
    here = {port.hypervisor}
    return guest._replace(
        shared_macs=frozenset(
            mac for mac, _family, _address in guest.pairs if mac != port.mac and layout.claims[mac] > here
        ),
        shared=frozenset(
            (family, address) for _mac, family, address in guest.pairs if layout.claims[family, address] > here
        ),
    )


def policy(layout: Layout, name: str) -> Policy:
    """The host's policy. No prefix of a guest covers the gateways of its networks, or the host."""
    host = layout.model.hosts[name]
    networks = layout.networks(name)
    protected4 = {address for network in networks for address in (network.gateway, network.bridge_address)}
    protected6 = {address for network in networks for address in (_gateway6(network), network.guests.bridge_address6)}
    if any(network.flat for network in networks):
        protected4.add(parse_ipv4(host.underlay))
        protected6.add(parse_ipv6(host.underlay6) if host.underlay6 is not None else None)
    return Policy(
        uplinks=tuple(sorted(uplink for network in networks for uplink in network.uplinks)),
        trusted=tuple(sorted(host.trusted_ports)),
        protected4=tuple(sorted(address for address in protected4 if address is not None)),
        protected6=tuple(sorted(address for address in protected6 if address is not None)),
        log=any(network.log_drops for network in networks),
    )


def _gateway6(network: Network) -> int | None:
    if network.flat:
        return network.gateway6
    return parse_ipv6(identity.GATEWAY6) if network.cidr6 is not None else None
