# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Userland ESP: one daemon for each tunnel, and how its device gets the name, the size and the address of the tunnel.

strongSwan calls the device ipsec0 or the next free number, in the order in which the daemons start, and adds a route
through that name whenever an SA comes up; where the name is gone, the SA fails. So the device is renamed, and one that
carries nothing takes over the old name: no order of starts can mix up two tunnels, and both backends of ESP have the
same interface names.
"""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import TunnelPlan, sysctls

UNIT = "plainlinux-vpc-vpn@.service"
# The daemon of the tunnel aws1-1 has its files in FOLDER/aws1-1 and RUNTIME/aws1-1.
FOLDER = "/etc/plainlinux-vpc-vpn"
RUNTIME = "/run/plainlinux-vpc-vpn"


def socket(name: str) -> str:
    """The vici socket of a tunnel's daemon; `swanctl --uri unix://...`."""
    return f"{RUNTIME}/{name}/vici"


def device(name: str) -> str:
    """A file that is there while a tunnel's device is; it has the name that strongSwan gave it."""
    return f"{RUNTIME}/{name}.device"


def unit(charon: str = "/usr/sbin/charon-systemd", swanctl: str = "/usr/sbin/swanctl") -> str:
    """The template unit; an instance for each tunnel, by its name."""
    load = f"{swanctl} --load-all --noprompt --clear --uri unix://{RUNTIME}/%i/vici"
    return f"""\
[Unit]
Description=IPsec tunnel %i with ESP in userland
Wants=network-online.target
After=network-online.target nftables.service
StartLimitIntervalSec=0

[Service]
Type=notify
RuntimeDirectory=plainlinux-vpc-vpn/%i
# Profiles of distributions know the distributions' own paths only.
AppArmorProfile=-unconfined
Environment=STRONGSWAN_CONF={FOLDER}/%i/strongswan.conf SWANCTL_DIR={FOLDER}/%i
# Whose tunnel has no files any more must still get rid of its device.
EnvironmentFile=-{FOLDER}/%i/device.env
ExecStart={charon}
ExecStartPost={FOLDER}/device attach %i
ExecStartPost={load}
ExecReload={load}
ExecReload={FOLDER}/device settle %i
ExecStopPost={FOLDER}/device detach %i
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
"""


def environment(plan: TunnelPlan) -> str:
    """device.env of a tunnel."""
    values = " ".join(f"{key}={value.partition('|')[0]}" for key, value in sorted(sysctls(plan).items()))
    address = f"{plan.tunnel.inside_address}/30" if plan.tunnel.inside_address is not None else ""
    return f'DEVICE_MTU={plan.mtu}\nDEVICE_ADDRESS={address}\nDEVICE_SYSCTLS="{values}"\n'


# Written for POSIX shells; MAINPID comes from systemd, the rest from device.env.
SCRIPT = f"""\
#!/bin/sh
# usage: device attach|settle|detach TUNNEL
set -eu
tunnel=$2
born={device("$tunnel")}

settle() {{
  ip link set dev "$tunnel" mtu "$DEVICE_MTU" addrgenmode none
  for item in $DEVICE_SYSCTLS; do
    echo "${{item#*=}}" >"/proc/sys/${{item%%=*}}"
  done
  for address in $(ip -o -4 addr show dev "$tunnel" | sed 's/.* inet \\([^ ]*\\).*/\\1/'); do
    [ "$address" = "$DEVICE_ADDRESS" ] || ip addr del "$address" dev "$tunnel"
  done
  ip link set dev "$tunnel" up
  [ -z "$DEVICE_ADDRESS" ] || ip addr replace "$DEVICE_ADDRESS" dev "$tunnel"
}}

detach() {{
  [ -e "$born" ] || return 0
  device=$(cat "$born")
  [ ! -e "/sys/class/net/$device" ] || ip tuntap del dev "$device" mode tun
  rm -f "$born"
}}

case $1 in
attach)
  detach
  device=$(sed -n 's/^iff:[[:space:]]*//p' "/proc/$MAINPID/fdinfo/"* | grep -m 1 '^ipsec[0-9]')
  ip link set dev "$device" down
  ip link set dev "$device" name "$tunnel"
  ip tuntap add dev "$device" mode tun
  echo "$device" >"$born"
  ip link set dev "$device" up
  settle
  ;;
settle) settle ;;
detach) detach ;;
esac
"""
