# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of backend nftables as the role installs it: the planner's table, then the helper for every VIF."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import vif as helper
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Context, Delta, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.nft import Nft
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_ipv4, parse_ipv6
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof import state
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy as Rules
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF
from ansible_collections.plainlinux.vpc.tests.attacks.policy import Policy, Vif
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology


def guest_of(vif: Vif) -> Guest:
    """A declared VIF in the planner's words."""
    addresses = [(4, parse_ipv4(address)) for address in vif.addresses4]
    addresses += [(6, parse_ipv6(address)) for address in vif.addresses6]
    pairs = [
        (pair.mac, 6, parse_ipv6(pair.address)) if ":" in pair.address else (pair.mac, 4, parse_ipv4(pair.address))
        for pair in vif.pairs
    ]
    return Guest(vif.mac, tuple(addresses), tuple(pairs), (), vif.roles)


def install(folder: Path, guests: list[Guest]) -> Path:
    """Write the helper and its files below a folder, as the role does below /; gives the helper's path."""
    for path, text in helper.files(guests, {}).items():
        file = folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    program = folder / helper.HELPER.lstrip("/")
    program.chmod(0o755)
    return program


def guard(topology: Topology, policy: Policy) -> None:
    """The table by the engine's own script, and one call of the helper for each VIF."""
    put(topology, Rules(uplinks=policy.uplinks), {vif.name: guest_of(vif) for vif in policy.vifs})


def put(topology: Topology, rules: Rules, guests: Mapping[str, Guest]) -> None:
    """Install a guard that need not be the one of the topology's policy, and check that nft has what was planned."""
    nft = Nft()
    desired = state.static(rules)
    context = Context(ANTISPOOF, desired)
    for command in nft.put(context, Delta.between({}, desired)):
        topology.run(*command.argv, stdin=command.stdin)
    with tempfile.TemporaryDirectory() as folder:
        program = install(Path(folder), list(guests.values()))
        for name, guest in guests.items():
            topology.run("env", f"PLAINLINUX_VPC_RUN={folder}/run", str(program), "add", name, guest.mac)
    found = nft.parse(context, [Output(0, topology.run(*command.argv)) for command in nft.read(context)[:1]])
    wanted = {**desired, **state.of_guests(guests)}
    assert found == wanted, Delta.between(found, wanted)
