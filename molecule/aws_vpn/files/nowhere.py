# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look where no key may be: what playbooks printed, the plan, and the files and journals of all machines of the lab.

On a machine, a key is in its own file and nowhere else; a key that is no longer used is in no file.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import canary
import twin as lab

# Whatever was written while the machine ran. The rest came with its image.
_PLACES = "dev/shm etc home opt root run srv tmp usr/local var"


def main() -> int:
    found = argparse.ArgumentParser(description=__doc__)
    found.add_argument("--lab", required=True)
    found.add_argument("--keys", required=True, type=Path, nargs="+")
    found.add_argument("--places", required=True, type=Path, nargs="+", help="on this machine")
    found.add_argument("--own", required=True, nargs=3, action="append", help="name of a key, its machine, its file")
    given = found.parse_args()
    keys = canary.read(given.keys)
    missed = canary.control(keys)
    if missed:
        lab.fail(f"the search does not find what is there: {missed}")
    wrong = [f"{path} here: {name}" for path, name in _here(given.places, keys)]
    machines = lab.Machines(given.lab)
    expected = {tuple(own) for own in given.own}
    there = {(name, machine, path) for machine in machines.names() for name, path in _on(machines, machine, keys)}
    wrong += [f"{path} on {machine}: {name}" for name, machine, path in sorted(there - expected)]
    for name, machine, path in sorted(expected - there):
        wrong.append(f"{path} on {machine} lacks {name}, so that the search proves nothing")
    lab.say(f"{len(keys)} keys, {len(machines.names())} machines: in their own files {len(there & expected)} times")
    if wrong:
        lab.fail("; ".join(wrong))
    return 0


def _here(places: list[Path], keys: dict[str, str]) -> list[tuple[str, str]]:
    found = []
    for place in places:
        files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
        if not files:
            lab.fail(f"there is nothing in {place}")
        for path in files:
            found += [(str(path), name) for name in canary.named(path.read_bytes(), keys)]
    return found


def _on(machines: lab.Machines, machine: str, keys: dict[str, str]) -> list[tuple[str, str]]:
    """(name of a key, file that has it) of one machine; its journal is `journal`."""
    patterns = "".join(f"{form.decode()}\n" for key in keys.values() for form in set(canary.forms(key)))
    done = machines.on(machine, "sh", "-c", f"cd / && exec grep -rlsF -f - {_PLACES}", stdin=patterns)
    found = []
    for path in done.stdout.splitlines():
        content = machines.on(machine, "cat", f"/{path}").stdout.encode()
        found += [(name, f"/{path}") for name in canary.named(content, keys)]
    journal = subprocess.run(
        [*machines.entered(machine), "journalctl", "--no-pager", "--all", "--output", "export"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    ).stdout
    if not re.search(rb"(?m)^MESSAGE=", journal):
        lab.fail(f"{machine} has no journal")
    return found + [(name, "journal") for name in canary.named(journal, keys)]


if __name__ == "__main__":
    sys.exit(main())
