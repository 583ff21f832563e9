# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked at: dumps that must be the same in a lab host and in its virtual machine, and the machine's boot."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import (
    FailedError,
    Options,
    RefusedError,
    Transaction,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.systemd import UNIT
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SCOPES
from machine import Machine

Shell = Callable[[str], Output]

UNIT_RESTARTED = "unit restarted"
# What an upgrade or an administrator may do on a running host. Started, nftables.service flushes all tables.
EVENTS = {
    UNIT_RESTARTED: f"systemctl restart {UNIT}",
    "networkd restarted": "systemctl restart systemd-networkd.service",
    "nftables stopped and started": "for verb in start stop start; do systemctl $verb nftables.service; done",
    "nftables restarted": "systemctl restart nftables.service",
    "nftables reloaded": "systemctl reload nftables.service",
}
# Nothing waits for what systemd does to other units on the way.
SETTLED = 'sleep 1; while [ "$(systemctl show --property NJobs --value)" != 0 ]; do sleep 0.5; done'

_SYSCTLS = "cat /etc/plainlinux-vpc/*/sysctl | cut -d' ' -f1 | sed 's,^,/proc/sys/,' | sort -u"
_LINES_SHOWN = 8
# of what a kind of link has
_SHOWN = (
    "stp_state",
    "vlan_filtering",
    "mcast_snooping",
    "isolated",
    "hairpin",
    "neigh_suppress",
    "proxy_arp",
    "if_id",
)


@dataclass
class Results:
    """Rows of the table: host, what was looked at, what was found wrong ("" if nothing), a remark."""

    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add(self, host: str, what: str, fault: str, remark: str = "") -> None:
        self.rows.append((host, what, fault, remark))


def dumps(shell: Shell, ports: Collection[str], iptables: bool) -> dict[str, list[str]]:
    """All that a host's kernel holds, by kind, without what differs at every boot.

    ports: the hypervisor's ends of guests' cables; their hardware addresses are random.
    iptables: whether this host has rules there.
    """

    def ask(text: str) -> str:
        output = shell(text)
        if output.status:
            raise ValueError(f"{text}: status {output.status}: {output.stderr.strip()}")
        return output.stdout

    found = {
        "links": _links(json.loads(ask("ip -d -j link show"))),
        "addresses": _addresses(json.loads(ask("ip -d -j addr show")), ports),
        "rules": _lines(ask("ip -4 -N rule show; ip -6 -N rule show")),
        "routes": _routes(ask("ip -4 -N route show table all; ip -6 -N route show table all"), ports),
        "nftables": _nftables(ask("nft -s list ruleset")),
        "sysctls": _lines(ask(f"{_SYSCTLS} | xargs grep -H '' 2>&1; true")),
    }
    if iptables:
        text = ask("for tool in iptables ip6tables; do echo $tool; $tool-save | grep -v '^#'; done; ipset save | sort")
        found["iptables"] = _tables(re.sub(r" \[\d+:\d+\]| (initval|hashsize|bucketsize) \w+", "", text))
    return found


def _nftables(text: str) -> list[str]:
    """Without what packets leave in sets that they may add to."""
    sets = re.compile(r"^\tset \S+ \{\n.*?^\t\}\n", re.MULTILINE | re.DOTALL)
    elements = re.compile(r"^\t\telements = \{.*?\}\n", re.MULTILINE | re.DOTALL)
    found = sets.sub(lambda match: elements.sub("", match[0]) if "flags dynamic" in match[0] else match[0], text)
    return found.splitlines()


