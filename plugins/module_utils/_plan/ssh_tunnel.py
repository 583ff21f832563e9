# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of tunnels over SSH look like: the files of one host, and the programs that check and take them up."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.ssh_tunnel import Route, Side, Tunnel
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import ssh_tunnel_texts as texts

# Stands for a key that a run in check mode cannot know: a real run makes it.
UNKNOWN = "(made by the run)"
# Kinds of host keys that a client can pin.
HOST_KEYS = ("ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-")


@dataclass
class Found:
    """What find.sh printed on a host. known: by tunnel. authorized: by account.

    accounts, foreign, taken: accounts, interfaces and prefixes with a route that are not ours.
    """

    public: dict[str, str] = field(default_factory=dict)
    host_keys: list[str] = field(default_factory=list)
    known: dict[str, list[str]] = field(default_factory=dict)
    authorized: dict[str, str] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    no_tun: bool = False
    no_include: bool = False
    network_manager: bool = False

    @classmethod
    def of(cls, output: str) -> Found:
        found = cls()
        for line in output.splitlines():
            kind, _space, rest = line.partition(" ")
            name, _space, value = rest.partition(" ")
            if kind == "public":
                found.public[name] = _key(value)
            elif kind == "host_key":
                if rest.startswith(HOST_KEYS):
                    found.host_keys.append(_key(rest))
            elif kind == "known":
                found.known.setdefault(name, []).append(_key(value))
            elif kind == "authorized":
                found.authorized[name] = _key(value)
            elif kind == "foreign_account":
                found.accounts.add(name)
            elif kind == "foreign":
                found.foreign.add(name)
            elif kind == "taken":
                found.taken.add(name)
            elif kind == "no_tun":
                found.no_tun = True
            elif kind == "no_include":
                found.no_include = True
            elif kind == "network_manager":
                found.network_manager = True
        return found


class End(NamedTuple):
    """One end of a tunnel. own, peer: the side of the planned host and the other one. routes: of the peer's site."""

    tunnel: Tunnel
    own: Side
    peer: Side
    routes: tuple[Route, ...]

    @property
    def device(self) -> str:
        return f"tun{self.own.unit}"

    @property
    def serves(self) -> bool:
        return self.own.key == "server"


def ends_of(tunnels: list[Tunnel], host: str) -> list[End]:
    """The ends on a host, in the order of the input."""
    found = []
    for tunnel in tunnels:
        if tunnel.server.host == host:
            found.append(End(tunnel, tunnel.server, tunnel.client, tunnel.client_site))
        elif tunnel.client.host == host:
            found.append(End(tunnel, tunnel.client, tunnel.server, tunnel.server_site))
    return found


def questions(ends: list[End]) -> list[str]:
    """Arguments of find.sh: what must not be somebody else's; then the keys to make, unless that stands in the way."""
    words = []
    for end in ends:
        words += [f"account:{end.tunnel.account}", f"device:{end.device}"]
        words += [f"route:{route.prefix.text}" for route in end.routes]
    made = (end.tunnel for end in ends if not end.serves and not end.tunnel.private_key_variable)
    return words + [f"key:{tunnel.name}" for tunnel in made]


