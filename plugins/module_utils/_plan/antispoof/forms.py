# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The templates of guests that differ in MAC and addresses only, which are most, from one form.

A form is what template() says of an example, with places for the example's MAC and addresses in each spelling. It is
used only where it says of other examples what template() does: several times faster, and never something else.

A plan that is written down has forms, and of each guest only its MAC and addresses: a twentieth of all the templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple, Optional

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest, link_local, template
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.iptables import mac_words, words
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import IPTABLES

# (family, address) of each.
_Addresses = Iterable[tuple[int, int]]


class Form(NamedTuple):
    """text: with a `%s` for each of places, which are indexes of a guest's spellings for that backend."""

    backend: str
    text: str
    places: tuple[int, ...]

    def fill(self, mac: str, addresses: _Addresses) -> str:
        text: str = self.text % itemgetter(*self.places)(_spelt(mac, addresses, self.backend))
        return text


# Each with an address of either family. In the first, which the form is made from, every word is a different one.
_EXAMPLES = (
    Guest("52:61:72:83:94:a5", ((4, 0x0B16212C), (6, 0x20A130B240C350D460E570F6810792A8))),
    Guest("00:16:3e:00:00:01", ((4, 0x0A0A0A0A), (6, 0x20010DB8001000000000000000000010))),
    Guest("02:00:00:00:00:00", ((4, 0x01000000), (6, 0xFC000000000000000000000000000001))),
    Guest("fe:ff:ff:ff:ff:ff", ((4, 0xDFFFFFFF), (6, 0x2FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF))),
)
_LINK_LOCAL = 0xFE80 << 112


def template_of(guest: Guest, backend: str) -> str:
    """The same as template()."""
    form = _form_of(guest, backend)
    return template(guest, backend) if form is None else form.fill(guest.mac, guest.addresses)


def pack(guests: Mapping[str, Guest], backend: str) -> tuple[list[Form], dict[str, Any]]:
    """(forms, what unpack() makes a template of for each guest, by the same names)."""
    # By identity: there is one object of each, and its text is long.
    numbers: dict[int, int] = {}
    forms: list[Form] = []
    found: dict[str, Any] = {}
    for name, guest in guests.items():
        form = _form_of(guest, backend)
        if form is None:
            found[name] = template(guest, backend)
            continue
        number = numbers.setdefault(id(form), len(forms))
        if number == len(forms):
            forms.append(form)
        found[name] = (number, guest.mac, guest.addresses)
    return forms, found


def unpack(ports: Mapping[str, Any]) -> dict[str, Any]:
    """The part `ports` of a slice with the templates of its guests."""
    forms = [Form(backend, text, tuple(places)) for backend, text, places in ports["forms"]]
    guests = {
        name: packed if isinstance(packed, str) else forms[packed[0]].fill(*packed[1:])
        for name, packed in ports["guests"].items()
    }
    return {**{key: value for key, value in ports.items() if key != "forms"}, "guests": guests}


def _form_of(guest: Guest, backend: str) -> Optional[Form]:
    addresses = guest.addresses
    count = len(addresses)
    if guest.pairs or guest.prefixes or not 1 <= count <= 2:
        return None
    (first, _first), (last, address) = addresses[0], addresses[-1]
    # Addresses stand in order: one above the link-local ones would change places with the guest's own.
    if (count == 2 and first >= last) or address >= _LINK_LOCAL:
        return None
    return _form(first, last, guest.roles, guest.logged, guest.open6, backend)


def _spelt(mac: str, addresses: _Addresses, backend: str) -> tuple[str, ...]:
    return _spellings_iptables(mac, addresses) if backend == IPTABLES else _spellings(mac, addresses)


@cache
def _form(first: int, last: int, roles: frozenset[str], logged: bool, open6: bool, backend: str) -> Optional[Form]:
    """The form of guests with an address of these families, or of this one; None where none is always right."""
    examples = [
        example._replace(
            addresses=tuple(item for item in example.addresses if item[0] in (first, last)),
            roles=roles,
            logged=logged,
            open6=open6,
        )
        for example in _EXAMPLES
    ]
    sample = examples[0]
    places = {text: number for number, text in enumerate(_spelt(sample.mac, sample.addresses, backend)) if text}
    found: list[int] = []

    def place(match: re.Match[str]) -> str:
        found.append(places[match[0]])
        return "%s"

    longest = sorted(places, key=len, reverse=True)
    body = re.sub("|".join(map(re.escape, longest)), place, template(sample, backend).replace("%", "%%"))
    form = Form(backend, body, tuple(found))
    right = all(form.fill(example.mac, example.addresses) == template(example, backend) for example in examples)
    return form if right else None


def _spellings(mac: str, addresses: _Addresses) -> tuple[str, ...]:
    """A guest's MAC and addresses as elements of nft have them, always in this order; "" for what it has not."""
    own = link_local(mac)
    text4 = hex4 = text6 = hex6 = ""
    for family, address in addresses:
        if family == 4:
            text4, hex4 = format_ipv4(address), hex(address)
        else:
            text6, hex6 = format_ipv6(address), hex(address)
    return mac, hex(int(mac.replace(":", ""), 16)), text4, hex4, text6, hex6, format_ipv6(own), hex(own)


def _spellings_iptables(mac: str, addresses: _Addresses) -> tuple[str, ...]:
    """The same, and as rules of iptables have them. The first words of a link-local address are the same for all."""
    address6 = next((address for family, address in addresses if family == 6), None)
    words6 = words(address6) if address6 is not None else ("",) * 4
    return (*_spellings(mac, addresses), *words6, *words(link_local(mac))[2:], *mac_words(mac))
