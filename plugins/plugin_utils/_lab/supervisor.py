# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor of one lab host: boots it, boots it again when it asks for that, and plugs its guests.

Runs as a program of its own: `python -m _lab.supervisor LAB HOST`. It ends when the host is switched off.
It must not live in a mount namespace of its own, because the network namespaces that it makes are for everyone to see.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Container, Iterable
from typing import Any

from . import cgroup, control, guard, guest, machine, netns
from .host import Host, host_from_json
from .paths import Paths
from .system import LabError, log, recall, remember
from .topology import Vif, to_json, vif_from_json

# A host that has not booted by then is handed over as it is, in seconds.
BOOT_TIMEOUT = 180.0


class Guests:
    """The guests of one host. plugged: index of the bridge that each interface was plugged into, by its name.

    An interface is plugged in when its bridge appears, and once only: what happens to it afterwards is the business of
    whoever administers the host. The host's own bridges are there early in a boot, but no hypervisor starts its guests
    before the boot unit of the collection: they wait until the host has booted.
    """

    def __init__(self, host: Host, its_guard: guard.Guard) -> None:
        self.netns = host.netns
        self.late = {bridge.name for bridge in host.bridges}
        self.booted = False
        self.guard = its_guard
        self.wanted: dict[str, Vif] = {}
        self.plugged: dict[str, tuple[Vif, int]] = {}
        self.failed: dict[str, str] = {}

    def switched_off(self) -> None:
        """All cables are gone with the host's network namespace."""
        self.booted = False
        self.plugged.clear()
        self.failed.clear()

    def want(self, vifs: list[Vif]) -> None:
        """Set the interfaces that belong to this host."""
        self.wanted = {vif.vif: vif for vif in vifs}
        self.failed.clear()

    def unplug(self, fresh: set[str]) -> list[Vif]:
        """Pull out what is not wanted any more, or not as it is, or whose guest is in `fresh`. Returns what was."""
        there = netns.links(self.netns)
        gone = [
            name
            for name, (vif, _bridge) in self.plugged.items()
            if self.wanted.get(name) != vif or vif.guest in fresh or name not in there
        ]
        netns.unlink(self.netns, gone)
        if self.guard.is_there():
            self.guard.call(guard.withdraw(gone))
        pulled = [self.plugged.pop(name)[0] for name in gone]
        for vif in pulled:
            guest.forget_rules(vif)
        return pulled

    def plug(self) -> list[str]:
        """Plug in what is wanted and whose bridge is there. Returns the names of the interfaces."""
        if not self.wanted:
            return []
        there = netns.links(self.netns)
        todo: dict[str, int] = {}
        for name, vif in self.wanted.items():
            bridge = there.get(vif.bridge)
            if bridge is None or name in self.failed or (vif.bridge in self.late and not self.booted):
                continue
            index = int(bridge["ifindex"])
            if name not in self.plugged or (self.plugged[name][1] != index and name in there):
                todo[name] = index
        if not todo:
            return []
        guarded = self.guard.is_there()
        enslaved = self._each(todo, lambda vif: self._enslave(vif, guarded), there)
        if guarded:
            self.guard.call(guard.announce(self.wanted[name] for name in enslaved))
        done = self._each(enslaved, lambda vif: self._lift(vif, guarded), there)
        for name in done:
            self.plugged[name] = (self.wanted[name], todo[name])
            log(f"{name} plugged into {self.wanted[name].bridge}")
        return done

    def _each(self, names: Iterable[str], action: Callable[[Vif], None], there: Container[str]) -> list[str]:
        """Do something with interfaces; remember where it fails, and remove those that were not there before."""
        done = []
        for name in names:
            try:
                action(self.wanted[name])
                done.append(name)
            except LabError as error:
                self.failed[name] = str(error)
                log(f"{name}: {error}")
                if name not in there:
                    netns.unlink(self.netns, [name])
        return done

    def _enslave(self, vif: Vif, guarded: bool) -> None:
        lines = guest.enslave(vif)
        if vif.vif not in self.plugged:
            lines.insert(0, guest.cable(vif))
        elif guarded:
            lines.insert(0, f"link set dev {vif.vif} down")
        if not guarded:
            lines += guest.lift(vif)
        netns.batch(self.netns, lines)

    def _lift(self, vif: Vif, guarded: bool) -> None:
        if guarded:
            netns.batch(self.netns, guest.lift(vif))
        if vif.vif not in self.plugged:
            guest.configure(vif)

    def waiting(self) -> list[str]:
        """Interfaces whose bridge does not exist."""
        return [name for name in self.wanted if name not in self.plugged and name not in self.failed]


