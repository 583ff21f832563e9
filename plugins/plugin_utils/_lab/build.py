# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a lab, or change it into another one: what is there and right stays, the rest is removed or made."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from . import control, guest, image, inotify, machine, netns, teardown, transit, underlay
from .aws import key
from .aws.ipsec import SERVICE
from .aws.machines import PACKAGES
from .host import Host
from .paths import Paths
from .system import LabError, recall, start, write
from .topology import Topology, Vif, to_json

Item = TypeVar("Item")
Result = TypeVar("Result")

BOOT_TIMEOUT = 240.0
# To begin with, and for each interface: more than the patience of the guard.
PLUG_TIMEOUT = (45.0, 1.0)
REKEYED = "rekeyed"


@dataclass(frozen=True)
class Options:
    """What the user decides about hosts. packages: for the package repository. mirror: None for this machine's own."""

    suite: str
    packages: tuple[str, ...]
    cache: Path
    mirror: str | None = None

    def lowers(self) -> list[Path]:
        """The lower layers of a host, topmost first."""
        return list(image.layers(self.cache, self.suite, self.packages, self.mirror))

    def double(self) -> list[Path]:
        """The lower layers of a machine that Ansible does not configure, topmost first."""
        return [image.double(self.lowers(), self.suite, PACKAGES), *self.lowers()]


@dataclass
class Report:
    """What was made. hosts, guests, removed: a word for each; the message of a failure for failed."""

    image_built: bool = False
    underlay: bool = False
    hosts: dict[str, str] = field(default_factory=dict)
    guests: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    failed_units: dict[str, list[str]] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything was made or removed."""
        return bool(self.image_built or self.underlay or self.hosts or self.guests or self.removed)


def in_parallel(action: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Call a function for all items at once. If some fail, the first failure is raised when all have ended."""
    todo = list(items)
    if not todo:
        return []
    with ThreadPoolExecutor(max_workers=min(32, len(todo))) as pool:
        return list(pool.map(action, todo))


def present(topology: Topology, options: Options, keys: Mapping[str, str], check: bool = False) -> Report:
    """Make the lab that a topology describes. With `check`, only say what would be made.

    keys: the pre-shared key of each tunnel, by the name of the tunnel.
    """
    paths = Paths(topology.lab)
    if topology.connections:
        options = replace(options, packages=(*options.packages, *PACKAGES))
        if not check and not os.path.exists(machine.TUN):
            raise LabError(f"{machine.TUN}: is missing; the other end of a VPN connection needs it")
    layers = options.double() if topology.connections else options.lowers()
    report = Report(image_built=not all(layer.is_dir() for layer in layers))
    names = [topology.underlay, topology.internet, *(host.netns for host in topology.hosts)]
    netns.refuse_foreign(paths, [*names, *map(topology.guest_netns, topology.guests)])
    if check:
        _foresee(report, paths, topology, options, keys)
        return report
    # a host whose directories only root can read is no host
    os.umask(0o022)
    report.image_built = image.ensure(options.cache, options.suite, options.packages, options.mirror)
    if topology.connections:
        report.image_built |= image.ensure_double(options.lowers(), options.suite, PACKAGES)
    machine.load_modules()
    with paths.locked():
        paths.make()
        report.removed = _remove_superfluous(paths, topology)
        inotify.demand([host for host in topology.hosts if not recall(paths.supervisor(host.name))])
        fresh_switch = underlay.create_switch(paths, topology)
        report.underlay = underlay.create_internet(paths, topology) or fresh_switch
        made = [
            name
            for name, is_made in zip(topology.guests, in_parallel(_maker(paths, topology), topology.guests))
            if is_made
        ]
        report.guests = dict.fromkeys(made, "created")
        ports = netns.links(topology.underlay)
        words = in_parallel(
            lambda host: _ensure_host(paths, topology, host, _layers(options, host), ports, keys.get(host.name)),
            topology.hosts,
        )
        report.hosts = {host.name: word for host, word in zip(topology.hosts, words) if word}
        _plug(report, paths, topology, made)
        for host in topology.hosts:
            _inspect(report, paths, host)
    return report


def _maker(paths: Paths, topology: Topology) -> Callable[[str], bool]:
    return lambda name: guest.create(paths, topology.guest_netns(name))


def _layers(options: Options, host: Host) -> list[str]:
    return [str(layer) for layer in (options.double() if host.files else options.lowers())]


def _foresee(report: Report, paths: Paths, topology: Topology, options: Options, keys: Mapping[str, str]) -> None:
    """Fill a report with what would be made, from what can be read without changing anything."""
    report.underlay = not (netns.exists(topology.underlay) and netns.exists(topology.internet)) or transit.differs(
        paths, topology.internet, topology.connections, topology.underlay_addresses
    )
    report.removed = sorted(_superfluous(paths, topology))
    report.guests = {name: "created" for name in topology.guests if not netns.exists(topology.guest_netns(name))}
    ports = netns.links(topology.underlay)
    for host in topology.hosts:
        word = _difference(paths, topology, host, _layers(options, host), ports)
        if word or key.differs(paths, host.name, keys.get(host.name)):
            report.hosts[host.name] = word or REKEYED
        there = control.request(paths.control(host.name), {"do": "status"})["vifs"] if not word else {}
        wanted = {vif.vif: to_json(vif) for vif in topology.vifs if vif.host == host.name}
        for vif in [*wanted.values(), *there.values()]:
            if vif["guest"] in topology.guests and wanted.get(vif["vif"]) != there.get(vif["vif"]):
                report.guests.setdefault(vif["guest"], "plugged")


