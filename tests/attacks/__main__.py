# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what a guard stops and lets through: python -m ansible_collections.plainlinux.vpc.tests.attacks GUARD."""

from __future__ import annotations

import argparse
import sys

from ansible_collections.plainlinux.vpc.tests.attacks.guards import COMPLETE, GUARDS, load
from ansible_collections.plainlinux.vpc.tests.attacks.suite import run
from ansible_collections.plainlinux.vpc.tests.attacks.world import FLAT, KINDS, World


def main() -> int:
    """Exit status 0 only if every attack was stopped and every legitimate exchange worked."""
    parser = argparse.ArgumentParser(prog="attacks", description=__doc__)
    parser.add_argument("guard", help=f"{', '.join([*GUARDS, *COMPLETE])}, or package.module:function")
    parser.add_argument("--kind", choices=(*KINDS, "all"), default=FLAT)
    parser.add_argument("--bridge-nf", choices=("on", "off", "both"), default="off", help="bridge-nf-call-*")
    parser.add_argument("--bad", action="store_true", help="also list each attack passed and each exchange lost")
    options = parser.parse_args()
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


if __name__ == "__main__":
    sys.exit(main())
