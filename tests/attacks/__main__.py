# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what a guard stops and lets through, in namespaces of its own or in a running lab.

python -m ansible_collections.plainlinux.vpc.tests.attacks GUARD
python -m ansible_collections.plainlinux.vpc.tests.attacks --lab NAME --plan FILE --expect open|guarded|GUARD
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from ansible_collections.plainlinux.vpc.tests.attacks.guards import COMPLETE, GUARDS, MISSES, PARTIAL, load
from ansible_collections.plainlinux.vpc.tests.attacks.inventory import NoCastError, choose
from ansible_collections.plainlinux.vpc.tests.attacks.lab import Lab
from ansible_collections.plainlinux.vpc.tests.attacks.suite import Report, examine, run
from ansible_collections.plainlinux.vpc.tests.attacks.world import FLAT, KINDS, World

# Where everything is wrong, the table says it all.
_SHOWN = 50
OPEN = "open"
GUARDED = "guarded"


def main() -> int:
    """Exit status 0 only if everything is as expected; 2 if nothing could be tried."""
    parser = argparse.ArgumentParser(prog="attacks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "guard", nargs="?", help=f"{', '.join([*GUARDS, *COMPLETE, *PARTIAL])}, or package.module:function"
    )
    parser.add_argument("--kind", choices=(*KINDS, "all"), default=FLAT)
    parser.add_argument("--bridge-nf", choices=("on", "off", "both"), default="off", help="bridge-nf-call-*")
    parser.add_argument("--bad", action="store_true", help="also list each attack passed and each exchange lost")
    parser.add_argument("--lab", help="name of a running lab: attack there, whatever guards it")
    parser.add_argument("--plan", type=Path, help="plan.json of the lab's inventory")
    parser.add_argument("--hypervisor", help="of the lab; default: where most actors are")
    parser.add_argument("--network", help="of the lab; default: with most actors")
    parser.add_argument(
        "--expect",
        choices=(OPEN, GUARDED, *PARTIAL),
        default=GUARDED,
        help="in the lab: every attack works; none does; or only those that this guard is known to let through",
    )
    options = parser.parse_args()
    if (options.lab is None) == (options.guard is None) or (options.lab is None) != (options.plan is None):
        parser.error("either a guard, or --lab with --plan")
    # What was made is removed, and what was changed is put back, also where somebody loses patience.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return _in_lab(options) if options.lab else _in_namespaces(options)


def _in_namespaces(options: argparse.Namespace) -> int:
    complete = True
    for kind in KINDS if options.kind == "all" else (options.kind,):
        for bridge_nf in {"on": (True,), "off": (False,), "both": (False, True)}[options.bridge_nf]:
            report = run(load(options.guard), World(kind, bridge_nf))
            state = "on" if bridge_nf else "off"
            print(f"guard {options.guard}, {kind} bridge, bridge-nf {state}: {report.seconds:.1f} s")
            print(report.table(), end="\n\n")
            if options.bad:
                print("\n".join(report.bad), end="\n\n")
            complete = complete and not report.bad
    return 0 if complete else 1


def _in_lab(options: argparse.Namespace) -> int:
    plan = json.loads(options.plan.read_text(encoding="utf-8"))
    try:
        cast = choose(plan, options.hypervisor, options.network)
    except NoCastError as error:
        print(error, file=sys.stderr)
        return 2
    with Lab(options.lab, cast) as lab:
        report = examine(lab)
        print(f"lab {options.lab}, {lab.world.kind} bridge, {cast.title}; d is not declared: {report.seconds:.1f} s")
        print(report.table())
    wrong = unexpected(options.expect, report)
    if wrong:
        print(f"\nNot as expected ({options.expect}): {len(wrong)}", *wrong[:_SHOWN], sep="\n")
        if len(wrong) > _SHOWN:
            print(f"and {len(wrong) - _SHOWN} more")
    return 1 if wrong else 0


def unexpected(expected: str, report: Report) -> list[str]:
    """What an open or guarded lab should not show, one a line."""
    if expected == OPEN:
        return [*(f"powerless: {line}" for line in report.powerless), *(f"lost: {line}" for line in report.lost)]
    known = MISSES.get(expected, frozenset())
    return [f"{one.id}{one.note}" for one in report.outcomes if not one.good and one.id not in known]


if __name__ == "__main__":
    sys.exit(main())
