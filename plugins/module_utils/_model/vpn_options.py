# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TunnelOptions, as AWS's DescribeVpnConnections and the modules of amazon.aws give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields, vpn_tokens
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_ipv4, parse_ipv4
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, kind, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_choose import Allowed

_Word = TypeVar("_Word", int, str)
_LENGTH = re.compile(r"(.*)/30")
_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Options:
    """What the options of one tunnel say; None where nothing. path: where they stand.

    peer_outside: AWS's address, canonical. psk: the key, unchecked; psk_elsewhere: whether it is in Secrets Manager.
    versions: of IKE. lifetimes: of both phases, seconds.
    """

    path: str
    peer_outside: str | None
    inside: Prefix | None
    psk: Any
    psk_elsewhere: bool
    versions: tuple[int, ...] | None
    ike: Allowed
    esp: Allowed
    lifetimes: tuple[int | None, int | None]


def read_options(report: Report, path: str, raw: Any) -> list[Options]:
    """Read the list; what it says of other things is left alone, since AWS adds to it."""
    found = []
    for index, value in enumerate(fields.sequence(report, path, raw)):
        at = f"{path}[{index}]"
        if isinstance(value, Mapping):
            found.append(_Reader(report, at, value).options())
        else:
            report.add(at, f"{kind(value)} is not allowed; a mapping is needed")
    return found


def match(
    report: Report, options: Sequence[Options], tunnels: Sequence[tuple[str, str | None, Prefix | None]]
) -> list[Options | None]:
    """The options of each tunnel, given as (path, AWS's outside address, inside CIDR), in whatever order they are.

    Addresses decide; where all options have none, the order does.
    """
    left = list(options)
    found: list[Options | None] = []
    for path, outside, inside in tunnels:
        mine = next((item for item in left if item.peer_outside is not None and item.peer_outside == outside), None)
        if mine is None:
            mine = next(
                (
                    item
                    for item in left
                    if item.peer_outside is None and item.inside is not None and item.inside == inside
                ),
                None,
            )
        if mine is None:
            mine = next((item for item in left if item.peer_outside is None and item.inside is None), None)
        if mine is None:
            report.add(path, "has no item in tunnel_options with its OutsideIpAddress or TunnelInsideCidr")
        else:
            left.remove(mine)
            if mine.inside is not None and inside is not None and mine.inside != inside:
                report.add(
                    f"{mine.path}.TunnelInsideCidr",
                    f"{mine.inside.text} differs from {path}, {inside.text}: one of them is old",
                )
        found.append(mine)
    for item in left:
        report.add(item.path, "is of no tunnel of the document")
    return found


class _Reader:
    """Reads the options of one tunnel, whose keys are spelt in one of AWS's or Ansible's ways."""

    def __init__(self, report: Report, path: str, item: Mapping[Any, Any]) -> None:
        self.report = report
        self.path = path
        self.item = {key.replace("_", "").lower(): value for key, value in item.items() if isinstance(key, str)}

    def options(self) -> Options:
        return Options(
            self.path,
            self.outside(),
            self.inside(),
            self.get("PreSharedKey"),
            self.get("PreSharedKeyArn") is not None,
            self.words("IkeVersions", vpn_tokens.version),
            self.allowed(1),
            self.allowed(2),
            (self.number("Phase1LifetimeSeconds"), self.number("Phase2LifetimeSeconds")),
        )

    def get(self, key: str) -> Any:
        """The value; None where it is absent, null or empty."""
        value = self.item.get(key.lower())
        return None if value is None or value in ("", [], ()) else value

    def allowed(self, phase: int) -> Allowed:
        name = f"Phase{phase}"
        return Allowed(
            self.path,
            phase,
            self.words(f"{name}EncryptionAlgorithms", vpn_tokens.encryption),
            self.words(f"{name}IntegrityAlgorithms", vpn_tokens.integrity),
            self.words(f"{name}DHGroupNumbers", vpn_tokens.group),
        )

    def words(self, key: str, read: Callable[[str], _Word | None]) -> tuple[_Word, ...] | None:
        value = self.get(key)
        if value is None:
            return None
        found: dict[_Word, None] = {}
        for index, item in enumerate(fields.sequence(self.report, f"{self.path}.{key}", value)):
            # AWS wraps each word in a mapping.
            word = (
                next((item[name] for name in ("Value", "value") if name in item), None)
                if isinstance(item, Mapping)
                else item
            )
            known = read(str(word)) if isinstance(word, (int, str)) and not isinstance(word, bool) else None
            if known is None:
                self.report.add(f"{self.path}.{key}[{index}]", f"{show(word)} is unknown")
            else:
                found[known] = None
        return tuple(found) or None

    def number(self, key: str) -> int | None:
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, str)) or not _DIGITS.fullmatch(str(value)):
            self.report.add(f"{self.path}.{key}", f"{show(value)} is not a whole number")
            return None
        return int(value)

    def outside(self) -> str | None:
        value = self.get("OutsideIpAddress")
        if value is None:
            return None
        try:
            return format_ipv4(parse_ipv4(value if isinstance(value, str) else show(value)))
        except ValueError as error:
            self.report.add(f"{self.path}.OutsideIpAddress", str(error))
            return None

    def inside(self) -> Prefix | None:
        """The /30; it may be written as an address in it."""
        value = self.get("TunnelInsideCidr")
        if value is None:
            return None
        split = _LENGTH.fullmatch(value) if isinstance(value, str) else None
        try:
            if split is None:
                raise ValueError(f"{show(value)} is not a /30, as 169.254.10.0/30")
            return Prefix(4, parse_ipv4(split.group(1)) & ~3, 30)
        except ValueError as error:
            self.report.add(f"{self.path}.TunnelInsideCidr", str(error))
            return None