class Files:
    """The files of one host. found: of each host of the run, the planned one among them.

    script: text of `tunnels`. secrets: private keys by the name of their variable. check: keys may be missing.
    service: the unit of the SSH server.
    """

    def __init__(
        self,
        ends: list[End],
        host: str,
        found: Mapping[str, Found],
        script: str,
        secrets: Mapping[str, str],
        check: bool = False,
        service: str = "ssh",
    ) -> None:
        self.ends = ends
        self.host = host
        self.own = found.get(host, Found())
        self.found = found
        self.script = script
        self.secrets = secrets
        self.check = check
        self.service = service
        self.report = Report()

    def plan(self) -> dict[str, Any]:
        """Arguments of the module render: files, validate, apply. Mistakes are in report afterwards."""
        self._refuse()
        files = self._common() if self.ends else []
        for end in self.ends:
            files += self._served(end) if end.serves else self._called(end)
        served = [end for end in self.ends if end.serves]
        if served:
            files.append(_file(texts.SSHD, texts.sshd(served)))
        return {"files": files, "validate": self._checks(served), "apply": self._programs()}

    def _refuse(self) -> None:
        """What stands in the way on the host."""
        for end in self.ends:
            path, name = end.tunnel.path, end.tunnel.account
            if end.device in self.own.foreign:
                self.report.add(
                    f"{path}.{end.own.key}_unit", f"{end.device} is there on {self.host} already and is not ours"
                )
            if name in self.own.accounts:
                self.report.add(
                    f"{path}.account",
                    f"{name} is an account on {self.host} already and is not ours: choose another one",
                )
            for route in end.routes:
                if route.prefix.text in self.own.taken:
                    self.report.add(
                        route.path, f"{route.prefix.text} has a route on {self.host} already that is not ours"
                    )
        if self.own.no_tun and self.ends:
            self.report.add(f"hosts.{self.host}", "/dev/net/tun is missing: the kernel has no tunnels")
        if self.own.no_include and any(end.serves for end in self.ends):
            self.report.add(
                f"hosts.{self.host}", "/etc/ssh/sshd_config must have the line: Include /etc/ssh/sshd_config.d/*.conf"
            )

    def _common(self) -> list[dict[str, Any]]:
        clients = [end.tunnel.name for end in self.ends if not end.serves]
        mss = texts.mss([(end.device, end.tunnel.mtu) for end in self.ends if end.routes])
        devices = [end.device for end in self.ends]
        files = [
            _file(texts.SCRIPT, self.script, mode="0755"),
            _file(f"{texts.FOLDER}/state", self._state(mss != "")),
            _file(texts.SYSUSERS, texts.sysusers([(end.tunnel.account, end.tunnel.name) for end in self.ends])),
            _file(f"{texts.UNITS}/{texts.UNIT}.service", texts.unit(clients)),
            _file(texts.NETWORK, texts.network(devices)),
            _file(texts.NETWORKD, texts.NETWORKD_TEXT),
        ]
        if mss:
            files += [_file(f"{texts.FOLDER}/mss.nft", mss), _file(texts.NFTABLES, texts.NFTABLES_TEXT)]
        if self.own.network_manager:
            files.append(_file(texts.NETWORK_MANAGER, texts.network_manager(devices)))
        return files

    def _state(self, mss: bool) -> str:
        """The file `state`, in the words of the script."""
        lines = ["unit active", "unit enabled"]
        for end in self.ends:
            tunnel = end.tunnel
            lines += [f"device {end.device} {tunnel.account} {tunnel.mtu}", f"account {tunnel.account}"]
            for family in (4, 6):
                address = tunnel.address(end.own.key, family)
                if address is not None:
                    lines.append(f"address {end.device} {format_address(family, address[0])}/{address[1].length}")
            lines += [f"route {end.device} {route.prefix.text}" for route in end.routes]
            # A network of the own site: what comes out of the tunnel goes on to it.
            for route in (*tunnel.server_site, *tunnel.client_site):
                lines.append(f"forward {route.prefix.family}")
            if end.serves:
                lines.append(f"served {tunnel.account}")
            else:
                lines.append(f"client {tunnel.name}")
                if not tunnel.private_key_variable:
                    lines.append(f"key {tunnel.name}")
        if mss:
            lines.append("mss")
        return "".join(f"{line}\n" for line in sorted(set(lines)))

    def _served(self, end: End) -> list[dict[str, Any]]:
        tunnel = end.tunnel
        given = tunnel.public_key
        made = self._of_peer(end).public.get(tunnel.name) or self.own.authorized.get(tunnel.account)
        key = given or made or self._unknown(f"{tunnel.path}.public_key", "the client's public key", end)
        return [_file(f"{texts.AUTHORIZED}/{tunnel.account}", texts.authorized(end.own.unit, key, tunnel.name))]

    def _called(self, end: End) -> list[dict[str, Any]]:
        tunnel = end.tunnel
        keys = list(tunnel.host_keys) or self._of_peer(end).host_keys or self.own.known.get(tunnel.name, [])
        if not keys:
            keys = [self._unknown(f"{tunnel.path}.host_keys", "the server's host key", end)]
        files = [
            _file(f"{texts.KNOWN_HOSTS}/{tunnel.name}", texts.known_hosts(tunnel.name, keys)),
            _file(f"{texts.UNITS}/{texts.UNIT}-{tunnel.name}.service", texts.client(tunnel)),
        ]
        if tunnel.private_key_variable:
            secret = self.secrets.get(tunnel.private_key_variable, "")
            problem = private_key_problem(secret, tunnel.public_key)
            if problem:
                self.report.add(f"{tunnel.path}.private_key_variable", f"{tunnel.private_key_variable} {problem}")
            files.append({**_file(f"{texts.GIVEN}/{tunnel.name}", secret, mode="0600"), "secret": True})
        return files

    def _of_peer(self, end: End) -> Found:
        return self.found.get(end.peer.host, Found())

    def _unknown(self, path: str, what: str, end: End) -> str:
        if not self.check:
            self.report.add(path, f"{what} is needed: {end.peer.host} must be part of this run, or write it here")
        return UNKNOWN

    def _checks(self, served: list[End]) -> list[dict[str, Any]]:
        """The whole of the SSH server's configuration with the new file. What counts, `tunnels served` asks later."""
        if not served:
            return []
        whole = f"printf 'Include %s\\nInclude /etc/ssh/sshd_config\\n' '{{dest:{texts.SSHD}}}' | sshd -f /dev/stdin -t"
        return [{"command": ["sh", "-c", f"mkdir -p /run/sshd && {whole}"]}]

    def _programs(self) -> list[dict[str, Any]]:
        programs: list[dict[str, Any]] = []
        accounts = [end.tunnel.account for end in self.ends if end.serves]
        if accounts:
            programs.append({"command": [texts.SCRIPT, "served", *accounts], "when_changed": [texts.SSHD]})
        if self.ends:
            programs.append({"command": ["systemd-sysusers", texts.SYSUSERS], "when_changed": [texts.SYSUSERS]})
        programs += [
            {"command": ["systemctl", "daemon-reload"], "when_changed": [f"{texts.UNITS}/*"]},
            _reload("systemd-networkd", "networkctl reload", "/etc/systemd/network*"),
            _reload("NetworkManager", "systemctl reload NetworkManager", texts.NETWORK_MANAGER),
        ]
        # Not a restart: sessions go on.
        programs.append({"command": ["systemctl", "try-reload-or-restart", self.service], "when_changed": [texts.SSHD]})
        if not self.ends:
            return programs
        programs.append({"command": [texts.SCRIPT, "up"], "when_changed": [f"{texts.FOLDER}/*"]})
        for end in self.ends:
            name = end.tunnel.name
            if end.serves:
                # Who came in with the old key goes; 1: nobody did.
                programs.append(
                    {
                        "command": ["pkill", "-KILL", "-u", end.tunnel.account],
                        "ok": [0, 1],
                        "when_changed": [f"{texts.AUTHORIZED}/{end.tunnel.account}"],
                    }
                )
            else:
                own = (
                    f"{texts.UNITS}/{texts.UNIT}-{name}.service",
                    f"{texts.KNOWN_HOSTS}/{name}",
                    f"{texts.GIVEN}/{name}",
                )
                programs.append(
                    {"command": ["systemctl", "try-restart", f"{texts.UNIT}-{name}"], "when_changed": list(own)}
                )
        return programs


