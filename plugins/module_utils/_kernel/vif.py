# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that tells a host's guard which port is which guest: names of ports change with each start of a guest.

It is called by hooks of hypervisors and by hand, so it is POSIX shell, and knows only files that the role wrote beside
it: `guests/<mac with dashes>`, one for each guest (see _plan/antispoof/guests.py), and `names`, lines of name and MAC
of the ports whose names the plan knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.systemd import FOLDER
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.vif_script import SCRIPT
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest, file_name, template
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import ANTISPOOF

HELPER = f"{FOLDER}/{ANTISPOOF.name}/vif"


def files(guests: Iterable[Guest], names: Mapping[str, str]) -> dict[str, str]:
    """Path -> text of all that the helper reads. names: MAC by name of the port."""
    folder = f"{FOLDER}/{ANTISPOOF.name}"
    found = {f"{folder}/guests/{file_name(guest.mac)}": template(guest) for guest in guests}
    found[f"{folder}/names"] = "".join(f"{name} {mac}\n" for name, mac in sorted(names.items()))
    found[HELPER] = SCRIPT
    return found
