# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests and networks of libvirt: the XML in /etc/libvirt/qemu, or what virsh dumpxml and virsh net-dumpxml print."""

from __future__ import annotations

import re

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.domain import Card, Domain
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.xml_document import Element, read_xml

# Names that libvirt gives by itself, other ones after each start.
_OWN_NAMES = re.compile(r"(?:vnet|vif|tap|macvtap|macvlan)\d[\d.]*")
_PARAMETERS = ("IP", "IPV6")


def read_domain(text: str) -> Domain:
    """The guest that the document describes."""
    try:
        root = read_xml(text)
    except ValueError as error:
        return Domain(fault=str(error))
    # What libvirt keeps of a running guest has the domain inside.
    domain = next(iter(root.all("domain")), root)
    name = next((child.text for child in domain.all("name")), "")
    if domain.name != "domain":
        return Domain(fault=f"describes no domain: its element is {root.name}")
    if not name:
        return Domain(fault="has no name")
    cards = [_card(element) for devices in domain.all("devices") for element in devices.all("interface")]
    return Domain(name, tuple(cards))


def read_network(text: str) -> tuple[str, str]:
    """(name, bridge) of a network; the bridge is "" where it has none. Raises ValueError."""
    root = read_xml(text)
    network = next(iter(root.all("network")), root)
    name = next((child.text for child in network.all("name")), "")
    if network.name != "network" or not name:
        raise ValueError("describes no network with a name")
    return name, network.given("bridge", "name")


def _card(element: Element) -> Card:
    kind = element.attributes.get("type", "")
    vif = element.given("target", "dev")
    # A network that is used has its bridge in the source, too.
    card = Card(
        bridge=element.given("source", "bridge"),
        network=element.given("source", "network"),
        mac=element.given("mac", "address"),
        vif="" if _OWN_NAMES.fullmatch(vif) else vif,
        addresses=_addresses(element),
    )
    if kind not in ("bridge", "network"):
        return card._replace(fault=f"is of type {kind or 'unknown'}, which is on no bridge")
    if element.all("vlan"):
        return card._replace(fault="has a VLAN tag; a network here has none")
    return card


def _addresses(element: Element) -> tuple[str, ...]:
    """What the filter lets it send, and what the guest is told, each once."""
    parameters = [parameter for filters in element.all("filterref") for parameter in filters.all("parameter")]
    found = [item.attributes.get("value", "") for item in parameters if item.attributes.get("name") in _PARAMETERS]
    found += [item.attributes.get("address", "") for item in element.all("ip")]
    return tuple(dict.fromkeys(word for word in found if word))
