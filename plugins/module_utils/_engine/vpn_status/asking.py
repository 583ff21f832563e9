# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a gateway's daemons for the tunnels of the plan. Nothing is changed."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon import frr, quagga, racoon, swanctl
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.status import Argv, Bgp, DaemonError, Ipsec
from ansible_collections.plainlinux.vpc.plugins.module_utils._daemon.verdict import UP, Found, Tunnel, of
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.process import NOT_INSTALLED, PATH
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import interfaces
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import KernelError, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import RACOON, USERLAND
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import userland

TIMED_OUT = 124
# For a daemon that hangs; a busy one answers in less than a second.
PATIENCE = 10
# Seconds between two looks while tunnels come up.
PAUSE = 1.0

Ask = Callable[[Argv], Output]
# The newest of what was found, by name of the tunnel.
Look = dict[str, Found]


@dataclass(frozen=True)
class Wanted:
    """A gateway's tunnels. provider, ipsec_backend: as in the plan's summary."""

    provider: str
    ipsec_backend: str
    tunnels: tuple[Tunnel, ...]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Wanted:
        return cls(content["provider"], content["ipsec_backend"], tuple(map(Tunnel.of, content["tunnels"])))


def ask(argv: Argv) -> Output:
    """Run a program that only answers. What it prints may hold texts of the peer, in whatever encoding."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": PATH}
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        return Output(NOT_INSTALLED, "")
    except subprocess.TimeoutExpired:
        return Output(TIMED_OUT, "")
    return Output(done.returncode, done.stdout, done.stderr)


def watch(
    wanted: Wanted,
    seconds: float,
    ask: Ask = ask,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Look:
    """What there is once every tunnel is up, or after these seconds, with the prefixes."""
    end = clock() + seconds
    while True:
        found = look(wanted, ask)
        rest = end - clock()
        if rest <= 0 or all(of(tunnel, found[tunnel.name])[0] == UP for tunnel in wanted.tunnels):
            return _details(wanted, found, ask)
        sleep(min(PAUSE, rest))


def look(wanted: Wanted, ask: Ask) -> Look:
    """What there is now, by the fewest processes."""
    if not wanted.tunnels:
        return {}
    links, interfaces_error = _interfaces(ask)
    if wanted.provider == RACOON:
        found = _racoon(wanted, ask)
        by_address = {
            address.partition("/")[0]: link for link in links.values() for address in link.addresses if link.addresses
        }
        carriers = {tunnel.name: by_address.get(tunnel.inside_address or "") for tunnel in wanted.tunnels}
    else:
        found = _strongswan(wanted, ask)
        carriers = {tunnel.name: links.get(tunnel.name) for tunnel in wanted.tunnels}
    sessions, error = _sessions(wanted, ask)
    return {
        tunnel.name: dataclasses.replace(
            found[tunnel.name],
            ipsec_error=found[tunnel.name].ipsec_error or interfaces_error,
            own_interface=wanted.provider != RACOON,
            interface=carriers[tunnel.name],
            bgp=sessions.get(tunnel.peer_inside_address or "") if tunnel.bgp else None,
            bgp_error=error if tunnel.bgp else "",
        )
        for tunnel in wanted.tunnels
    }


def _interfaces(ask: Ask) -> tuple[dict[str, interfaces.Interface], str]:
    """(by name, "") or (nothing, why)."""
    output = ask(interfaces.READ.argv)
    if output.status != 0:
        return {}, _problem("ip", output)
    try:
        return interfaces.parse(output.stdout), ""
    except KernelError as error:
        return {}, str(error)


def _strongswan(wanted: Wanted, ask: Ask) -> Look:
    found: Look = {}
    for socket, tunnels in _daemons(wanted):
        output = ask(swanctl.sas(socket))
        sas: dict[str, Ipsec] = {}
        error, running = "", True
        if output.status != 0:
            silent = swanctl.not_running(output.stderr)
            error, running = silent or _problem(swanctl.PROGRAM, output), not silent
        else:
            try:
                sas = swanctl.tunnels(output.stdout)
            except DaemonError as problem:
                error = str(problem)
        for tunnel in tunnels:
            found[tunnel.name] = Found(sas.get(tunnel.name, Ipsec()), error, running)
    return found


def _daemons(wanted: Wanted) -> Iterator[tuple[str | None, tuple[Tunnel, ...]]]:
    """(vici socket, tunnels) of each strongSwan."""
    if wanted.ipsec_backend != USERLAND:
        yield None, wanted.tunnels
        return
    for tunnel in wanted.tunnels:
        yield userland.socket(tunnel.name), (tunnel,)


def _racoon(wanted: Wanted, ask: Ask) -> Look:
    isakmp, sad = ask(racoon.ISAKMP), ask(racoon.ESP)
    error, running = "", True
    if isakmp.status != 0:
        # racoonctl knows one reason only: nobody listens.
        error, running = _problem(racoon.PROGRAM, isakmp), isakmp.status in (NOT_INSTALLED, TIMED_OUT)
    elif sad.status == NOT_INSTALLED:
        error = _problem(racoon.SETKEY, sad)
    ikes, esps = racoon.isakmp(isakmp.stdout), racoon.esp(sad.stdout)
    return {
        tunnel.name: Found(Ipsec(ikes.get(tunnel.peer), esps.get((tunnel.local, tunnel.peer))), error, running)
        for tunnel in wanted.tunnels
    }


def _sessions(wanted: Wanted, ask: Ask) -> tuple[dict[str, Bgp], str]:
    """(by address of the neighbour, "") or (nothing, why)."""
    if not any(tunnel.bgp for tunnel in wanted.tunnels):
        return {}, ""
    output = ask(quagga.NEIGHBOURS if wanted.provider == RACOON else frr.NEIGHBOURS)
    if output.status != 0:
        return {}, _problem(frr.PROGRAM, output)
    if wanted.provider == RACOON:
        return quagga.sessions(output.stdout), ""
    try:
        return frr.sessions(output.stdout), ""
    except DaemonError as error:
        return {}, str(error)


def _details(wanted: Wanted, found: Look, ask: Ask) -> Look:
    """What needs more processes: the prefixes, and whether a tunnel without any SA is known at all."""
    found = dict(found)
    if wanted.provider != RACOON:
        for socket, tunnels in _daemons(wanted):
            missing = [tunnel for tunnel in tunnels if found[tunnel.name].ipsec == Ipsec()]
            missing = [tunnel for tunnel in missing if not found[tunnel.name].ipsec_error]
            if missing:
                output = ask(swanctl.connections(socket))
                known = swanctl.names(output.stdout) if output.status == 0 else None
                for tunnel in missing:
                    configured = None if known is None else tunnel.name in known
                    found[tunnel.name] = dataclasses.replace(found[tunnel.name], configured=configured)
    sessions = {
        tunnel.peer_inside_address: session
        for tunnel in wanted.tunnels
        for session in [found[tunnel.name].bgp]
        if session is not None and session.up and tunnel.peer_inside_address is not None
    }
    listed = _prefixes(wanted, sessions, ask) if sessions else {}
    for tunnel in wanted.tunnels:
        session = listed.get(tunnel.peer_inside_address or "")
        if session is not None:
            found[tunnel.name] = dataclasses.replace(found[tunnel.name], bgp=session)
    return found


def _prefixes(wanted: Wanted, sessions: Mapping[str, Bgp], ask: Ask) -> dict[str, Bgp]:
    """The sessions, by address, with their prefixes; without them where a session has ended meanwhile."""
    addresses = sorted(sessions)
    if wanted.provider != RACOON:
        output = ask(frr.routes(addresses))
        try:
            return frr.with_prefixes(sessions, addresses, output.stdout) if output.status == 0 else {}
        except DaemonError:
            return {}
    found = {}
    for address in addresses:
        lists = []
        for view in quagga.VIEWS:
            output = ask(quagga.routes(address, view))
            lists.append(quagga.prefixes(output.stdout) if output.status == 0 else None)
        received, accepted, advertised = lists
        found[address] = dataclasses.replace(
            sessions[address],
            received=received,
            accepted=accepted,
            advertised=advertised,
            received_count=None if received is None else len(received),
            accepted_count=sessions[address].accepted_count if accepted is None else len(accepted),
            advertised_count=None if advertised is None else len(advertised),
        )
    return found


def _problem(program: str, output: Output) -> str:
    """Why a program did not answer. Its standard output is not shown: that of setkey holds keys."""
    if output.status == NOT_INSTALLED:
        return f"{program} is not installed"
    if output.status == TIMED_OUT:
        return f"{program} has not answered within {PATIENCE} seconds"
    lines = [line for line in output.stderr.splitlines() if line.strip()]
    return f"{program}: {lines[-1].strip()[:200] if lines else f'status {output.status}'}"
