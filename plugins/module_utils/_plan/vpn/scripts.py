# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shell scripts on the gateway that check its files and take them up. Written for POSIX shells."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.strongswan import PLUGINS
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.userland import FOLDER

CHECK = f"{FOLDER}/check"
PRUNE = f"{FOLDER}/prune"
POLICIES = f"{FOLDER}/policies"

# In a network namespace of its own, so that the daemon finds no port taken and can change nothing of the host's kernel.
# It is not confined: profiles of distributions let programs read the distributions' own paths only.
CHECK_SCRIPT = f"""\
#!/bin/sh
# usage: check FOLDER PATTERN
# Load the swanctl files below FOLDER that PATTERN matches into a daemon that lives no longer than that.
set -eu
if [ "${{3:-}}" != alone ]; then
  exec unshare --net sh "$0" "$1" "$2" alone
fi
folder=$1/check
mkdir "$folder"
# Else it complains of each.
(cd "$folder" && mkdir x509 x509ca x509ocsp x509aa x509ac x509crl pubkey private rsa ecdsa bliss pkcs8 pkcs12)
confined() {{ [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && command -v aa-exec >/dev/null; }}
run=
if confined; then run="aa-exec -p unconfined --"; fi
if ! command -v charon-systemd >/dev/null || ! command -v swanctl >/dev/null; then
  echo "charon-systemd or swanctl is not installed" >&2
  exit 127
fi
cat >"$folder/strongswan.conf" <<END
charon {{
  load_modular = no
  load = {PLUGINS} kernel-netlink
  filelog {{
    log {{
      path = $folder/log
      default = 0
    }}
  }}
  plugins {{
    vici {{
      socket = unix://$folder/vici
    }}
  }}
}}
swanctl {{
  load = random
}}
charon-systemd {{
  journal {{
    default = -1
  }}
}}
END
echo "include $1$2" >"$folder/swanctl.conf"
export STRONGSWAN_CONF="$folder/strongswan.conf" SWANCTL_DIR="$folder"
unset NOTIFY_SOCKET
$run charon-systemd </dev/null >/dev/null 2>&1 &
daemon=$!
trap 'kill "$daemon" && wait "$daemon" || :' EXIT
attempt=0
until [ -S "$folder/vici" ]; do
  attempt=$((attempt + 1))
  if [ "$attempt" -gt 100 ] || ! kill -0 "$daemon"; then
    echo "the daemon for the check does not start:" >&2
    cat "$folder/log" >&2
    exit 1
  fi
  sleep 0.1
done
$run swanctl --load-all --noprompt --uri "unix://$folder/vici"
"""

# A tunnel that has gone: its daemon would hold on to it until the next boot, and come back then.
PRUNE_SCRIPT = f"""\
#!/bin/sh
# usage: prune
# End the daemons of tunnels that have no files any more.
set -eu
for unit in $(
  systemctl list-units --all --plain --no-legend 'plainlinux-vpc-vpn@*.service' | cut -d ' ' -f 1
  ls /etc/systemd/system/multi-user.target.wants 2>/dev/null | grep '^plainlinux-vpc-vpn@' || :
); do
  tunnel=${{unit#*@}}
  tunnel=${{tunnel%.service}}
  if [ ! -e "{FOLDER}/$tunnel/strongswan.conf" ]; then
    systemctl disable --now "$unit"
    systemctl reset-failed "$unit" 2>/dev/null || :
  fi
done
"""

# The kernel forgets its policies when it forgets /run.
_LOADED = "/run/plainlinux-vpc-vpn.policies"
POLICIES_SCRIPT = f"""\
#!/bin/sh
# usage: policies FILE
# Load the policies of FILE, without a moment in which one is missing, and take those away that FILE has no more.
set -eu
loaded={_LOADED}
setkey -f "$1"
if [ -e "$loaded" ]; then
  awk '
    $1 != "spdupdate" {{ next }}
    {{ key = $2 " " $3 " any -P " $6 }}
    FNR == NR {{ kept[key]; next }}
    !(key in kept) {{ print "spddelete " key ";" }}
  ' "$1" "$loaded" | setkey -c
fi
cp "$1" "$loaded"
"""

# For `sh -c`, when the script above has gone: take away what it has loaded; what its file is now, if any, counts.
FORGET = f"""\
loaded={_LOADED}
[ -e "$loaded" ] || exit 0
awk '$1 == "spdupdate" {{ print "spddelete " $2 " " $3 " any -P " $6 ";" }}' "$loaded" | setkey -c
rm "$loaded"
[ ! -e "$1" ] || setkey -f "$1"
"""

# For `sh -c`: end a timer. Stopped first: systemd reads its files again when it disables, and one without a file would
# fail when it elapses.
STOP = """\
systemctl stop "$1" 2>/dev/null
systemctl disable --quiet "$1" 2>/dev/null
:
"""
