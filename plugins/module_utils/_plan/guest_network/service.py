# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of dnsmasq, and how it takes up new files."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_network.paths import (
    FOLDER,
    HOSTS,
    KNOWN,
    LEASES,
    MAIN,
    SCRIPT,
    SERVICE,
    STATE,
)

DNSMASQ = "/usr/sbin/dnsmasq"

# CAP_NET_ADMIN: neighbour entries of clients without an address. CAP_NET_RAW: advertisements, sockets of an interface.
_CAPABILITIES = "CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_RAW"

UNIT_TEXT = f"""\
[Unit]
Description=Addresses and names for guests (plainlinux.vpc)
Documentation=file:{FOLDER} man:dnsmasq(8)
After=network.target plainlinux-vpc.service
# It tries for ever.
StartLimitIntervalSec=0

[Service]
ExecStartPre=/bin/sh {SCRIPT} prune
ExecStart={DNSMASQ} --keep-in-foreground --conf-file={MAIN}
# Who starts it is told where it ends at once, as when somebody else has the port.
ExecStartPost=/bin/sleep 1
ExecReload=/bin/sh {SCRIPT} note
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=5
# Two sockets for every address of a bridge.
LimitNOFILE=65536

DynamicUser=yes
StateDirectory={STATE}
StateDirectoryMode=0750
AmbientCapabilities={_CAPABILITIES}
CapabilityBoundingSet={_CAPABILITIES}
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0027

[Install]
WantedBy=multi-user.target
"""

# dnsmasq gives nobody an address that is leased to another, also not who has it now: so a lease lasts only as long as
# the line of its guest does. One of IPv6 is another's as soon as a guest has another DUID, as after an installation;
# these go whenever dnsmasq starts: who renews one that is gone asks for the address anew (RFC 8415, 18.2.10.1).
SCRIPT_TEXT = f"""\
#!/bin/sh
# usage: leases prune|note|take-up
# prune: before dnsmasq reads them, forget leases of IPv6, and those of guests whose line is not what it was. note:
# remember the lines that it reads. take-up: have it read new files; where a line has gone, prune.
set -eu
new={HOSTS} old={KNOWN} leases={LEASES}

note() {{
  cp "$new" "$old.new"
  mv "$old.new" "$old"
}}

case $1 in
note) note ;;
prune)
  [ -e "$old" ] || : >"$old"
  if [ -e "$leases" ]; then
    awk '
      FILENAME == ARGV[1] {{ known[$0] = 1; next }}
      FILENAME == ARGV[2] {{
        if ($0 in known) {{
          count = split($0, words, ",")
          for (number = 1; number <= count; number++) kept[words[number]] = 1
        }}
        next
      }}
      $3 in kept
    ' "$old" "$new" "$leases" >"$leases.new"
    mv "$leases.new" "$leases"
  fi
  note
  ;;
take-up)
  systemctl -q is-active {SERVICE} || exit 0
  if [ -e "$old" ] && grep -qvxFf "$new" "$old"; then
    systemctl restart {SERVICE}
  else
    systemctl reload {SERVICE}
  fi
  ;;
*) exit 2 ;;
esac
"""
