# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook and look at every process of this machine and of the lab's machines meanwhile: none may show a key.

Ends with the playbook's exit status, or with 99 where a key was seen in a process list, or the looking did not work.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import canary
import twin as lab

_PAUSE = 0.004
# A process is looked at when it is new, some times more while it may still become another program, and then rarely.
_LOOKS = 6
_RARELY = 250
_CONTROL = "control.of.the.watch."
_CONTROLS = {"cmdline: a control", "environ: another control"}
_SEEN = 99


class Watch(threading.Thread):
    """Looks at command lines and environments."""

    def __init__(self, words: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._words = {name: word.encode() for name, word in words.items()}
        self._looks: dict[str, int] = {}
        self.seen: dict[str, str] = {}
        self.processes = 0
        self.rounds = 0
        self.over = threading.Event()

    def run(self) -> None:
        own = {str(os.getpid())}
        while not self.over.wait(_PAUSE):
            there = {name for name in os.listdir("/proc") if name.isdigit()} - own
            self._looks = {name: count for name, count in self._looks.items() if name in there}
            for name in there:
                count = self._looks.get(name, 0)
                self.processes += not count
                self._looks[name] = count + 1
                if count < _LOOKS or count % _RARELY == 0:
                    self._look(name)
            self.rounds += 1

    def _look(self, process: str) -> None:
        for file in ("cmdline", "environ"):
            try:
                content = Path("/proc", process, file).read_bytes()
            except OSError:
                continue
            for name, word in self._words.items():
                if word in content:
                    self.seen[f"{file}: {name}"] = content[:40].replace(b"\0", b" ").decode(errors="replace")


def main() -> int:
    found = argparse.ArgumentParser(description=__doc__)
    found.add_argument("--lab", required=True)
    found.add_argument("--host", required=True)
    found.add_argument("--output", required=True, type=Path)
    found.add_argument("--keys", required=True, type=Path, nargs="+")
    found.add_argument("command", nargs="+")
    given = found.parse_args()
    keys = canary.read(given.keys)
    controls = {"a control": f"{_CONTROL}cmdline", "another control": f"{_CONTROL}environ"}
    watch = Watch({**keys, **controls})
    watch.start()
    with given.output.open("wb") as output:
        playbook = subprocess.Popen(given.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        machine = lab.Machines(given.lab).entered(given.host)
        shown, hidden = controls.values()
        # Who is quick may be missed once where the machine is busy.
        while playbook.poll() is None and not set(watch.seen) >= _CONTROLS:
            for command in (["sh", "-c", "sleep 0.1", "sh", shown], ["env", f"CONTROL={hidden}", "sleep", "0.1"]):
                subprocess.run([*machine, *command], check=True)
            time.sleep(0.5)
        status = playbook.wait()
    watch.over.set()
    watch.join()
    keyed = {what: who for what, who in watch.seen.items() if what.partition(": ")[2] in keys}
    missed = _CONTROLS - set(watch.seen)
    lab.say(f"{watch.processes} processes in {watch.rounds} rounds; with a key: {keyed or 'none'}")
    if missed:
        lab.say(f"FAILED: controls that were not seen: {missed}")
    return _SEEN if keyed or missed else status


if __name__ == "__main__":
    sys.exit(main())
