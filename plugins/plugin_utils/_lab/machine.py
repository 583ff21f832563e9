# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab host: its disk (an overlay), its network card, and systemd-nspawn."""

from __future__ import annotations

import gzip
import os
import shlex
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from . import cgroup, netns, networkd
from .host import Host
from .paths import NETNS, VAR, Paths, remove_if_empty
from .system import ENVIRONMENT, LabError, log, run

MARKER = "etc/plainlinux-vpc-lab"
NSPAWN_STATE = Path("/run/systemd/nspawn")

# systemd-nspawn ends with this status if the host asked for a reboot.
REBOOT = 133

# systemd-nspawn shows a host all of /sys, and lets it write nothing there. What a machine sets of its bridges and ports
# stands in a part that shows the interfaces of the host's network namespace only.
SYSFS_UNIT = "lab-sysfs.service"
SYSFS_TEXT = """[Unit]
Description=Settings of network interfaces can be written
DefaultDependencies=no
ConditionVirtualization=container
Before=sysinit.target systemd-networkd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount --bind /sys/devices/virtual/net /sys/devices/virtual/net
ExecStart=mount -o remount,rw,nosuid,nodev,noexec /sys/devices/virtual/net
"""

# A node of its own: udev and roles in a host give it other permissions, and the machine's must keep those that it has.
TUN = "/dev/net/tun"
TUN_FILE = "etc/tmpfiles.d/lab-tun.conf"
TUN_TEXT = "d /dev/net 0755\nc! /dev/net/tun 0666 - - - 10:200\n"

# What a kernel may have built in, its option, and where modprobe expects it. Only for kernels without a module tree.
BUILT_IN = {
    "bridge": ("BRIDGE", "net/bridge"),
    "br_netfilter": ("BRIDGE_NETFILTER", "net/bridge"),
    "veth": ("VETH", "drivers/net"),
    "tun": ("TUN", "drivers/net"),
    "overlay": ("OVERLAY_FS", "fs/overlayfs"),
    "nf_conntrack": ("NF_CONNTRACK", "net/netfilter"),
    "nf_nat": ("NF_NAT", "net/netfilter"),
    **{f"nf_nat_{name}": (f"NF_NAT_{name.upper()}", "net/netfilter") for name in ("ftp", "irc", "sip", "tftp")},
    "nf_tables": ("NF_TABLES", "net/netfilter"),
    "x_tables": ("NETFILTER_XTABLES", "net/netfilter"),
    "xt_set": ("NETFILTER_XT_SET", "net/netfilter"),
    "ip_set": ("IP_SET", "net/netfilter/ipset"),
    "ip_set_hash_ip": ("IP_SET_HASH_IP", "net/netfilter/ipset"),
    "ip_set_hash_net": ("IP_SET_HASH_NET", "net/netfilter/ipset"),
    "ip_tables": ("IP_NF_IPTABLES", "net/ipv4/netfilter"),
    "ip6_tables": ("IP6_NF_IPTABLES", "net/ipv6/netfilter"),
}


def prepare(paths: Paths, host: Host, layers: Sequence[str]) -> Path:
    """Mount the host's root file system and write what makes it this host. Returns the root directory."""
    disk = paths.disk(host.name)
    upper, work, root = disk / "upper", disk / "work", disk / "root"
    for directory in (VAR, paths.var, disk, upper, work, root):
        directory.mkdir(mode=0o755, exist_ok=True)
    if not os.path.ismount(root):
        options = f"lowerdir={':'.join(layers)},upperdir={upper},workdir={work}"
        run(["mount", "-t", "overlay", f"lab-{host.name}", "-o", options, str(root)])
    _file(root / "etc/hostname", f"{host.name}\n")
    _file(root / "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n::1 localhost ip6-localhost ip6-loopback\n")
    _file(root / MARKER, f"{paths.lab}/{host.name}\n")
    _boot_configuration(root, host)
    for file in host.files:
        _file(root / file.path, file.text, file.mode)
    if not (upper / "etc/machine-id").exists():
        # one identity shared by all hosts would give them equal bridge MACs and DHCP identifiers
        _file(root / "etc/machine-id", f"{uuid.uuid4().hex}\n")
    if not modules().is_dir():
        _built_in_modules(root)
    return root


