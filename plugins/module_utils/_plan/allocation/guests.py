# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and MACs of every interface: what the inventory says, what the lock file keeps, and what is given now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_ipv4, format_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.guest_settings import slaac_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance import Instance, Interface
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.lock import Allocation, Lock
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.model import Model
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import identity
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation import changes, search
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.claims import Claims
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.freed import OTHERS_FIRST, Freed
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.allocation.refusals import Refusals

_Kept = tuple["int | None", "int | None", "str | None"]
_NOTHING: _Kept = (None, None, None)


class _Place:
    """A network, with what 100,000 guests ask of it.

    low to high: what a guest can have, by family. given: whether addresses of the family are given at all. by_address:
    whether MACs follow from IPv4 addresses. start, clock: how many addresses were given, before this run and now.
    """

    __slots__ = ("by_address", "clock", "given", "given6", "high", "high6", "low", "low6", "network", "slaac", "start")

    def __init__(self, network: Network) -> None:
        self.network = network
        self.slaac = network.guests.slaac and network.cidr6 is not None
        self.given, self.given6 = network.cidr is not None, network.cidr6 is not None and not self.slaac
        self.low, self.high = _limits(network.cidr, 1)
        self.low6, self.high6 = _limits(network.cidr6, 0)
        self.by_address = not search.from_name(network, 0)
        self.start = self.clock = 0

    def fits(self, family: int, address: int) -> bool:
        if family == 4:
            return self.low <= address <= self.high
        return self.low6 <= address <= self.high6


def _limits(prefix: Prefix | None, last: int) -> tuple[int, int]:
    return (prefix.first + 1, prefix.last - last) if prefix is not None else (0, -1)


class _Open(NamedTuple):
    """An interface that lacks something. at: its place among all. item: its line. kept: what of that is good."""

    at: int
    instance: Instance
    number: int
    ordinal: int
    vif: str
    item: Allocation | None
    kept: _Kept


