# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of the role guest_network are."""

from __future__ import annotations

SERVICE = "plainlinux-vpc-guest-network.service"
UNIT = f"/etc/systemd/system/{SERVICE}"
FOLDER = "/etc/plainlinux-vpc/guest_network"
MAIN = f"{FOLDER}/dnsmasq.conf"
HOSTS = f"{FOLDER}/hosts"
OPTIONS = f"{FOLDER}/options"
NAMES = f"{FOLDER}/names"
SCRIPT = f"{FOLDER}/leases"
# The unit's StateDirectory: leases, and the file of hosts that the running dnsmasq read.
STATE = "plainlinux-vpc-guest-network"
LEASES = f"/var/lib/{STATE}/leases"
KNOWN = f"/var/lib/{STATE}/hosts"
