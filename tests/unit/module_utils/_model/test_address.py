# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses against the ipaddress module, which is slow but somebody else's."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import (
    Prefix,
    check_mac,
    format_ipv4,
    format_ipv6,
    parse_ipv4,
    parse_ipv6,
    parse_prefix,
    special,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import show
from hypothesis import example, given
from hypothesis import strategies as st

IPV4 = st.integers(0, 2**32 - 1)
IPV6 = st.integers(0, 2**128 - 1) | st.lists(st.sampled_from([0, 0, 1, 0xFFFF]), min_size=8, max_size=8).map(
    lambda words: sum(word << (16 * at) for at, word in enumerate(words))
)
PREFIXES = st.builds(
    lambda family, value, length: Prefix(family, value >> (32 - length) << (32 - length), length),
    st.just(4),
    IPV4,
    st.integers(0, 32),
) | st.builds(
    lambda family, value, length: Prefix(family, value >> (128 - length) << (128 - length), length),
    st.just(6),
    IPV6,
    st.integers(0, 128),
)


@given(IPV4)
def test_ipv4_there_and_back(value: int) -> None:
    assert format_ipv4(value) == str(ipaddress.IPv4Address(value))
    assert parse_ipv4(format_ipv4(value)) == value


@given(IPV6)
@example(0)
@example(1)
@example(0xFFFF00000001)
def test_ipv6_there_and_back(value: int) -> None:
    text = format_ipv6(value)
    assert parse_ipv6(text) == value == int(ipaddress.IPv6Address(text))
    if value >> 32 not in (0, 0xFFFF):  # the C library writes their last 32 bits as IPv4, as the kernel's tools do
        assert text == str(ipaddress.IPv6Address(value))


@given(st.text(alphabet="0123456789abcfABCF.:%/x- \0\n", max_size=24) | st.text(max_size=10))
@example("1.2.3.4\0")
@example("::1\0")
@example("\ud800")
@example("\u0661.1.1.1")
def test_only_canonical_text_is_read(text: str) -> None:
    for parse, write in ((parse_ipv4, format_ipv4), (parse_ipv6, format_ipv6)):
        message, again = show(text), text
        try:
            again = write(parse(text))
        except ValueError as refusal:
            message = str(refusal)
        assert again == text
        assert message.startswith(show(text))


@given(IPV6)
def test_other_spellings_name_the_canonical_one(value: int) -> None:
    canonical = format_ipv6(value)
    for text in (ipaddress.IPv6Address(value).exploded, canonical.upper()):
        if text != canonical:
            with pytest.raises(ValueError, match=f"write {canonical}$"):
                parse_ipv6(text)


@given(PREFIXES, PREFIXES)
def test_prefixes(one: Prefix, two: Prefix) -> None:
    theirs, other = ipaddress.ip_network((one.base, one.length)), ipaddress.ip_network((two.base, two.length))
    if one.family == 6:
        theirs = ipaddress.IPv6Network((one.base, one.length))
    if two.family == 6:
        other = ipaddress.IPv6Network((two.base, two.length))
    assert parse_prefix(one.family, one.text) == one
    assert (one.first, one.last, one.size) == (int(theirs[0]), int(theirs[-1]), theirs.num_addresses)
    assert one.overlaps(two) is (one.family == two.family and theirs.overlaps(other))
    assert one.overlaps(two) is two.overlaps(one)
    assert one.contains(one.first)
    assert one.contains(one.last)
    assert not one.contains(one.last + 1)
    assert not one.contains(one.first - 1)


@given(PREFIXES, IPV6)
def test_host_bits_name_the_network(prefix: Prefix, noise: int) -> None:
    address = prefix.base + noise % prefix.size
    text = f"{format_ipv4(address) if prefix.family == 4 else format_ipv6(address)}/{prefix.length}"
    if address == prefix.base:
        assert parse_prefix(prefix.family, text) == prefix
    else:
        with pytest.raises(ValueError, match=f"has host bits set: the network is {prefix.text}$"):
            parse_prefix(prefix.family, text)


@pytest.mark.parametrize("text", ["02:00:00:00:00:01", "52:54:00:0a:0a:0a", "fe:ff:ff:ff:ff:ff"])
def test_mac(text: str) -> None:
    check_mac(text)


@pytest.mark.parametrize(
    "text", ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "52:54:00:0a:0a:0a\n", "52:54:00:0a-0a:0a", ""]
)
def test_no_mac(text: str) -> None:
    with pytest.raises(ValueError, match="MAC"):
        check_mac(text)


def test_special_link_local_can_be_wanted() -> None:
    prefix = parse_prefix(6, "fe80::1/128")
    assert special(prefix) == "fe80::/10 (link-local)"
    assert special(prefix, link_local=True) == ""
    assert special(parse_prefix(4, "10.0.0.0/8")) == ""