def _boot_configuration(root: Path, host: Host) -> None:
    """Write what the host makes of its network when it boots, and nothing of what it made when it was another one."""
    files = networkd.files(host)
    for path in (root / networkd.FOLDER).glob(f"{networkd.PREFIX}*"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        _file(root / networkd.FOLDER / name, text)
    if os.path.exists(TUN):
        _file(root / TUN_FILE, TUN_TEXT)
    _file(root / "etc/systemd/system" / SYSFS_UNIT, SYSFS_TEXT)
    wanted = root / "etc/systemd/system/sysinit.target.wants" / SYSFS_UNIT
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if not wanted.is_symlink():
        wanted.symlink_to(f"/etc/systemd/system/{SYSFS_UNIT}")


def plug(host: Host, underlay: str) -> None:
    """Give the host its cables, with the same MACs at every boot. underlay: the namespace with the bridges."""
    netns.unlink(underlay, [cable.port for cable in host.cables])
    for port, name, mac, bridge in host.cables:
        netns.batch(
            underlay,
            [
                f"link add name {port} type veth peer name {name} address {mac} netns {host.netns}",
                f"link set dev {port} master {bridge}",
                f"link set dev {port} up",
            ],
        )


def boot(paths: Paths, host: Host, root: Path) -> subprocess.Popen[bytes]:
    """Start systemd-nspawn. The process ends when the host does."""
    command = [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        f"--directory={root}",
        f"--machine={host.netns}",
        f"--hostname={host.name}",
        f"--network-namespace-path={NETNS / host.netns}",
        "--register=no",
        "--keep-unit",
        "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
    ]
    if modules().is_dir():
        command.append(f"--bind-ro={modules()}:/usr/lib/modules/{os.uname().release}")
    # what a killed systemd-nspawn leaves behind, to be removed with the host
    paths.lock(host.name).write_text(_lock(root), encoding="utf-8")
    # systemd-nspawn puts its host below the group that it is started in
    enter = "".join(f"echo $$ > {shlex.quote(str(file))}; " for file in cgroup.leaves(paths.lab, host.name, "machine"))
    return subprocess.Popen(
        ["/bin/sh", "-euc", f'{enter}exec "$@"', "sh", *command],
        stdin=subprocess.DEVNULL,
        env={**ENVIRONMENT, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        cwd="/",
    )


def first_process(paths: Paths, host: str) -> int | None:
    """Pid, seen from here, of the host's systemd; None while it is not started."""
    depth = len(_namespace_pids(os.getpid()))
    for pid in cgroup.processes(paths.lab, host, "machine"):
        numbers = _namespace_pids(pid)
        if len(numbers) == depth + 1 and numbers[-1] == "1":
            try:
                name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                continue
            # before it becomes systemd, that process belongs to systemd-nspawn and its mounts are not finished
            if name in ("systemd", "init"):
                return pid
    return None


def state(pid: int, timeout: float) -> str:
    """Wait until a host has booted, or failed to: running, degraded, ...; empty if it cannot be asked yet, or if it
    takes longer than `timeout` seconds."""
    return _ask(pid, ["systemctl", "is-system-running", "--wait"], timeout)


def restart(pid: int, unit: str) -> None:
    """Restart a unit of a host. LabError if that fails."""
    run(["nsenter", "-t", str(pid), "-a", "--", "systemctl", "restart", unit])


def failed_units(pid: int) -> list[str]:
    """Units of a host that failed."""
    lines = _ask(pid, ["systemctl", "list-units", "--failed", "--plain", "--no-legend"], 10.0).splitlines()
    return [line.split()[0] for line in lines if line.split()]


def _ask(pid: int, command: Sequence[str], timeout: float) -> str:
    argv = ["nsenter", "-t", str(pid), "-a", "--", *command]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip()


def stop(paths: Paths, host: str) -> set[int]:
    """Pull the plug of a host and end its supervisor. Its disk stays. Returns the pids of what was killed."""
    killed = cgroup.destroy(paths.lab, host)
    for path in (paths.pid(host), paths.supervisor(host), paths.control(host)):
        path.unlink(missing_ok=True)
    name = f"{paths.lab}-{host}"
    netns.delete(paths, name)
    locks = [paths.lock(host).read_text(encoding="utf-8")] if paths.lock(host).exists() else []
    if os.path.ismount(paths.disk(host) / "root"):
        locks.append(_lock(paths.disk(host) / "root"))
    unmount(paths, host)
    for directory in (NSPAWN_STATE / "propagate" / name, NSPAWN_STATE / "unix-export" / name):
        _unmount(directory)
        remove_if_empty(directory)
    for lock in locks:
        (NSPAWN_STATE / "locks" / lock).unlink(missing_ok=True)
    paths.lock(host).unlink(missing_ok=True)
    return killed


def _lock(root: Path) -> str:
    """Name of systemd-nspawn's lock file for a directory."""
    directory = root.stat()
    return f"inode-{directory.st_dev}:{directory.st_ino}"


def unmount(paths: Paths, host: str) -> None:
    """Unmount the host's root file system, however often it is mounted."""
    _unmount(paths.disk(host) / "root")


def _unmount(directory: Path) -> None:
    while os.path.ismount(directory):
        run(["umount", "--lazy", str(directory)])


def modules() -> Path:
    """The module tree of the running kernel, which may not be there."""
    return Path("/lib/modules", os.uname().release)


def load_modules() -> None:
    """Load what a host cannot load by itself, because it is not allowed to. Modules that do not exist are left out."""
    if modules().is_dir():
        subprocess.run(["modprobe", "--all", "--quiet", *BUILT_IN], capture_output=True, env=ENVIRONMENT, check=False)


def built_in(config: str) -> list[str]:
    """Modules of BUILT_IN that a kernel configuration has built in."""
    options = {line for line in config.splitlines() if line.endswith("=y")}
    return [name for name, (option, _directory) in BUILT_IN.items() if f"CONFIG_{option}=y" in options]


def _built_in_modules(root: Path) -> None:
    """Let modprobe find what is built in, on a kernel that came without the lists that say so."""
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="utf-8") as stream:
            found = built_in(stream.read())
    except OSError:
        found = [name for name in BUILT_IN if os.path.exists(f"/sys/module/{name}")]
    tree = root / "usr/lib/modules" / os.uname().release
    content = "".join(f"kernel/{BUILT_IN[name][1]}/{name}.ko\n" for name in found)
    if (tree / "modules.builtin.bin").exists() and (tree / "modules.builtin").read_text(encoding="utf-8") == content:
        return
    _file(tree / "modules.builtin", content)
    _file(tree / "modules.order", "")
    try:
        run(["chroot", str(root), "depmod", os.uname().release])
    except LabError as error:
        log(f"depmod: {error}")


def _namespace_pids(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if line.startswith("NSpid:"):
                    return line.split()[1:]
    except OSError:
        pass
    return []


def _file(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
