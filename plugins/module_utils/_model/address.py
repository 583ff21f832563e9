# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, prefixes and MACs: text to numbers and back.

Only canonical text is read, so that two spellings of one address can never pass for two addresses. Every refusal is a
ValueError whose text starts with the value. IPv4 and IPv6 addresses are integers; a family is 4 or 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_aton, inet_ntop, inet_pton
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import show

_BITS = {4: 32, 6: 128}
_DECIMAL = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10}){0,3}")
_SHORT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
# The second digit of a MAC is even for unicast.
_MAC = re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}")
_MAC_LOOSE = re.compile(r"[0-9a-f]{2}([:-]?)[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}")


class Prefix(NamedTuple):
    """A network. family: 4 or 6. base: its first address. length: prefix length in bits."""

    family: int
    base: int
    length: int

    @property
    def text(self) -> str:
        """Canonical text, as `10.10.10.0/24`."""
        return f"{format_address(self.family, self.base)}/{self.length}"

    @property
    def size(self) -> int:
        """Number of addresses."""
        return int(1 << (_BITS[self.family] - self.length))

    @property
    def first(self) -> int:
        return self.base

    @property
    def last(self) -> int:
        return self.base + self.size - 1

    def contains(self, address: int) -> bool:
        """Whether an address of the same family lies inside."""
        return self.base <= address < self.base + self.size

    def overlaps(self, other: Prefix) -> bool:
        return self.family == other.family and self.base <= other.last and other.base <= self.last


def disjoint(found: Iterable[Prefix]) -> list[Prefix]:
    """The same addresses without a prefix inside another one: sets take no overlaps."""
    kept: list[Prefix] = []
    for prefix in sorted(found):
        if not kept or not kept[-1].overlaps(prefix):
            kept.append(prefix)
    return kept


def without(prefix: Prefix, holes: Iterable[Prefix]) -> list[Prefix]:
    """The addresses of a prefix that are in none of the others, in order."""
    inside = [hole for hole in holes if prefix.overlaps(hole)]
    if not inside:
        return [prefix]
    if any(hole.length <= prefix.length for hole in inside):
        return []
    low = Prefix(prefix.family, prefix.base, prefix.length + 1)
    return [*without(low, inside), *without(low._replace(base=low.last + 1), inside)]


def parse_ipv4(text: str) -> int:
    """Read an IPv4 address in canonical text; raises ValueError."""
    try:
        packed = inet_pton(AF_INET, text)
    except (OSError, ValueError):
        raise ValueError(_refuse_ipv4(text)) from None
    if inet_ntop(AF_INET, packed) != text:  # not with glibc, but other C libraries read more
        raise ValueError(_refuse_ipv4(text))
    return int.from_bytes(packed, "big")


def parse_ipv6(text: str) -> int:
    """Read an IPv6 address in canonical text (RFC 5952); raises ValueError."""
    try:
        packed = inet_pton(AF_INET6, text)
    except (OSError, ValueError):
        raise ValueError(_refuse_ipv6(text)) from None
    if inet_ntop(AF_INET6, packed) != text:
        raise ValueError(_refuse_ipv6(text))
    return int.from_bytes(packed, "big")


def parse_address(family: int, text: str) -> int:
    """Read a canonical address of the family; raises ValueError."""
    return parse_ipv4(text) if family == 4 else parse_ipv6(text)


def parse_prefix(family: int, text: str) -> Prefix:
    """Read a network in canonical text, without host bits; raises ValueError."""
    address, slash, digits = text.partition("/")
    bits = _BITS[family]
    if not slash:
        raise ValueError(f"{show(text)} has no prefix length: write {_example_prefix(family)}")
    try:
        value = parse_address(family, address)
    except ValueError as error:
        reason = str(error)
        if family == 4 and _SHORT.fullmatch(address):
            padded = ".".join((address.split(".") + ["0"] * 3)[:4])
            reason = f"write all four numbers, as {padded}/{digits}"
        raise ValueError(f"{show(text)} is not an IPv{family} network: {reason}") from None
    if not _LENGTH.fullmatch(digits) or int(digits) > bits:
        raise ValueError(f"{show(text)} is not an IPv{family} network: the prefix length is a number from 0 to {bits}")
    length = int(digits)
    base = value >> (bits - length) << (bits - length)
    if base != value:
        network = Prefix(family, base, length).text
        raise ValueError(f"{show(text)} has host bits set: the network is {network}")
    return Prefix(family, base, length)


