# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests inside the virtual machines, and their packets."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import expect
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import guard, guest
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.topology import Vif
from machine import Machine

AT_ONCE = 6

# Arguments: number, network namespace or -, attempts, kind, address. Prints number, status and answer. An emulated
# processor is slow: what answers late has answered.
_PROBE = """\
space= && [ "$2" = - ] || space="ip netns exec $2"
for attempt in $(seq "$3"); do
  case $4 in
    http) answer=$($space curl --silent --show-error --globoff --max-time 10 "http://$5/" 2>&1) ;;
    *) answer=$($space ping -n -q -c 1 -W 3 "$5" 2>&1 >/dev/null) ;;
  esac
  status=$?
  [ "$status" = 0 ] && break
done
echo "$1 $status" $answer
"""


def plug(machine: Machine, vifs: Iterable[Vif]) -> None:
    """Make the guests of one hypervisor as namespaces inside its machine and plug them in, as the lab does."""
    lines = ["set -e"]
    own = [vif for vif in vifs if vif.host == machine.name]
    for name in sorted({vif.guest for vif in own}):
        lines += [
            f"ip netns add {name}",
            f"ip -n {name} link set lo up",
            f"ip netns exec {name} sysctl -q -w {' '.join(guest.SYSCTLS)}",
        ]
    for vif in own:
        cable = guest.cable(dataclasses.replace(vif, netns=vif.guest))
        lines.append(_batch("", [cable, *guest.enslave(vif)]))
        lines += [f"if [ -e {guard.HELPER} ]; then", *guard.announce([vif]), "fi"]
        lines.append(_batch("", guest.lift(vif)))
        lines.append(_batch(f"-n {vif.guest}", guest.configuration(vif)))
        lines += [_batch(f"-{family} -n {vif.guest}", guest.rules(vif, family)) for family in (4, 6)]
    output = machine.shell("\n".join(lines), timeout=120)
    if output.status:
        raise LabError(f"{machine.name}: guests cannot be plugged in: {output.stderr.strip()}")


def _batch(options: str, lines: list[str]) -> str:
    text = "\n".join(lines)
    return f"ip {options} -batch - <<'END'\n{text}\nEND" if lines else ""


def send(machine: Machine, plan: Mapping[str, Any]) -> list[tuple[str, str, int, list[str]]]:
    """Send all packets of the plan that start in this machine. Rows: source, target, number sent, what was wrong."""
    instances = plan["instances"]
    probes = [probe for probe in expect.of_guests(plan) if instances[probe.source]["hypervisor"] == machine.name]
    probes += expect.of_host(plan, machine.name)
    jobs = []
    for number, probe in enumerate(probes):
        space = probe.source if probe.source in instances else "-"
        address = f"[{probe.address}]" if probe.kind == "http" and ":" in probe.address else probe.address
        attempts = 3 if probe.expect == "reach" else 1
        jobs.append(shlex.join([str(number), space, str(attempts), probe.kind, address]))
    listing = "\n".join(jobs)
    script = (
        f"cat >/run/vm-probe <<'END'\n{_PROBE}END\nxargs -P {AT_ONCE} -L 1 sh /run/vm-probe <<'END'\n{listing}\nEND"
    )
    output = machine.shell(script, timeout=60 + 10 * len(probes))
    answers = {}
    for line in output.stdout.splitlines():
        words = line.split(" ", 2)
        answers[int(words[0])] = (int(words[1]), "".join(words[2:]))
    rows: dict[tuple[str, str], tuple[int, list[str]]] = {}
    for index, probe in enumerate(probes):
        sent, wrong = rows.get((probe.source, probe.target), (0, []))
        fault = _fault(probe, answers.get(index))
        wrong = [*wrong, f"{probe.address} ({probe.kind}): {fault}"] if fault else wrong
        rows[(probe.source, probe.target)] = (sent + 1, wrong)
    return [(source, target, sent, wrong) for (source, target), (sent, wrong) in rows.items()]


def _fault(probe: expect.Probe, found: tuple[int, str] | None) -> str:
    if found is None:
        return "was not sent"
    status, answer = found
    if probe.expect == "blocked":
        return "" if status else "answered, but must not"
    if status:
        return answer or "no answer"
    return f"answered {answer!r} instead of {probe.answer!r}" if probe.answer and answer != probe.answer else ""
