# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's own kernel under what the collection makes: usage and scope in README.md beside this file."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path[:0] = [str(TOP / ".build"), str(HERE)]
sys.dont_write_bytecode = True

from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError  # noqa: E402
from boot import Boot  # noqa: E402
from scenario import Scenario, install  # noqa: E402
from vpn import Vpn  # noqa: E402

SCENARIOS: dict[str, type[Scenario]] = {"boot": Boot, "vpn": Vpn}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def show(rows: Sequence[tuple[str, str, str, str]]) -> None:
    order = {host: number for number, host in enumerate(dict.fromkeys(row[0] for row in sorted(rows)))}
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for host, what, fault, remark in sorted(rows, key=lambda row: order[row[0]]):
        line = f"{host:{widths[0]}}  {what:{widths[1]}}  {'FAILED' if fault else 'ok':6}  {remark}"
        print(line.rstrip())
        if fault:
            print("".join(f"    {part}\n" for part in fault.split("; ")), end="")


def interrupted(number: int, _frame: object) -> NoReturn:
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise SystemExit(128 + number)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=SCENARIOS, help="default: all scenarios, one after the other")
    example = os.environ.get("INVENTORY") or str(TOP / "inventories/example")
    parser.add_argument(
        "-i", "--inventory", default=example, help="of the boot scenario; default: $INVENTORY, then inventories/example"
    )
    parser.add_argument("-e", "--extra-vars", action="append", default=[], help="for the playbooks: lab_suite=trixie")
    parser.add_argument(
        "--without-unit",
        action="append",
        default=[],
        metavar="HOST",
        help="boot scenario: boot this host with its boot unit disabled, to see the test fail",
    )
    return parser.parse_args(arguments)


def attempt(test: Scenario) -> int:
    """Run one scenario, show what it found; gives the number of failures."""
    for number in SIGNALS:
        signal.signal(number, interrupted)
    try:
        test.clean()
        test.run()
    except (LabError, ValueError) as error:
        # what cannot be looked at is not as it should be
        test.results.add("test", "could be made", str(error))
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        test.clean()
    rows = test.results.rows
    show(rows)
    failed = sum(1 for row in rows if row[2])
    print(f"{len(rows) - failed} passed, {failed} failed")
    return failed if rows else 1


def main() -> int:
    arguments = parse(sys.argv[1:])
    if os.geteuid() != 0 or os.uname().machine != "x86_64":
        print("this test needs root, on an x86-64 machine", file=sys.stderr)
        return 2
    install()
    failed = 0
    for name in [arguments.only] if arguments.only else SCENARIOS:
        start = time.monotonic()
        failed += attempt(SCENARIOS[name](arguments))
        print(f"scenario {name} took {time.monotonic() - start:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
