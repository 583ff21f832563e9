#!/bin/sh
# A second SSH server on port 2022 that allows whatever OpenSSH can do to whoever has the client's key, and interfaces of the account besides its own.
# It shows that the attacks work where nobody stands in their way.
# usage: open.sh add KEY | remove      KEY: the line of authorized_keys, without restrictions
set -eu
if [ "$1" = add ]; then
  usermod --shell /bin/sh vpc-tun-site1
  ip tuntap add dev tun8 mode tun user vpc-tun-site1
  ip tuntap add dev tap7 mode tap user vpc-tun-site1
  echo "$2" >/run/open.keys
  cat >/run/open.conf <<END
Port 2022
PidFile /run/open.pid
AuthorizedKeysFile /run/open.keys
PermitRootLogin yes
PermitTunnel yes
X11Forwarding yes
XAuthLocation /bin/true
Subsystem sftp internal-sftp
END
  "$(command -v sshd)" -f /run/open.conf
else
  pkill -P "$(cat /run/open.pid)" || true
  kill "$(cat /run/open.pid)"
  usermod --shell /usr/sbin/nologin vpc-tun-site1
  ip link del dev tun8
  ip link del dev tap7
  rm -f /run/open.keys /run/open.conf /tmp/attack.sock
fi