def private_key_problem(text: str, public: str) -> str:
    """Why a private key cannot be used, "" where it can. Never holds a part of it. public: `type blob`."""
    if not text:
        return "is not defined for the client, or empty"
    lines = text.split()
    if (
        lines[:4] != "-----BEGIN OPENSSH PRIVATE KEY-----".split()
        or lines[-4:] != "-----END OPENSSH PRIVATE KEY-----".split()
    ):
        return "is not a private key in OpenSSH's own format, as ssh-keygen writes it"
    try:
        content = base64.b64decode("".join(lines[4:-4]), validate=True)
    except ValueError:
        return "is not a whole private key"
    # A magic word, then the cipher; further on the public key in the clear (openssh PROTOCOL.key).
    if not content.startswith(b"openssh-key-v1\0\0\0\0\4none"):
        return "has a passphrase: nobody would be there to type it"
    if base64.b64decode(public.split()[1]) not in content:
        return "is not the private key of public_key"
    if not text.endswith("\n"):
        return "lacks the newline at its end: write it as a block, with |"
    return ""


def _reload(unit: str, command: str, pattern: str) -> dict[str, Any]:
    """A service that may be there takes up its files."""
    return {
        "command": ["sh", "-c", f"! systemctl is-active --quiet {unit} || {command}"],
        "when_changed": [pattern],
    }


def _file(dest: str, content: str, mode: str = "0644") -> dict[str, Any]:
    return {"dest": dest, "content": content, "mode": mode}


def _key(text: str) -> str:
    """`type blob` of a public key, without its comment."""
    return " ".join(text.split()[:2])
