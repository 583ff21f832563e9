# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of a tunnel over SSH: sshd_config(5), authorized_keys, systemd.exec(5), nft(8), sysusers.d(5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.ssh_tunnel import Tunnel

if TYPE_CHECKING:
    from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.ssh_tunnel import End

FOLDER = "/etc/plainlinux-vpc/ssh_tunnel"
SCRIPT = f"{FOLDER}/tunnels"
AUTHORIZED = f"{FOLDER}/authorized"
KNOWN_HOSTS = f"{FOLDER}/known_hosts"
# Private keys that were made on the host, and those that were given.
KEYS = f"{FOLDER}/keys"
GIVEN = f"{FOLDER}/given"
UNITS = "/etc/systemd/system"
UNIT = "plainlinux-vpc-ssh-tunnel"
SYSUSERS = f"/etc/sysusers.d/{UNIT}.conf"
# Of several Match blocks the first one counts.
SSHD = f"/etc/ssh/sshd_config.d/00-{UNIT}.conf"
NETWORK = f"/etc/systemd/network/00-{UNIT}.network"
NETWORKD = f"/etc/systemd/networkd.conf.d/{UNIT}.conf"
NETWORK_MANAGER = f"/etc/NetworkManager/conf.d/{UNIT}.conf"
NFTABLES = f"{UNITS}/nftables.service.d/{UNIT}.conf"
# Marks an account as ours.
COMMENT = "plainlinux.vpc SSH tunnel"

_HEAD = "# Written by the Ansible collection plainlinux.vpc; changes are overwritten.\n"
_TABLE = "inet plainlinux_ssh_tunnel"

# networkd deletes routes that it did not make (networkd.conf(5)).
NETWORKD_TEXT = f"{_HEAD}[Network]\nManageForeignRoutes=no\n"
_RELOAD = f"-/bin/systemctl --no-block reload {UNIT}.service"
# Its start and its stop flush every table.
NFTABLES_TEXT = f"{_HEAD}[Service]\nExecStartPost={_RELOAD}\nExecStopPost={_RELOAD}\n"


def network(devices: Sequence[str]) -> str:
    return f"{_HEAD}[Match]\nName={' '.join(devices)}\n\n[Link]\nUnmanaged=yes\n"


def network_manager(devices: Sequence[str]) -> str:
    return f"{_HEAD}[keyfile]\nunmanaged-devices+={';'.join(f'interface-name:{name}' for name in devices)}\n"


def sysusers(accounts: Iterable[tuple[str, str]]) -> str:
    """accounts: (account, tunnel). No password, no home of its own and no shell: nobody can log in to it."""
    return _HEAD + "".join(f'u {account} - "{COMMENT} {tunnel}" / /usr/sbin/nologin\n' for account, tunnel in accounts)


def authorized(unit: int, key: str, tunnel: str) -> str:
    """The one key of an account: it opens one tunnel and nothing else."""
    return f'restrict,tunnel="{unit}",command="/bin/false" {key} {tunnel}\n'


def sshd(ends: Iterable[End]) -> str:
    """A block for each account. What others say of all accounts is overruled, and nothing is said of other accounts.

    Each line is as `sshd -T` prints it, in any case of letters: `tunnels served` compares them.
    """
    blocks = []
    for end in ends:
        tunnel = end.tunnel
        # OpenSSH 9.2 asks at every second interval only (seen): half of it makes the server as quick as the client.
        blocks.append(f"""Match User {tunnel.account}
  AllowUsers {tunnel.account}
  AllowGroups {tunnel.account}
  PubkeyAuthentication yes
  AuthenticationMethods publickey
  AuthorizedKeysFile {AUTHORIZED}/%u
  AuthorizedKeysCommand none
  TrustedUserCAKeys none
  ChrootDirectory none
  PermitTunnel point-to-point
  # No session: no shell, no command, no subsystem.
  MaxSessions 0
  ForceCommand /bin/false
  PermitTTY no
  PermitUserRC no
  AllowAgentForwarding no
  AllowStreamLocalForwarding no
  AllowTcpForwarding no
  X11Forwarding no
  # A dead client must let go of tun{end.own.unit}, or it cannot come back.
  ClientAliveInterval {max(1, tunnel.interval // 2)}
  ClientAliveCountMax {tunnel.count}
""")
    return f"{_HEAD}{''.join(blocks)}Match all\n"


