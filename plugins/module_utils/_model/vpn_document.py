# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document that AWS makes for a customer gateway: its elements as values, each mistake with its path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import vpn_tokens
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_ipv4, parse_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_choose import Minimums
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.xml_document import Element, read_xml

ROOT = "vpn_connection"
STATIC = "NoBGPVPNConnection"

_Value = TypeVar("_Value")
_DIGITS = re.compile(r"[0-9]{1,10}")
_MASK = "255.255.255.252"
_MOST_TUNNELS = 2


@dataclass(frozen=True)
class End:
    """One end of a tunnel, as the document has it; None where it has not. Addresses are canonical."""

    outside: str | None
    inside: str | None
    asn: int | None
    hold_time: int | None


@dataclass(frozen=True)
class DocumentTunnel:
    """A tunnel of the document; None where it says nothing.

    path: of the element. ours, theirs: the ends. inside: the /30 that both inside addresses are in. psk: unchecked.
    lifetimes: of IKE and ESP, seconds. dpd: interval in seconds, retries.
    """

    path: str
    ours: End
    theirs: End
    inside: Prefix | None
    psk: str | None
    ike: Minimums
    esp: Minimums
    lifetimes: tuple[int | None, int | None]
    dpd: tuple[int | None, int | None]


@dataclass(frozen=True)
class Document:
    """static: whether there is no BGP. tunnels: in the order of the document."""

    static: bool
    tunnels: tuple[DocumentTunnel, ...]


def read_document(report: Report, path: str, xml: object) -> Document | None:
    """Read the document; None where it is none. path: its name in messages."""
    try:
        root = read_xml(xml)
    except ValueError as error:
        report.add(path, str(error))
        return None
    if root.name != ROOT:
        report.add(path, f"is another document: its root is {show(root.name)}, not {ROOT}")
        return None
    reader = _Reader(report)
    reader.word(ROOT, root, "vpn_connection_type", ("ipsec.1",))
    attributes = reader.word(ROOT, root, "vpn_connection_attributes", (STATIC,))
    elements = root.all("ipsec_tunnel")
    if not elements:
        report.add(f"{ROOT}.ipsec_tunnel", "is missing: the connection has no tunnels (is it deleted?)")
        return None
    if len(elements) > _MOST_TUNNELS:
        # Each of a hundred thousand would have its mistakes.
        report.add(f"{ROOT}.ipsec_tunnel", f"is there {len(elements)} times; a connection has one or two tunnels")
        return None
    return Document(
        attributes == STATIC,
        tuple(reader.tunnel(f"{ROOT}.ipsec_tunnel[{index}]", element) for index, element in enumerate(elements)),
    )


class _Reader:
    """Reads elements; what is absent or empty is None, and of several with one name none is right."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def tunnel(self, path: str, element: Element) -> DocumentTunnel:
        before = len(self.report.errors)
        ours = self.end(path, element, "customer_gateway")
        theirs = self.end(path, element, "vpn_gateway")
        inside = self.inside(path, element, ours, theirs, len(self.report.errors) == before)
        ike, esp = self.child(path, element, "ike"), self.child(path, element, "ipsec")
        ike_path, esp_path = f"{path}.ike", f"{path}.ipsec"
        # Aggressive mode would send a hash of the key to anyone who asks.
        self.word(ike_path, ike, "mode", ("main",))
        self.word(esp_path, esp, "mode", ("tunnel",))
        self.word(esp_path, esp, "protocol", ("esp",))
        dpd = self.child(esp_path, esp, "dead_peer_detection")
        dpd_path = f"{esp_path}.dead_peer_detection"
        return DocumentTunnel(
            path,
            ours,
            theirs,
            inside,
            self.text(ike_path, ike, "pre_shared_key"),
            self.minimums(ike_path, ike),
            self.minimums(esp_path, esp),
            (self.number(ike_path, ike, "lifetime"), self.number(esp_path, esp, "lifetime")),
            (self.number(dpd_path, dpd, "interval"), self.number(dpd_path, dpd, "retries")),
        )

    def end(self, path: str, tunnel: Element, name: str) -> End:
        path, element = f"{path}.{name}", self.child(path, tunnel, name)
        outside = self.child(path, element, "tunnel_outside_address")
        inside = self.child(path, element, "tunnel_inside_address")
        bgp = self.child(path, element, "bgp")
        return End(
            self.address(f"{path}.tunnel_outside_address", outside),
            self.address(f"{path}.tunnel_inside_address", inside),
            self.number(f"{path}.bgp", bgp, "asn"),
            self.number(f"{path}.bgp", bgp, "hold_time"),
        )

    def inside(self, path: str, tunnel: Element, ours: End, theirs: End, sound: bool) -> Prefix | None:
        """The network of both inside addresses, which must be a /30 where its length is given.

        sound: whether both ends could be read, so that an address that is not there is missing.
        """
        networks = []
        for name, end in (("customer_gateway", ours), ("vpn_gateway", theirs)):
            at = f"{path}.{name}.tunnel_inside_address"
            element = tunnel.all(name)[0].all("tunnel_inside_address")[:1] if tunnel.all(name) else []
            if element:
                self.word(at, element[0], "network_cidr", ("30",))
                self.word(at, element[0], "network_mask", (_MASK,))
            if end.inside is not None:
                networks.append(Prefix(4, parse_ipv4(end.inside) & ~3, 30))
        if len(networks) == 1 and sound:
            self.report.add(path, "has the inside address of one end only")
        elif len(networks) == 2 and networks[0] != networks[1]:
            self.report.add(
                path, f"has inside addresses that are not in one /30: {networks[0].text}, {networks[1].text}"
            )
        return networks[0] if networks else None

    def minimums(self, path: str, element: Element | None) -> Minimums:
        return Minimums(
            path,
            self.token(path, element, "encryption_protocol", vpn_tokens.encryption),
            self.token(path, element, "authentication_protocol", vpn_tokens.integrity),
            self.token(path, element, "perfect_forward_secrecy", vpn_tokens.group),
        )

    def child(self, path: str, element: Element | None, name: str) -> Element | None:
        found = element.all(name) if element is not None else []
        if len(found) > 1:
            self.report.add(f"{path}.{name}", f"is there {len(found)} times")
        return found[0] if found else None

    def text(self, path: str, element: Element | None, name: str) -> str | None:
        child = self.child(path, element, name)
        return child.text or None if child is not None else None

    def word(self, path: str, element: Element | None, name: str, allowed: tuple[str, ...]) -> str | None:
        text = self.text(path, element, name)
        if text is not None and text not in allowed:
            self.report.add(f"{path}.{name}", f"{show(text)} is unknown: {' or '.join(allowed)}")
        return text

    def token(
        self, path: str, element: Element | None, name: str, read: Callable[[str], _Value | None]
    ) -> _Value | None:
        text = self.text(path, element, name)
        value = read(text) if text is not None else None
        if text is not None and value is None:
            self.report.add(f"{path}.{name}", f"{show(text)} is unknown")
        return value

    def number(self, path: str, element: Element | None, name: str) -> int | None:
        text = self.text(path, element, name)
        if text is None:
            return None
        if not _DIGITS.fullmatch(text):
            self.report.add(f"{path}.{name}", f"{show(text)} is not a whole number")
            return None
        return int(text)

    def address(self, path: str, element: Element | None) -> str | None:
        text = self.text(path, element, "ip_address")
        if text is None:
            return None
        try:
            return format_ipv4(parse_ipv4(text))
        except ValueError as error:
            self.report.add(f"{path}.ip_address", str(error))
            return None
