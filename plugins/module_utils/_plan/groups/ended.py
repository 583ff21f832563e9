# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows that a changed policy no longer allows: the engine marks them in conntrack, these rules drop their packets.

Forgotten by conntrack instead, a flow would be taken up in the middle by the next packet that an end may send: a
download went on for as long as it was watched, in a group whose egress is open, and so did questions by UDP of which an
answer was on its way. To refuse all TCP that begins in the middle is no way out: connections of a guest that has just
moved here, or of a host that has just begun to filter, do.
"""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import SECURITY_GROUPS

# In the upper half of a connection's mark; the mark of its packets is another one. Not one bit: somebody uses each of
# them, and this drops packets of the whole host. The lower half stays. A mask of all of the upper one, nft would print
# in other words.
ENDED, ENDED_MASK = 0x5EC50000, 0x7FFF0000
# After conntrack, and before anybody routes, translates or accepts.
_PRIORITY = -150


def rules() -> dict[str, str]:
    """Objects of subsystem nft, for either backend."""
    table = f"inet {SECURITY_GROUPS.table}"
    found = {table: "table"}
    for hook in ("prerouting", "output"):
        found[f"{table} chain ended_{hook}"] = (
            f"type filter hook {hook} priority {_PRIORITY}; policy accept;\n"
            f"ct mark & {ENDED_MASK:#010x} == {ENDED:#010x} drop"
        )
    return found