def known_hosts(tunnel: str, keys: Iterable[str]) -> str:
    return "".join(f"{_alias(tunnel)} {key}\n" for key in keys)


def _alias(tunnel: str) -> str:
    """The server's name in known_hosts: its address may change, its key must not."""
    return f"plainlinux-vpc-{tunnel}"


def unit(clients: Iterable[str]) -> str:
    """The unit that makes interfaces and starts clients. clients: tunnels whose client is this host."""
    wants = "".join(f"Wants={UNIT}-{name}.service\n" for name in clients)
    return f"""{_HEAD}[Unit]
Description=Interfaces of SSH tunnels (plainlinux.vpc)
Documentation=file:{FOLDER}
{wants}After=systemd-networkd.service systemd-modules-load.service systemd-sysctl.service plainlinux-vpc.service
After=nftables.service netfilter-persistent.service firewalld.service ufw.service
# Its reload flushes every table.
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={SCRIPT} up
ExecReload={SCRIPT} up
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
"""


def client(tunnel: Tunnel) -> str:
    """The unit of a client. systemd hands the private key over: the account cannot read the file."""
    keys = GIVEN if tunnel.private_key_variable else KEYS
    options = {
        "BatchMode": "yes",
        "Tunnel": "point-to-point",
        "ExitOnForwardFailure": "yes",
        "ConnectTimeout": str(tunnel.interval * tunnel.count),
        "ServerAliveInterval": str(tunnel.interval),
        "ServerAliveCountMax": str(tunnel.count),
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": _alias(tunnel.name),
        "UserKnownHostsFile": f"{KNOWN_HOSTS}/{tunnel.name}",
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "PreferredAuthentications": "publickey",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
    }
    words = "".join(f" \\\n  -o {key}={value}" for key, value in options.items())
    return f"""{_HEAD}[Unit]
Description=SSH tunnel {tunnel.name} (plainlinux.vpc)
Documentation=file:{FOLDER}
# Not network-online.target: waiting may fail, and trying again costs nothing.
After=network.target {UNIT}.service
# It tries for ever.
StartLimitIntervalSec=0

[Service]
User={tunnel.account}
LoadCredential=key:{keys}/{tunnel.name}
ExecStart=/usr/bin/ssh -F none -N -T{words} \\
  -i ${{CREDENTIALS_DIRECTORY}}/key -p {tunnel.port} -w {tunnel.client.unit}:{tunnel.server.unit} \\
  -l {tunnel.account} {tunnel.server_address}
Restart=always
RestartSec=5
KillMode=control-group

# The interface belongs to the account: no capability is needed.
CapabilityBoundingSet=
NoNewPrivileges=yes
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
LockPersonality=yes
MemoryDenyWriteExecute=yes
PrivateTmp=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077
"""


def mss(devices: Sequence[tuple[str, int]]) -> str:
    """nft commands that clamp the MSS of what is forwarded through the interfaces (name, MTU); "" where nothing is."""
    if not devices:
        return ""
    rules = []
    for device, mtu in devices:
        for family, headers in (("ipv4", 40), ("ipv6", 60)):
            size = mtu - headers
            for way in ("iifname", "oifname"):
                rules.append(
                    f'    meta nfproto {family} {way} "{device}" tcp flags syn'
                    f" tcp option maxseg size > {size} tcp option maxseg size set {size}\n"
                )
    return f"""table {_TABLE}
delete table {_TABLE}
table {_TABLE} {{
  chain forward {{
    type filter hook forward priority mangle; policy accept;
{"".join(rules)}  }}
}}
"""
