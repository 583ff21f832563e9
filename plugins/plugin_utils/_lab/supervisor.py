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
from typing import Any

from . import cgroup, control, guest, machine, netns, underlay
from .paths import Paths
from .system import LabError, log, recall, remember
from .topology import Vif, host_from_json, to_json, vif_from_json

# A host that has not booted by then is handed over as it is, in seconds.
BOOT_TIMEOUT = 60.0


class Guests:
    """The guests of one host. plugged: index of the bridge that each interface was plugged into, by its name.

    An interface is plugged in when its bridge appears, and once only: what happens to it afterwards is the business of
    whoever administers the host.
    """

    def __init__(self, host_netns: str) -> None:
        self.netns = host_netns
        self.wanted: dict[str, Vif] = {}
        self.plugged: dict[str, tuple[Vif, int]] = {}
        self.failed: dict[str, str] = {}

    def switched_off(self) -> None:
        """All cables are gone with the host's network namespace."""
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
        pulled = [self.plugged.pop(name)[0] for name in gone]
        for vif in pulled:
            guest.forget_rules(vif)
        return pulled

    def plug(self) -> list[str]:
        """Plug in what is wanted and whose bridge is there. Returns the names of the interfaces."""
        if not self.wanted:
            return []
        there = netns.links(self.netns)
        done = []
        for name, vif in self.wanted.items():
            bridge = there.get(vif.bridge)
            if bridge is None or name in self.failed:
                continue
            index = int(bridge["ifindex"])
            if name in self.plugged and (self.plugged[name][1] == index or name not in there):
                continue
            try:
                if name in self.plugged:
                    netns.batch(self.netns, guest.connect(vif))
                else:
                    guest.plug(vif, self.netns)
            except LabError as error:
                self.failed[name] = str(error)
                log(f"{name}: {error}")
                if name not in there:
                    netns.unlink(self.netns, [name])
                continue
            self.plugged[name] = (vif, index)
            done.append(name)
            log(f"{name} plugged into {vif.bridge}")
        return done

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
        self.guests = Guests(self.host.netns)
        self.state = "starting"
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
        machine.plug_underlay(host, self.switch, underlay.BRIDGE)
        root = machine.prepare(self.paths, host, self.layers)
        self.monitor = netns.link_monitor(host.netns)
        self.selector.register(self.monitor, selectors.EVENT_READ, self.links_changed)
        process = machine.boot(self.paths, host, root)
        ended = os.pidfd_open(process.pid)
        self.selector.register(ended, selectors.EVENT_READ, None)
        waiter = threading.Thread(target=self.await_boot, args=(process,))
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
            self.selector.unregister(ended)
            os.close(ended)
            self.selector.unregister(self.monitor)
            # the socket would keep the network namespace alive
            self.monitor.close()
            self.guests.switched_off()
        return process.returncode

    def await_boot(self, process: subprocess.Popen[bytes]) -> None:
        """Let the connection plugin in once the host has booted. Runs in a thread."""
        deadline = time.monotonic() + BOOT_TIMEOUT
        state, pid = "", None
        while process.poll() is None and time.monotonic() < deadline:
            pid = machine.first_process(self.paths, self.host.name)
            state = machine.state(pid, BOOT_TIMEOUT) if pid else ""
            if state in ("running", "degraded", "maintenance"):
                break
            time.sleep(0.02)
        if pid is not None and process.poll() is None:
            remember(self.paths.pid(self.host.name), pid)
            self.state = state or "unknown"
            log(f"host is {self.state}")

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
