# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From AWS's document, and TunnelOptions where there are some, to an item of vpc_vpn_connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelError, ModelErrors, Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import HOLD_TIME
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_choose import Chooser
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_crypto import DPD, STRONG_ESP, STRONG_IKE
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_document import (
    STATIC,
    Document,
    DocumentTunnel,
    read_document,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_fields import number, prefixes
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_options import Options, match, read_options
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_psk import check_psk, read_variables
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_read import read_bgp, read_name, read_tunnels

XML = "customer_gateway_configuration"
OPTIONS = "tunnel_options"
VARIABLES = "psk_variables"
# The order of the document, or that of Terraform's tunnel1 and tunnel2.
ORDERS = ("document", "outside_address")

_Pairs = list[tuple[DocumentTunnel, "Options | None"]]


def import_connection(xml: object, **given: Any) -> dict[str, Any]:
    """An item of vpc_vpn_connections; raises ModelErrors with every mistake, none of which has a key.

    given: name, and where they are wanted gateway, accept, static_routes, local_address, tunnel_options, psk_variables,
    ike_version, minimums and order; None is absent. The filter vpn_connection documents them. The result has keys in
    `psk` of its tunnels, unless psk_variables name what to write instead. It is not compared with other connections.
    """
    report = Report()
    importer = _Importer(report, {key: value for key, value in given.items() if value is not None})
    item = importer.item(xml)
    if report.errors:
        # What is not in the document is an option of the filter, or a key of the result.
        raise ModelErrors(ModelError(error.path.lstrip("."), error.message) for error in report.errors)
    return item


class _Importer:
    """Reads what is given, then makes the item. given: without what is None."""

    def __init__(self, report: Report, given: dict[str, Any]) -> None:
        self.report = report
        self.name = read_name(report, "", given)
        if "name" not in given:
            report.add("name", "is missing")
        self.gateway = fields.text(report, "", given, "gateway")
        self.local_address = fields.text(report, "", given, "local_address")
        self.accept = self.networks(given, "accept")
        self.static_routes = self.networks(given, "static_routes")
        self.order = fields.choice(report, "", given, "order", ORDERS)
        self.version = number(report, "", given, "ike_version", 1, 2, 2) if "ike_version" in given else None
        self.chooser = Chooser(report, fields.flag(report, "", given, "minimums"))
        self.options = read_options(report, OPTIONS, given[OPTIONS]) if OPTIONS in given else None
        self.variables = read_variables(report, VARIABLES, given[VARIABLES]) if VARIABLES in given else None

    def networks(self, given: dict[str, Any], key: str) -> list[str] | None:
        found = [prefix.text for prefix, path in prefixes(self.report, "", given, key)]
        return found if key in given else None

    def item(self, xml: object) -> dict[str, Any]:
        """The item; of use only where nothing was reported."""
        item: dict[str, Any] = {"name": self.name}
        document = read_document(self.report, XML, xml)
        if document is None:
            return item
        if self.gateway is not None:
            item["gateway"] = self.gateway
        item.update(self.static(document) if document.static else self.bgp(document))
        pairs = self.pairs(document)
        if self.variables is not None and len(self.variables) != len(pairs):
            self.report.add(VARIABLES, f"has {len(self.variables)} items for {len(pairs)} tunnels")
        item["tunnels"] = [
            {
                **self.addresses(tunnel, document),
                **self.secret(tunnel, options, index),
                **self.algorithms(tunnel, options),
            }
            for index, (tunnel, options) in enumerate(pairs)
        ]
        if not self.report.errors:
            # What holds for all that a user writes holds for this, too.
            if not document.static:
                read_bgp(self.report, "", item)
            read_tunnels(self.report, "", item, "", not document.static)
        return item

    def static(self, document: Document) -> dict[str, Any]:
        if self.accept is not None:
            self.report.add("accept", f"has no use: the connection has no BGP ({STATIC})")
        if not self.static_routes:
            self.report.add("static_routes", f"is needed: the connection has no BGP ({STATIC})")
        return {"static_routes": self.static_routes}

    def bgp(self, document: Document) -> dict[str, Any]:
        if self.static_routes:
            self.report.add("static_routes", "has no use: the connection has BGP")
        numbers: list[int | None] = []
        for key in ("customer_gateway", "vpn_gateway"):
            found: list[int] = []
            for tunnel in document.tunnels:
                end = tunnel.ours if key == "customer_gateway" else tunnel.theirs
                if end.asn is None:
                    self.missing(f"{tunnel.path}.{key}.bgp.asn", f", and there is no {STATIC}")
                elif found and end.asn != found[0]:
                    self.report.add(
                        f"{tunnel.path}.{key}.bgp.asn", f"{end.asn} differs from that of the first tunnel, {found[0]}"
                    )
                else:
                    found.append(end.asn)
            numbers.append(found[0] if found else None)
        hold_times = [tunnel.ours.hold_time for tunnel in document.tunnels if tunnel.ours.hold_time is not None]
        routing: dict[str, Any] = {"customer_asn": numbers[0], "amazon_asn": numbers[1]}
        routing["hold_time"] = min(hold_times, default=HOLD_TIME)
        if self.accept is not None:
            routing["accept"] = self.accept
        return routing

    def pairs(self, document: Document) -> _Pairs:
        """Each tunnel with its options, in the order that is wanted."""
        tunnels = document.tunnels
        mine: Sequence[Options | None] = [None] * len(tunnels)
        if self.options is not None:
            mine = match(
                self.report,
                self.options,
                [(tunnel.path, tunnel.theirs.outside, tunnel.inside) for tunnel in tunnels],
            )
        pairs = list(zip(tunnels, mine))
        if self.order != ORDERS[0]:
            # As text, as Terraform does it.
            pairs.sort(key=lambda pair: pair[0].theirs.outside or "")
        return pairs

    def addresses(self, tunnel: DocumentTunnel, document: Document) -> dict[str, Any]:
        for name, end in (("customer_gateway", tunnel.ours), ("vpn_gateway", tunnel.theirs)):
            if end.outside is None:
                self.missing(f"{tunnel.path}.{name}.tunnel_outside_address.ip_address")
            if end.inside is None and not document.static:
                self.missing(f"{tunnel.path}.{name}.tunnel_inside_address.ip_address")
        found: dict[str, Any] = {"outside_address": tunnel.ours.outside}
        if self.local_address is not None:
            found["local_address"] = self.local_address
        found["peer_outside_address"] = tunnel.theirs.outside
        if tunnel.inside is not None:
            found["inside_cidr"] = tunnel.inside.text
            found["inside_address"] = tunnel.ours.inside
            found["peer_inside_address"] = tunnel.theirs.inside
        return found

    def missing(self, path: str, more: str = "") -> None:
        """Report an element that is not there; one that could not be read has been reported."""
        if all(error.path != path for error in self.report.errors):
            self.report.add(path, f"is missing{more}")

    def secret(self, tunnel: DocumentTunnel, options: Options | None, index: int) -> dict[str, Any]:
        if self.variables is not None:
            return {"psk_variable": self.variables[index]} if index < len(self.variables) else {}
        path = f"{tunnel.path}.ike.pre_shared_key"
        key: Any = tunnel.psk
        other = options.psk if options is not None else None
        if key is None and other is not None:
            key, path = other, f"{options.path if options is not None else OPTIONS}.PreSharedKey"
        elif other is not None and other != key:
            self.report.add(path, f"differs from {OPTIONS}: one of them is old")
        if key is None:
            where = "it is in Secrets Manager; " if options is not None and options.psk_elsewhere else ""
            self.report.add(path, f"is missing: {where}name a variable for each tunnel in {VARIABLES}")
            return {}
        try:
            check_psk(key)
        except ValueError as error:
            self.report.add(path, str(error))
            return {}
        return {"psk": fields.plain(key)}

    def algorithms(self, tunnel: DocumentTunnel, options: Options | None) -> dict[str, Any]:
        """ike, esp and dpd."""
        versions: tuple[int, ...] = (1, 2)
        lifetimes: tuple[int | None, int | None] = (None, None)
        if options is not None:
            versions = options.versions or versions
            lifetimes = options.lifetimes
            if self.version is not None and self.version not in versions:
                self.report.add(f"{options.path}.IkeVersions", f"does not allow ike_version {self.version}")
        ike = options.ike if options is not None else None
        esp = options.esp if options is not None else None
        version = self.chooser.version(self.version, versions, tunnel.ike, ike)
        usual = (STRONG_IKE[version].lifetime, STRONG_ESP[version].lifetime)
        seconds = [
            next(value for value in values if value is not None) for values in zip(lifetimes, tunnel.lifetimes, usual)
        ]
        interval, retries = tunnel.dpd
        return {
            "ike": {**self.chooser.ike(version, tunnel.ike, ike), "lifetime": seconds[0]},
            "esp": {**self.chooser.esp(version, tunnel.esp, esp), "lifetime": seconds[1]},
            "dpd": {
                "interval": DPD.interval if interval is None else interval,
                "retries": DPD.retries if retries is None else retries,
            },
        }
