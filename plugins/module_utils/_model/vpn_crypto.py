# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IKE, ESP and dead peer detection of a tunnel: strong where nothing is written, as written otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import (
    ENCRYPTION,
    ESP_GROUPS,
    GCM,
    HASHES,
    IKE_GROUPS,
    Dpd,
    Esp,
    Ike,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_fields import choices, number

# By IKE version. AWS takes the weakest that both sides allow, so nothing weak is offered. Version 1 is for old
# programs, so it comes with what each of them can.
STRONG_IKE = {
    1: Ike(1, ("aes256",), ("sha256",), (), (14,), 28800),
    2: Ike(2, ("aes256-gcm16", "aes256"), ("sha384", "sha256"), ("sha384", "sha256"), (20, 14), 28800),
}
STRONG_ESP = {
    1: Esp(("aes256",), ("sha256",), (14,), 3600),
    2: Esp(("aes256-gcm16", "aes256"), ("sha256",), (20, 14), 3600),
}
DPD = Dpd(10, 3)

_NOTHING: Mapping[str, Any] = {}
_NO_KEYS: frozenset[str] = frozenset()
_IKE_KEYS = frozenset(("version", "encryption", "integrity", "prf", "dh", "lifetime"))
_ESP_KEYS = frozenset(("encryption", "integrity", "dh", "lifetime"))
_DPD_KEYS = frozenset(("interval", "retries"))
_IKE_LIFETIME = (900, 28800)
_ESP_LIFETIME = (900, 3600)


def read_ike(report: Report, path: str, tunnel: Mapping[str, Any]) -> Ike:
    """Read `ike` of a tunnel; the result counts only where nothing was reported."""
    path, item = _item(report, path, tunnel, "ike", _IKE_KEYS)
    version = number(report, path, item, "version", 1, 2, 2)
    strong = STRONG_IKE[version]
    encryption = _some(report, path, item, "encryption", ENCRYPTION, strong.encryption)
    if version == 1 and GCM.intersection(encryption):
        report.add(f"{path}.encryption", "GCM needs version 2")
    integrity = _integrity(report, path, item, encryption, strong.integrity, "; the PRF of GCM is prf")
    prf = choices(report, path, item, "prf", HASHES)
    if not GCM.intersection(encryption):
        if prf and encryption:
            report.add(f"{path}.prf", "has no use without GCM: the PRF is the hash of integrity")
        prf = ()
    elif prf is None:
        prf = strong.prf or strong.integrity
    elif not prf:
        _empty(report, f"{path}.prf", item["prf"])
    dh = _some(report, path, item, "dh", IKE_GROUPS, strong.dh)
    return Ike(version, encryption, integrity, prf, dh, number(report, path, item, "lifetime", *_IKE_LIFETIME, 28800))


def read_esp(report: Report, path: str, tunnel: Mapping[str, Any], ike: Ike) -> Esp:
    """Read `esp` of a tunnel; the result counts only where nothing was reported."""
    path, item = _item(report, path, tunnel, "esp", _ESP_KEYS)
    strong = STRONG_ESP[ike.version]
    encryption = _some(report, path, item, "encryption", ENCRYPTION, strong.encryption)
    integrity = _integrity(report, path, item, encryption, strong.integrity, "")
    dh = _some(report, path, item, "dh", ESP_GROUPS, strong.dh)
    lifetime = number(report, path, item, "lifetime", *_ESP_LIFETIME, strong.lifetime)
    if lifetime >= ike.lifetime:
        default = "" if "lifetime" in item else ", by default,"
        report.add(f"{path}.lifetime", f"{lifetime}{default} is not less than that of ike, {ike.lifetime}")
    return Esp(encryption, integrity, dh, lifetime)


def read_dpd(report: Report, path: str, tunnel: Mapping[str, Any]) -> Dpd:
    """Read `dpd` of a tunnel."""
    path, item = _item(report, path, tunnel, "dpd", _DPD_KEYS)
    return Dpd(
        number(report, path, item, "interval", 1, 300, DPD.interval),
        number(report, path, item, "retries", 1, 20, DPD.retries),
    )


def _item(
    report: Report, path: str, tunnel: Mapping[str, Any], key: str, known: frozenset[str]
) -> tuple[str, Mapping[str, Any]]:
    path = f"{path}.{key}"
    if key not in tunnel:
        return path, _NOTHING
    return path, fields.mapping(report, path, tunnel[key], known, _NO_KEYS) or _NOTHING


def _some(
    report: Report, path: str, item: Mapping[str, Any], key: str, allowed: tuple[Any, ...], default: tuple[Any, ...]
) -> tuple[Any, ...]:
    found = choices(report, path, item, key, allowed)
    if found is None:
        return default
    if not found:
        _empty(report, f"{path}.{key}", item[key])
    return found


def _empty(report: Report, path: str, value: Any) -> None:
    """Report a list without items; one whose items were refused has been reported."""
    if isinstance(value, (list, tuple)) and not value:
        report.add(path, "is empty; at least one is needed")


def _integrity(
    report: Report, path: str, item: Mapping[str, Any], encryption: tuple[str, ...], default: tuple[str, ...], more: str
) -> tuple[str, ...]:
    """The hashes for what is not GCM. Without encryption this was refused, and nothing can be said."""
    found = choices(report, path, item, "integrity", HASHES)
    if encryption and GCM.issuperset(encryption):
        if found:
            report.add(f"{path}.integrity", f"has no use with GCM, which has its own{more}")
        return ()
    if found is None:
        return default
    if not found and encryption:
        _empty(report, f"{path}.integrity", item["integrity"])
    return found
