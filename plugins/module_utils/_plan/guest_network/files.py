# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file plan of a hypervisor whose guests ask it for addresses."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.network import Network
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.addressing import Port
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network import paths, questions, service, texts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import Layout

# A daemon that starts may be slow where the machine is.
_SECONDS = 120
_MODE, _PROGRAM = "0644", "0755"


class GuestNetworks:
    """Of one plan. What hosts share, the names of a network's guests, is made once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._ports: dict[str, list[Port]] = {
            network.name: [] for network in layout.routed.values() if network.guests.dhcp
        }
        if self._ports:
            for port in layout.ports:
                if port.network in self._ports:
                    self._ports[port.network].append(port)
        self._names: dict[str, str] = {}
        self._questions: dict[str, list[dict[str, Any]]] = {}

    def networks(self, host: str) -> list[Network]:
        """The networks that a host serves, in order of name."""
        return [network for network in self._layout.bridges(host) if network.guests.dhcp]

    def files_of(self, host: str) -> dict[str, Any]:
        """The file plan of one hypervisor, without the plan's id; without a network to serve it has no files.

        host: its name. files, validate, apply: as the module render takes them. units: to be enabled and active when
        all files are there. questions: see questions.py.
        """
        networks = self.networks(host)
        if not networks:
            return {"host": host, "files": [], "validate": [], "apply": [], "units": [], "questions": []}
        ports = [port for port in self._layout.by_hypervisor[host] if port.network in self._ports]
        return {
            "host": host,
            "files": [
                _file(paths.MAIN, texts.main(networks)),
                _file(paths.HOSTS, texts.hosts(ports)),
                _file(paths.OPTIONS, texts.options(networks)),
                _file(paths.NAMES, texts.names_file(self._names_of(network) for network in networks)),
                _file(paths.SCRIPT, service.SCRIPT_TEXT, _PROGRAM),
                _file(paths.UNIT, service.UNIT_TEXT),
            ],
            "validate": [
                {"command": ["dnsmasq", "--test", f"--conf-file={{dest:{paths.MAIN}}}"]},
                {"command": ["sh", "-n", f"{{dest:{paths.SCRIPT}}}"]},
            ],
            "apply": [
                {"command": ["systemctl", "daemon-reload"], "when_changed": [paths.UNIT]},
                {
                    "command": ["systemctl", "try-restart", paths.SERVICE],
                    "when_changed": [paths.UNIT, paths.MAIN],
                    "timeout": _SECONDS,
                },
                {
                    "command": ["sh", paths.SCRIPT, "take-up"],
                    "when_changed": [paths.HOSTS, paths.OPTIONS, paths.NAMES],
                    "timeout": _SECONDS,
                },
            ],
            "units": [paths.SERVICE],
            "questions": [item for network in networks for item in self._questions_of(network)],
        }

    def _names_of(self, network: Network) -> str:
        if network.name not in self._names:
            self._names[network.name] = texts.names(self._ports[network.name], network)
        return self._names[network.name]

    def _questions_of(self, network: Network) -> list[dict[str, Any]]:
        if network.name not in self._questions:
            self._questions[network.name] = list(questions.of_network(network, self._ports[network.name]))
        return self._questions[network.name]


def _file(dest: str, content: str, mode: str = _MODE) -> dict[str, Any]:
    return {
        "dest": dest,
        "content": content,
        "owner": "root",
        "group": "root",
        "mode": mode,
        "folder_mode": "0755",
        "secret": False,
    }