class Guests:
    """Interfaces in order of guest name. First all is kept that can be, then the rest is given.

    names: of networks, in the inventory by that in the file. claims: the inventory's. macs: all that are taken; whoever
    gives others adds them between the two steps. lines and freed, for the file, and changes are the result besides.
    """

    def __init__(self, model: Model, lock: Lock, names: Mapping[str, str], report: Report) -> None:
        self._model = model
        self.claims = Claims(model)
        self._refusals = Refusals(model, self.claims, lock.name, report)
        self._places = {name: _Place(network) for name, network in model.networks.items()}
        held, freed = _present(lock.guests, names), _present(lock.freed, names)
        self._held = {(item.network, item.guest, item.ordinal): item for item in held}
        self._freed = Freed(freed)
        self._taken: dict[int, set[int]] = {}
        for item in (*held, *freed):
            place = self._places[item.network]
            if item.number > place.clock:
                place.start = place.clock = item.number
        gone = (item for items in (lock.guests, lock.freed) for item in items if item.network not in names)
        self.changes = [changes.of_guest(changes.GONE, item) for item in gone]
        # Also what is freed now: nobody shall get it at once.
        for family, addresses in (
            (4, [item.address for items in (held, freed) for item in items]),
            (6, [item.address6 for items in (held, freed) for item in items]),
        ):
            self._taken[family] = self.claims.taken(family, addresses)
        self.macs = set(self.claims.macs)
        self.lines: list[Allocation] = []
        self.freed: list[Allocation] = []
        self._open: list[_Open] = []
        self._ports: list[Port | None] = []

    def keep(self) -> None:
        """Keep of the file what is good. What it contradicts is reported."""
        vifs, bridges = self.claims.vifs, self.claims.bridges
        places, held = self._places, self._held
        for instance in self._model.instances.values():
            ordinals: dict[str, int] = {}
            for index, interface in enumerate(instance.interfaces):
                name = interface.network
                ordinals[name] = ordinal = ordinals.get(name, 0) + 1
                vif = interface.vif or search.free_vif(vifs, bridges, instance, index)
                item = held.pop((name, instance.name, ordinal), None)
                if item is not None and self._is_whole(places[name], interface, item):
                    self.lines.append(item)
                    self._ports.append(self._port(instance, index, vif, item[1:4]))
                    continue
                kept = _NOTHING if item is None else self._parts(places[name], interface, item)
                self._open.append(_Open(len(self._ports), instance, index, ordinal, vif, item, kept))
                self._ports.append(None)
        for item in held.values():
            self._free(item, item.address, item.address6)
        self._refusals.finish(self._model.networks)
        self.macs.update(item.mac for item in self.lines if item.mac is not None)
        self.macs.update(entry.kept[2] for entry in self._open if entry.kept[2] is not None)

    def give(self) -> list[Port]:
        """Give all interfaces what they lack. The result is all of them."""
        for entry in self._open:
            self._ports[entry.at] = self._complete(entry)
        self.freed = self._freed.left(self._remains)
        return [port for port in self._ports if port is not None]

    def _is_whole(self, place: _Place, interface: Interface, item: Allocation) -> bool:
        """Whether a line is all that its interface needs: nothing is to be given, freed or refused."""
        _network, address, address6, mac = item[:4]
        if interface.address is None and place.given and 4 in interface.families:
            if address is None or not place.low <= address <= place.high or address in self.claims.addresses[4]:
                return False
        elif address is not None:
            return False
        if interface.address6 is None and place.given6 and 6 in interface.families:
            if address6 is None or not place.low6 <= address6 <= place.high6 or address6 in self.claims.addresses[6]:
                return False
        elif address6 is not None:
            return False
        if interface.mac is not None or mac is None:
            return interface.mac is not None and mac is None
        if mac in self.claims.macs:
            return False
        if not place.by_address:
            return True
        final = interface.address if address is None else address
        return final is not None and mac == identity.mac_of_address(final)

    def _parts(self, place: _Place, interface: Interface, item: Allocation) -> _Kept:
        """What of a line can be kept. The rest is freed where the interface no longer wants it, else reported."""
        address = self._part(place, item, 4, interface.address is None and 4 in interface.families)
        wanted = interface.address6 is None and 6 in interface.families and not place.slaac
        address6 = self._part(place, item, 6, wanted)
        self._free(
            item,
            item.address if item.address not in (address, interface.address) else None,
            item.address6 if item.address6 not in (address6, interface.address6) and not place.slaac else None,
        )
        if interface.mac is not None or item.mac is None:
            return address, address6, None
        if item.mac in self.claims.macs:
            self._refusals.claimed_mac(item)
        final = interface.address if address is None else address
        final6 = interface.address6 if address6 is None else address6
        follows = (final is not None or final6 is not None) and search.follows(place.network, item.mac, final, final6)
        return address, address6, item.mac if follows else None

    def _part(self, place: _Place, item: Allocation, family: int, wanted: bool) -> int | None:
        """An address of a line, if the interface wants it and can have it."""
        address = item.address if family == 4 else item.address6
        if address is None or not wanted:
            return None
        if not place.fits(family, address):
            self._refusals.outside(item, family)
            return None
        if address in self.claims.addresses[family]:
            self._refusals.claimed(item, family)
        return address

    def _free(self, item: Allocation, address: int | None, address6: int | None) -> None:
        place = self._places[item.network]
        address = address if address is not None and place.fits(4, address) else None
        address6 = address6 if address6 is not None and place.fits(6, address6) else None
        if address is not None or address6 is not None:
            freed = item._replace(address=address, address6=address6, number=place.start, line=0, text="")
            self._freed.add(freed)
            self.changes.append(changes.of_guest(changes.FREED, freed))

    def _remains(self, item: Allocation) -> Allocation | None:
        """What of a freed line stays in the file."""
        place = self._places[item.network]
        address, address6 = (
            value if value is not None and place.fits(family, value) and value not in claimed else None
            for family, value, claimed in (
                (4, item.address, self.claims.addresses[4]),
                (6, item.address6, self.claims.addresses[6]),
            )
        )
        if place.clock - item.number >= OTHERS_FIRST:
            return None
        if (address, address6) == item[1:3]:
            return item
        return item._replace(address=address, address6=address6, text="")

    def _complete(self, entry: _Open) -> Port:
        interface = entry.instance.interfaces[entry.number]
        place = self._places[interface.network]
        network, index, name = place.network, entry.number, entry.instance.name
        owner = (network.name, name, entry.ordinal)
        address, address6, mac = entry.kept
        was = place.clock
        back = False
        if interface.address is None and address is None and place.given and 4 in interface.families:
            address, back = self._address(place, owner, 4, index, was)
        if interface.address6 is None and address6 is None and place.given6 and 6 in interface.families:
            address6, back6 = self._address(place, owner, 6, index, was)
            back = back or back6
        if mac is None and interface.mac is None:
            final = interface.address if address is None else address
            final6 = interface.address6 if address6 is None else address6
            mac = self._freed.mac(owner)
            if mac is None or mac in self.macs or not search.follows(network, mac, final, final6):
                mac = search.free_mac(self.macs, network, final, final6, name, index)
            self.macs.add(mac)
        found = (address, address6, mac)
        if found != _NOTHING:
            self._line(entry, owner, found, place.clock if place.clock > was else None, back)
        elif entry.item is not None:
            self.changes.append(changes.of_guest(changes.GONE, entry.item))
        return self._port(entry.instance, index, entry.vif, found)

    def _line(self, entry: _Open, owner: tuple[str, str, int], found: _Kept, number: int | None, back: bool) -> None:
        """The line for what was found. number: of what was given now, None where all was known before."""
        item = entry.item
        if item is not None and item[1:4] == found:
            self.lines.append(item)
            return
        if number is None:
            number = item.number if item is not None and found[:2] != (None, None) else 0
        new = Allocation(owner[0], *found, owner[1], owner[2], number)
        self.lines.append(new)
        what = changes.CHANGED if item is not None else changes.AGAIN if back else changes.NEW
        self.changes.append(changes.of_guest(what, new))

    def _address(
        self, place: _Place, owner: tuple[str, str, int], family: int, index: int, was: int
    ) -> tuple[int | None, bool]:
        """An address, and whether the owner had it before. was: the network's clock before this interface."""
        claimed = self.claims.addresses[family]

        def fits(address: int) -> bool:
            return place.fits(family, address) and address not in claimed

        network = place.network
        address = self._freed.back(owner, family, fits)
        if address is not None:
            return address, True
        prefix = network.cidr if family == 4 else network.cidr6
        if prefix is not None:
            address = search.free_address(self._taken[family], prefix, owner[1], index)
        if address is None:
            # Rather one that is to rest than none.
            address = self._freed.oldest(network.name, family, fits)
        if address is None:
            self._refusals.full(network, family, owner[1])
        place.clock = was + 1
        return address, False

    def _port(self, instance: Instance, index: int, vif: str, found: _Kept) -> Port:
        interface = instance.interfaces[index]
        address, address6, given = found
        if address is None:
            address = interface.address
        if address6 is None:
            address6 = interface.address6
        mac = interface.mac or given or ""
        place = self._places[interface.network]
        if place.slaac and 6 in interface.families and place.network.cidr6 is not None:
            wanted = slaac_address(place.network.cidr6, mac)
            if address6 not in (None, wanted):
                self._refusals.slaac(f"{interface.path}.address6", address6 or 0, wanted, mac, place.network)
            address6 = wanted
        # Made once: the router, the hypervisor and the summary all want them.
        texts: tuple[tuple[int, str], ...] = ((4, format_ipv4(address)),) if address is not None else ()
        if address6 is not None:
            texts = (*texts, (6, format_ipv6(address6)))
        return Port(instance.name, index, instance.hypervisor, interface.network, address, address6, mac, vif, texts)


def _present(items: Iterable[Allocation], names: Mapping[str, str]) -> list[Allocation]:
    """Lines of networks that are there, under the names that those have in the inventory."""
    found = []
    for item in items:
        name = names.get(item.network)
        if name == item.network:
            found.append(item)
        elif name is not None:
            found.append(item._replace(network=name, text=""))
    return found