def _superfluous(paths: Paths, topology: Topology) -> set[str]:
    """Hosts (by name) and guests (as vm-NAME) of the lab that are not in the topology."""
    there = teardown.hosts(paths) | teardown.guests(paths)
    return there - {host.name for host in topology.hosts} - {f"vm-{name}" for name in topology.guests}


def _remove_superfluous(paths: Paths, topology: Topology) -> list[str]:
    names = sorted(_superfluous(paths, topology))
    for name in names:
        if name.startswith("vm-"):
            netns.delete(paths, f"{paths.lab}-{name}")
        else:
            ports = teardown.ports(paths, name)
            teardown.remove_host(paths, name)
            netns.unlink(topology.underlay, ports)
    return names


def _specification(topology: Topology, host: Host, layers: Sequence[str]) -> str:
    data = {"host": to_json(host), "layers": list(layers), "switch": topology.underlay}
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def _difference(
    paths: Paths, topology: Topology, host: Host, layers: Sequence[str], ports: dict[str, dict[str, Any]]
) -> str | None:
    """What must be done about a host: rebuilt, created, started; None if it runs as it should."""
    disk = paths.disk(host.name)
    record = disk / "layers"
    if not record.exists():
        return "created"
    if record.read_text(encoding="utf-8").split("\n")[:-1] != list(layers):
        return "rebuilt"
    spec = paths.spec(host.name)
    if not spec.exists() or spec.read_text(encoding="utf-8") != _specification(topology, host, layers):
        return "started"
    # a host that is booting has no first process yet, but a supervisor and cables
    if not recall(paths.supervisor(host.name)) or not _plugged(ports, host):
        return "started"
    return None


def _plugged(ports: dict[str, dict[str, Any]], host: Host) -> bool:
    return all(ports.get(cable.port, {}).get("master") == cable.bridge for cable in host.cables)


def _ensure_host(
    paths: Paths,
    topology: Topology,
    host: Host,
    layers: Sequence[str],
    ports: dict[str, dict[str, Any]],
    psk: str | None,
) -> str | None:
    """Have a host up and running. Returns what was done, None if nothing. psk: that of an endpoint."""
    word = _difference(paths, topology, host, layers, ports)
    if word:
        machine.stop(paths, host.name)
        if word != "started":
            teardown.remove_disk(paths, host.name)
        paths.var.mkdir(mode=0o755, parents=True, exist_ok=True)
        paths.disk(host.name).mkdir(mode=0o755, exist_ok=True)
        write(paths.disk(host.name) / "layers", "".join(f"{layer}\n" for layer in layers))
        key.put(paths, host.name, psk)
        write(paths.spec(host.name), _specification(topology, host, layers))
        paths.log(host.name).unlink(missing_ok=True)
        process = start("supervisor", [paths.lab, host.name], paths.log(host.name))
        pid = _await_host(paths, host, lambda: process.poll() is not None)
    else:
        pid = _await_host(paths, host, lambda: recall(paths.supervisor(host.name)) is None)
        if key.put(paths, host.name, psk):
            machine.restart(pid, SERVICE)
            word = REKEYED
    if not netns.exists(host.netns):
        # its name was removed by hand; the namespace lives on with the host
        netns.attach(paths, host.netns, pid)
        word = word or "named"
    return word


def _await_host(paths: Paths, host: Host, hopeless: Callable[[], bool]) -> int:
    """Wait until a host is up, or `hopeless` says that it will not be. Returns the pid of its first process."""
    process = paths.pid(host.name)

    def is_up() -> bool:
        return recall(process) is not None

    if not teardown.wait(is_up, BOOT_TIMEOUT, unless=hopeless):
        log = paths.log(host.name)
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        raise LabError(f"lab host {host.name} did not come up; the end of {log}:\n{text[-2000:]}")
    return recall(process) or 0


def _plug(report: Report, paths: Paths, topology: Topology, fresh: Sequence[str]) -> None:
    """Have every guest plugged where it belongs: first pull all cables that are wrong, then put in the new ones."""

    def ask(do: str, host: Host) -> control.Message:
        vifs = [to_json(vif) for vif in topology.vifs if vif.host == host.name]
        message = {"do": do, "vifs": vifs, "fresh": list(fresh)}
        reply = control.request(paths.control(host.name), message, PLUG_TIMEOUT[0] + PLUG_TIMEOUT[1] * len(vifs))
        if "error" in reply:
            raise LabError(f"lab host {host.name}: {reply['error']}")
        return reply

    owners = {(vif.host, vif.vif): vif for vif in topology.vifs}
    for reply in in_parallel(lambda host: ask("unplug", host), topology.hosts):
        for name in reply["guests"]:
            if name in topology.guests:
                report.guests.setdefault(name, "unplugged")
    plugged: list[Vif] = []
    for host, reply in zip(topology.hosts, in_parallel(lambda host: ask("plug", host), topology.hosts)):
        plugged += [owners[(host.name, name)] for name in reply["done"]]
        report.waiting += [
            f"{owners[(host.name, name)].guest}: {host.name} has no bridge for {name}" for name in reply["waiting"]
        ]
        report.failed.update(
            {f"{owners[(host.name, name)].guest} ({name})": text for name, text in reply["failed"].items()}
        )
    for vif in plugged:
        report.guests[vif.guest] = "plugged" if report.guests.get(vif.guest) != "unplugged" else "replugged"
    for name in guest.await_addresses(sorted({vif.netns for vif in plugged if vif.address6})):
        report.failed[name] = "duplicate address detection found another owner of its IPv6 address"


def _inspect(report: Report, paths: Paths, host: Host) -> None:
    """Report the units of a host that failed."""
    pid = recall(paths.pid(host.name))
    state = control.request(paths.control(host.name), {"do": "status"})["state"]
    if pid and state != "running":
        units = machine.failed_units(pid)
        if units:
            report.failed_units[host.name] = units
