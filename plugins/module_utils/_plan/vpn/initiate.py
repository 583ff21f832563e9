# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A timer that initiates tunnels which strongSwan has given up.

It tries for ever where no answer comes (`keyingtries = 0`), and again where a peer dies or closes (`dpd_action`,
`close_action`). It does nothing more where the peer refuses, as one does whose key is changed later than ours, or after
somebody has ended a tunnel by hand. The kernel's ESP has traps, which mend that, but only where there is traffic, and
not before the kernel has forgotten the last attempt (net.core.xfrm_acq_expires: 30 s, or what somebody made of it).
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import USERLAND
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.userland import FOLDER, socket

PROGRAM = f"{FOLDER}/initiate"
SERVICE = "plainlinux-vpc-vpn-initiate.service"
TIMER = "plainlinux-vpc-vpn-initiate.timer"
# From the end of one look to the next.
SECONDS = 20


def service(gateway: Gateway) -> str:
    """Looks at all tunnels, one after the other. What systemd says of each look is not worth a line in the journal."""
    commands = "".join(f"ExecStart=-{PROGRAM} {' '.join(words)}\n" for words in _arguments(gateway))
    return f"""\
[Unit]
Description=IPsec tunnels that are down are initiated

[Service]
Type=oneshot
LogLevelMax=notice
{commands}"""


def timer() -> str:
    return f"""\
[Unit]
Description=Look for IPsec tunnels that are down

[Timer]
OnActiveSec={SECONDS}s
OnUnitInactiveSec={SECONDS}s
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def _arguments(gateway: Gateway) -> Iterable[tuple[str, ...]]:
    """Of the program, for each tunnel."""
    for plan in gateway.tunnels:
        yield (plan.name, *(("--uri", f"unix://{socket(plan.name)}") if gateway.ipsec == USERLAND else ()))


# An SA that is not established is on its way up or down; an active or queued task may lead to a child.
SCRIPT = """\
#!/bin/sh
# usage: initiate TUNNEL [--uri URI]
# Initiate a tunnel that has no SA for its packets, unless there is a daemon's own attempt under way.
set -eu
tunnel=$1
shift
run=
# Profiles of distributions know the distributions' own paths only.
if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && command -v aa-exec >/dev/null; then
  run="aa-exec -p unconfined --"
fi
# Where no daemon answers, its unit starts it, and the daemon the tunnel.
sas=$(timeout 10 $run swanctl --list-sas --ike "$tunnel" "$@" 2>/dev/null) || exit 0
echo "$sas" | awk '
  /^[^ ]/ && !/^[^ ]+: #[0-9]+, ESTABLISHED,/ || /^  [^ ]+: #[0-9]/ || /^ +(active|queued): / { busy = 1 }
  END { exit busy }
' || exit 0
timeout 10 $run swanctl --initiate --ike "$tunnel" --child "$tunnel" --timeout -1 "$@" >/dev/null 2>&1 || :
"""