def format_ipv4(address: int) -> str:
    return inet_ntop(AF_INET, address.to_bytes(4, "big"))


def format_ipv6(address: int) -> str:
    return inet_ntop(AF_INET6, address.to_bytes(16, "big"))


def format_address(family: int, address: int) -> str:
    return format_ipv4(address) if family == 4 else format_ipv6(address)


def special(prefix: Prefix, link_local: bool = False) -> str:
    """The range with a meaning of its own that the prefix touches, as `127.0.0.0/8 (loopback)`; "" where none.

    link_local: whether link-local addresses are wanted here.
    """
    for other, meaning in _SPECIAL:
        if prefix.overlaps(other) and not (link_local and meaning == "link-local"):
            return f"{other.text} ({meaning})"
    return ""


def check_mac(text: str) -> None:
    """Accept a unicast MAC in lower case with colons; raises ValueError."""
    if _MAC.fullmatch(text) and text != "00:00:00:00:00:00":
        return
    lower = text.lower()
    if not _MAC_LOOSE.fullmatch(lower):
        raise ValueError(f"{show(text)} is not a MAC address: six pairs of 0-9 a-f with colons, as 52:54:00:0a:0a:0a")
    digits = re.sub("[^0-9a-f]", "", lower)
    canonical = ":".join(digits[at : at + 2] for at in range(0, 12, 2))
    if canonical == "00:00:00:00:00:00":
        raise ValueError(f"{show(text)} is no address of an interface: not all digits may be 0")
    if not _MAC.fullmatch(canonical):
        raise ValueError(f"{show(text)} is a multicast MAC: the second digit must be even")
    raise ValueError(f"{show(text)} is not a canonical MAC: write {canonical}")


_SPECIAL = tuple(
    (parse_prefix(6 if ":" in text else 4, text), meaning)
    for text, meaning in (
        ("0.0.0.0/8", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0.0.0.0/96", "IPv4-mapped"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)


def _example_prefix(family: int) -> str:
    return "it as 10.10.10.0/24" if family == 4 else "it as 2001:db8:10::/64"


def _refuse_ipv4(text: str) -> str:
    word = show(text)
    if _DECIMAL.fullmatch(text):
        numbers = text.split(".")
        if len(numbers) == 4 and all(int(number) < 256 for number in numbers):
            canonical = ".".join(str(int(number)) for number in numbers)
            return f"{word} is not canonical: write {canonical} (a leading 0 is octal to some programs)"
        if len(numbers) < 4 and not any(len(number) > 1 and number[0] == "0" for number in numbers):
            try:
                return f"{word} is not canonical: write all four numbers, as {inet_ntop(AF_INET, inet_aton(text))}"
            except OSError:  # a number too large
                pass
    if "/" in text:
        return f"{word} is not an IPv4 address: leave out the prefix length"
    if _reads(AF_INET6, text):
        return f"{word} is an IPv6 address; an IPv4 address is needed"
    return f"{word} is not an IPv4 address: four numbers from 0 to 255 with dots, as 10.10.10.10"


def _reads(family: int, text: str) -> bool:
    try:
        inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True


def _refuse_ipv6(text: str) -> str:
    word = show(text)
    address = text.partition("%")[0]
    try:
        canonical = inet_ntop(AF_INET6, inet_pton(AF_INET6, address))
    except (OSError, ValueError):
        if "/" in text:
            return f"{word} is not an IPv6 address: leave out the prefix length"
        if _reads(AF_INET, text):
            return f"{word} is an IPv4 address; an IPv6 address is needed"
        return f"{word} is not an IPv6 address, as 2001:db8:10::10"
    if address != text:
        return f"{word} has a zone: write {canonical}"
    return f"{word} is not canonical: write {canonical}"