class Supervisor:
    """Runs one host from switching on to switching off."""

    def __init__(self, lab: str, name: str) -> None:
        self.paths = Paths(lab)
        spec: dict[str, Any] = json.loads(self.paths.spec(name).read_text(encoding="utf-8"))
        self.host = host_from_json(spec["host"])
        self.layers: list[str] = spec["layers"]
        self.switch: str = spec["switch"]
        self.guests = Guests(self.host, guard.Guard(self.paths, self.host.name))
        self.state = "starting"
        # pid of the host's first process, and the state that it ended its boot in
        self.booted: tuple[int, str] | None = None
        self.selector = selectors.DefaultSelector()
        self.monitor: socket.socket | None = None

    def run(self) -> None:
        """Boot until the host does not want to come back."""
        cgroup.enter(self.paths.lab, self.host.name, "keeper")
        remember(self.paths.supervisor(self.host.name), os.getpid())
        server = control.listen(self.paths.control(self.host.name))
        self.selector.register(server, selectors.EVENT_READ, self.answer)
        while True:
            self.state = "starting"
            status = self.once()
            log(f"host ended with status {status}")
            if status != machine.REBOOT:
                break
        netns.delete(self.paths, self.host.netns)
        self.paths.control(self.host.name).unlink(missing_ok=True)
        self.paths.supervisor(self.host.name).unlink(missing_ok=True)

    def once(self) -> int:
        """Run the host from boot to halt, with a fresh network namespace. Returns the status of systemd-nspawn."""
        host = self.host
        netns.delete(self.paths, host.netns)
        netns.add(self.paths, host.netns)
        machine.plug(host, self.switch)
        root = machine.prepare(self.paths, host, self.layers)
        self.monitor = netns.link_monitor(host.netns)
        self.selector.register(self.monitor, selectors.EVENT_READ, self.links_changed)
        process = machine.boot(self.paths, host, root)
        ended = os.pidfd_open(process.pid)
        self.selector.register(ended, selectors.EVENT_READ, None)
        booted = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.selector.register(booted, selectors.EVENT_READ, self.has_booted)
        waiter = threading.Thread(target=self.await_boot, args=(process, booted))
        waiter.start()
        try:
            while process.poll() is None:
                for key, _events in self.selector.select():
                    if key.data is not None:
                        key.data(key.fileobj)
        finally:
            self.paths.pid(host.name).unlink(missing_ok=True)
            waiter.join()
            self.paths.pid(host.name).unlink(missing_ok=True)
            for descriptor in (ended, booted):
                self.selector.unregister(descriptor)
                os.close(descriptor)
            self.selector.unregister(self.monitor)
            # the socket would keep the network namespace alive
            self.monitor.close()
            self.guests.switched_off()
        return process.returncode

    def await_boot(self, process: subprocess.Popen[bytes], booted: int) -> None:
        """Tell when the host has booted. Runs in a thread."""
        deadline = time.monotonic() + BOOT_TIMEOUT
        state, pid = "", None
        while process.poll() is None and time.monotonic() < deadline:
            pid = machine.first_process(self.paths, self.host.name)
            state = machine.state(pid, BOOT_TIMEOUT) if pid else ""
            if state in ("running", "degraded", "maintenance"):
                break
            time.sleep(0.02)
        if pid is not None and process.poll() is None:
            self.booted = (pid, state or "unknown")
            os.eventfd_write(booted, 1)

    def has_booted(self, booted: int) -> None:
        """Start the guests that wait for that, and let the connection plugin in."""
        os.eventfd_read(booted)
        if self.booted is None:
            return
        pid, self.state = self.booted
        log(f"host is {self.state}")
        self.guests.booted = True
        self.plug()
        remember(self.paths.pid(self.host.name), pid)

    def links_changed(self, monitor: socket.socket) -> None:
        """Look at the bridges after one or many changes of interfaces."""
        try:
            while monitor.recv(65536):
                pass
        except BlockingIOError:
            pass
        except OSError as error:
            # too many changes to keep: they are all covered by one look
            log(f"link monitor: {error}")
        self.plug()

    def plug(self) -> None:
        """Plug in what can be, outside of a request."""
        try:
            self.guests.plug()
        except LabError as error:
            log(str(error))

    def answer(self, server: socket.socket) -> None:
        """Serve one request of a lab run."""
        connection, _address = server.accept()
        with connection:
            connection.settimeout(5)
            try:
                control.send(connection, self.obey(control.receive(connection)))
            except (LabError, OSError, ValueError, KeyError) as error:
                log(f"request failed: {error}")
                try:
                    control.send(connection, {"error": str(error)})
                except OSError:
                    pass

    def obey(self, message: control.Message) -> control.Message:
        """Requests: status; unplug and plug with the interfaces that this host is to have."""
        done: list[str] = []
        pulled: list[Vif] = []
        if message["do"] == "unplug":
            # what is new here may still be plugged elsewhere
            vifs = [vif_from_json(vif) for vif in message["vifs"]]
            self.guests.want([vif for vif in vifs if self.guests.wanted.get(vif.vif) == vif])
            pulled = self.guests.unplug(set(message["fresh"]))
        elif message["do"] == "plug":
            self.guests.want([vif_from_json(vif) for vif in message["vifs"]])
            done = self.guests.plug()
        return {
            "state": self.state,
            "pid": recall(self.paths.pid(self.host.name)),
            "done": done,
            "guests": sorted({vif.guest for vif in pulled}),
            "vifs": {name: to_json(vif) for name, (vif, _bridge) in self.guests.plugged.items()},
            "waiting": self.guests.waiting(),
            "failed": self.guests.failed,
        }


def main() -> int:
    """Run the supervisor of the host that the command line names."""
    os.umask(0o022)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Supervisor(sys.argv[1], sys.argv[2]).run()
    except (LabError, OSError) as error:
        log(f"supervisor failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
