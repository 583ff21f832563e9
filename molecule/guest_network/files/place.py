# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of this scenario: its guests, what the plan says of each, and commands in their namespaces."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import name_query
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import netns
from lab_place import Lab, fail, say, wait

__all__ = ["CARD", "SERVICE", "Guest", "Place", "all_of", "fail", "parser", "say", "wait"]

CARD = "eth0"
SERVICE = "plainlinux-vpc-guest-network.service"
Item = TypeVar("Item")
Result = TypeVar("Result")


def all_of(action: Callable[[Item], Iterable[Result]], items: Iterable[Item]) -> list[Result]:
    """What a function finds for all items, up to 16 at a time: each waits for others most of its time."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        return [found for results in pool.map(action, items) for found in results]


def parser(text: str) -> argparse.ArgumentParser:
    """lab, plan and keep (folders); a program adds its own. keep: for what clients remember from run to run."""
    found = argparse.ArgumentParser(description=text)
    found.add_argument("--lab", required=True)
    found.add_argument("--plan", required=True, type=Path)
    found.add_argument("--keep", required=True, type=Path)
    return found


@dataclass(frozen=True)
class Guest:
    """A guest and what the plan has for it. told: `guests_get` of its network."""

    name: str
    host: str
    network: str
    mac: str
    address: str | None
    gateway: str | None
    address6: str | None
    told: dict[str, Any]

    @property
    def addresses(self) -> dict[int, str]:
        """Without lengths, by family."""
        found = {4: self.address, 6: self.address6}
        return {family: text.partition("/")[0] for family, text in found.items() if text}

    def servers(self, family: int) -> list[str]:
        """DNS servers of one family."""
        return [server for server in self.told["dns"] if (":" in server) == (family == 6)]


class Place(Lab):
    """The lab, and the plan that it has now."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__(str(given.lab))
        self.keep: Path = given.keep
        self.keep.mkdir(exist_ok=True)
        summary = json.loads((given.plan / "plan.json").read_text(encoding="utf-8"))
        self.hosts: dict[str, dict[str, Any]] = summary["hosts"]
        self.networks: dict[str, dict[str, Any]] = summary["networks"]
        self.guests = {name: self._guest(name, item) for name, item in summary["instances"].items()}

    def _guest(self, name: str, item: dict[str, Any]) -> Guest:
        (card,) = item["interfaces"]
        network = self.networks[card["network"]]
        return Guest(
            name,
            item["hypervisor"],
            card["network"],
            card["mac"],
            card["address"],
            card["gateway"] if card["address"] else None,
            card["address6"],
            network["guests_get"],
        )

    def served(self) -> list[Guest]:
        """Those in a network with dhcp."""
        return [guest for guest in self.guests.values() if guest.told["dhcp"]]

    def must(self, name: str, *command: str) -> str:
        """What a command prints that must succeed."""
        done = self.inside(name, *command)
        if done.returncode:
            fail(f"{' '.join(command)} in {name}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """A program that runs in a namespace until it is ended."""
        return subprocess.Popen(
            ["ip", "netns", "exec", f"{self.lab}-{name}", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def names(self, name: str, server: str, asked: str, family: int) -> list[str]:
        """The addresses that a server has for a name, asked from inside a namespace. Raises NoAnswerError."""
        return netns.inside(f"{self.lab}-{name}", lambda: name_query.addresses(server, asked, family))

    def forget(self, name: str, accept: bool = True) -> None:
        """Make a guest one that has just been switched on, without any configuration but a link-local address.

        accept: whether its kernel listens to router advertisements.
        """
        where = f"vm-{name}"
        self.must(where, "ip", "link", "set", CARD, "down")
        self.must(where, "ip", "address", "flush", "dev", CARD)
        self.must(where, "ip", "link", "set", CARD, "mtu", "1500")
        settings = {"accept_ra": int(accept), "autoconf": int(accept), "accept_ra_rtr_pref": 1, "mtu": 1500}
        words = [f"net.ipv6.conf.{CARD}.{key}={value}" for key, value in settings.items()]
        self.must(where, "sysctl", "-q", "-w", *words)
        self.must(where, "ip", "link", "set", CARD, "up")
        wait(f"{name} has a link-local address", 20, lambda: self.ready(where))

    def configure(self, guest: Guest) -> None:
        """Give a guest by hand what the plan has for it, as the lab did."""
        where = f"vm-{guest.name}"
        for address, gateway in ((guest.address, guest.gateway), (guest.address6, "fe80::1")):
            if address and gateway:
                self.must(where, "ip", "address", "add", address, "dev", CARD)
                self.must(where, "ip", "route", "add", "default", "via", gateway, "dev", CARD)

    def ready(self, where: str) -> bool:
        """Whether a namespace has a link-local address that duplicate address detection is done with."""
        text = self.must(where, "ip", "-6", "-o", "address", "show", "dev", CARD, "scope", "link")
        return bool(text) and "tentative" not in text

    def plugged(self, guests: Iterable[Guest]) -> None:
        """Wait until the lab has plugged in guests, and has configured them."""

        def is_plugged(guest: Guest) -> bool:
            words = ("ip", "-o", "address", "show", "dev", CARD, "scope", "global")
            text = self.inside(f"vm-{guest.name}", *words).stdout
            # Last, it gets its routes.
            routes = [
                self.inside(f"vm-{guest.name}", "ip", f"-{family}", "route", "show", "default").stdout
                for family in guest.addresses
            ]
            return all(routes) and all(f" {address}/" in text for address in guest.addresses.values())

        for guest in guests:
            wait(f"{guest.name} is plugged", 60, lambda guest=guest: is_plugged(guest))  # type: ignore[misc]