def _tables(text: str) -> list[str]:
    """In one order of the tables, which else have that in which they were made; without those that do nothing.

    The tools make a table with its first rule, and leave it: an empty one is everybody's.
    """
    tool = ""
    tables: dict[tuple[str, str], list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line in ("iptables", "ip6tables"):
            tool, name = line, ""
        elif line.startswith("*"):
            name = line
        tables.setdefault((tool, name), []).append(line)
        if line == "COMMIT":
            name = "~"
    idle = re.compile(r"\*\w+|:[A-Z]+ ACCEPT|COMMIT")
    return [line for _key, lines in sorted(tables.items()) if not all(map(idle.fullmatch, lines)) for line in lines]


def _lines(text: str) -> list[str]:
    return sorted(" ".join(line.split()) for line in text.splitlines() if line.strip())


def _links(links: list[Mapping[str, Any]]) -> list[str]:
    found = []
    for link in links:
        info = link.get("linkinfo", {})
        data = {**info.get("info_data", {}), **info.get("info_slave_data", {})}
        # a lab host's card is one end of a cable, that of a machine is a card
        kind = "card" if link["ifname"] == "eth0" else info.get("info_kind", "-")
        words = [link["ifname"], kind, f"mtu {link['mtu']}"]
        if "master" not in link:
            alias, mode = link.get("ifalias", "-"), link.get("inet6_addr_gen_mode", "-")
            words += [link.get("address", "-"), f"alias {alias}", mode]
        words += [f"master {link.get('master', '-')}", *sorted({"UP", "LOWER_UP"} & set(link["flags"]))]
        words += [f"{name} {data[name]}" for name in _SHOWN if name in data]
        found.append(" ".join(words))
    return sorted(found)


def _addresses(links: list[Mapping[str, Any]], ports: Collection[str]) -> list[str]:
    flags = ("tentative", "dadfailed", "deprecated", "dynamic", "nodad")
    return sorted(
        " ".join(
            [
                link["ifname"],
                f"{entry['local']}/{entry['prefixlen']}",
                entry["scope"],
                *(f for f in flags if f in entry),
            ]
        )
        for link in links
        for entry in link.get("addr_info", [])
        if link["ifname"] not in ports
    )


def _routes(text: str, ports: Collection[str]) -> list[str]:
    lines = [line for line in _lines(text) if not any(f" dev {port} " in f"{line} " for port in ports)]
    return [line.replace(" linkdown", "") for line in lines]


def difference(wanted: list[str], found: list[str]) -> str:
    """What is missing (-) and what is too much (+), on one line; "" if nothing."""
    lines = [
        line
        for line in difflib.unified_diff(wanted, found, lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    more = [f"... {len(lines)} lines in all"] if len(lines) > _LINES_SHOWN else []
    return "; ".join(lines[:_LINES_SHOWN] + more)


def booted(machine: Machine, results: Results) -> None:
    """Whether systemd is content, and whether the boot unit ran, once and without a word."""
    state = machine.shell("systemctl is-system-running --wait", timeout=120).stdout.strip()
    failed = machine.shell("systemctl --failed --plain --no-legend | cut -d' ' -f1").stdout.split()
    results.add(machine.name, "systemd", "" if state == "running" else f"{state}: {', '.join(failed)}", state)
    names = "ActiveState,UnitFileState,Result,NRestarts"
    text = machine.shell(f"systemctl show -p {names},ExecMainStartTimestampMonotonic {UNIT}").stdout
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    wanted = {"ActiveState": "active", "UnitFileState": "enabled", "Result": "success", "NRestarts": "0"}
    faults = [f"{name} is {values.get(name)}" for name, value in wanted.items() if values.get(name) != value]
    # its own words only, not what systemd says about it
    words = machine.shell(f"journalctl -b -o cat --no-pager -u {UNIT} -t boot").stdout.strip().splitlines()
    faults += [f"it said: {line}" for line in words[-_LINES_SHOWN:]]
    seconds = int(values.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    results.add(machine.name, UNIT, "; ".join(faults), f"started {seconds:.0f} s after the kernel")
    modules = machine.shell(
        "cat /etc/plainlinux-vpc/*/module 2>/dev/null | sort -u | while read -r module; do"
        ' [ -d "/sys/module/$module" ] && echo "$module loaded" || echo "$module missing"; done'
    ).stdout.splitlines()
    missing = [line for line in modules if not line.endswith(" loaded")]
    results.add(machine.name, "modules", ", ".join(missing), f"{len(modules)} wanted")


def as_planned(machine: Machine, role: str, content: Mapping[str, Any], upper: str, lock: str) -> tuple[str, str]:
    """Compare a machine's kernel with a slice of the plan, as verify does; the engine's questions go to the machine.

    upper: where the files of its disk can be read. Returns a fault ("" if there is none) and a remark.
    """
    objects = sum(len(state) for state in content["state"].values())
    options = Options(check=True, removal_limit=None, root=upper, lock=lock)
    try:
        result = Transaction(SCOPES[role], content, options, machine.run).apply()
    except (RefusedError, FailedError) as error:
        return str(error), ""
    wrong = [
        f"{name} {key}: {delta.before.get(key, 'missing')} instead of {delta.after.get(key, 'nothing')}"
        for name, delta in result.deltas.items()
        for key in sorted({*delta.before, *delta.after})
    ]
    more = [f"... {len(wrong)} of {objects} objects"] if len(wrong) > _LINES_SHOWN else []
    return "; ".join(wrong[:_LINES_SHOWN] + more), f"{objects} objects"
