# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real FRR and strongSwan daemons in a network namespace, apart from any that the machine itself runs.

Installed, they would start on the machine. .ci/packages unpacks them below .build instead, and each program sees them
laid over /usr and /etc in a mount namespace of its own, so that they find their files where they were built to be.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

FRR = Path("/usr/lib/frr")
CHARON = "/usr/sbin/charon-systemd"
_BUILD = Path(__file__).resolve().parents[5] / ".build"
_UNPACKED = [str(folder) for folder in (_BUILD / "frr", _BUILD / "strongswan") if folder.is_dir()]
_SECONDS = 20
_ACCOUNT = 64998
# $1: folders that are laid over /usr and /etc, with blanks between them. FRR wants accounts, and writes to /var/tmp.
_LAID_OVER = f"""
for name in usr etc; do
    over=
    for folder in $1; do
        over="$over$folder/$name:"
    done
    mount -t overlay -o "lowerdir=$over/$name" overlay "/$name"
done
mount -t tmpfs tmpfs /var/tmp
cat /etc/passwd >/var/tmp/passwd
cat /etc/group >/var/tmp/group
grep -q ^frr: /etc/passwd || echo frr:x:{_ACCOUNT}:{_ACCOUNT}::/nonexistent:/usr/sbin/nologin >>/var/tmp/passwd
grep -q ^frr: /etc/group || echo frr:x:{_ACCOUNT}: >>/var/tmp/group
grep -q ^frrvty: /etc/group || echo frrvty:x:64999:frr >>/var/tmp/group
mount --bind /var/tmp/passwd /etc/passwd
mount --bind /var/tmp/group /etc/group
if [ -n "${{FRR_RUN-}}" ]; then
    mount -t tmpfs tmpfs /run
    mkdir /run/frr
    mount --bind "$FRR_RUN" /run/frr
fi
shift
exec "$@"
"""


def command(*argv: str) -> list[str]:
    """The command by which a program of FRR or strongSwan runs; its process is the program's own."""
    if not _UNPACKED:
        return list(argv)
    return ["unshare", "--mount", "sh", "-euc", _LAID_OVER, "sh", " ".join(_UNPACKED), *argv]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program of FRR or strongSwan in the machine's own network namespace, whatever its exit status."""
    return subprocess.run(command(*argv), capture_output=True, text=True, timeout=_SECONDS, check=False)


def _frr() -> int:
    """The number of FRR's account: that of the machine, where it has one."""
    try:
        return pwd.getpwnam("frr").pw_uid
    except KeyError:
        return _ACCOUNT


class _Daemons:
    """Daemons in a namespace with their files in a folder; a socket's path must be short."""

    def __init__(self) -> None:
        self.netns = Netns()
        self.folder = Path(tempfile.mkdtemp(prefix="vpn", dir="/tmp"))
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *argv: str, **environment: str) -> None:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.netns.name, *command(*argv)],
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )
        self.processes.append(process)

    def wait(self, name: str) -> None:
        """Until a file of the folder is there."""
        end = time.monotonic() + _SECONDS
        while not (self.folder / name).exists():
            assert all(process.poll() is None for process in self.processes), (self.folder / "log").read_text()
            assert time.monotonic() < end, (name, (self.folder / "log").read_text())
            time.sleep(0.05)

    def run(self, *argv: str, **environment: str) -> str:
        """Output and errors of a program in the namespace, whatever its exit status."""
        return subprocess.run(
            ["ip", "netns", "exec", self.netns.name, *command(*argv)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            env={**os.environ, **environment},
            check=False,
        ).stdout

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(_SECONDS)
        self.processes.clear()

    def remove(self) -> None:
        self.stop()
        self.netns.remove()
        shutil.rmtree(self.folder)


class Frr(_Daemons):
    """zebra, staticd and bgpd without any configuration. listen: whether bgpd can be called."""

    def __init__(self, listen: bool = False) -> None:
        super().__init__()
        os.chown(self.folder, _frr(), -1)
        self.folder.chmod(0o755)
        (self.folder / "vtysh.conf").write_text("service integrated-vtysh-config\n")
        # Else the running configuration has a line for it, and so would that of no gateway.
        self.netns.sh("echo 1 >/proc/sys/net/ipv4/ip_forward")
        # Those of FRR 10 talk to each other through a daemon that has its sockets where it was built to have them.
        self.environment = {"FRR_RUN": str(self.folder)}
        self.mgmtd = any(Path(f"{place}{FRR}/mgmtd").exists() for place in ("", *_UNPACKED))
        for name in ("zebra", *(["mgmtd"] if self.mgmtd else []), "staticd", "bgpd"):
            self._daemon(name, [] if listen or name != "bgpd" else ["-p", "0"])

    def _daemon(self, name: str, port: list[str]) -> None:
        files = ["-i", f"{self.folder}/{name}.pid", "-z", f"{self.folder}/zserv.api", "--vty_socket", str(self.folder)]
        self.start(str(FRR / name), "-u", "frr", "-g", "frr", *files, *port, **self.environment)
        self.wait(f"{name}.vty")

    def vtysh(self, *arguments: str) -> str:
        places = ["--vty_socket", str(self.folder), "--config_dir", str(self.folder)]
        return self.run("vtysh", *places, *arguments, **self.environment)

    def running(self) -> str:
        """The running configuration between the version and the end."""
        text = self.vtysh("-c", "show running-config")
        _head, found, rest = text.partition("\nfrr version ")
        assert found, text
        return rest.partition("\n")[2].rpartition("end\n")[0]

    def reload(self, path: Path, how: str) -> str:
        """frr-reload.py; how: --test or --reload. Its exit status says nothing."""
        folder = str(self.folder)
        places = ["--vty_socket", folder, "--confdir", folder, "--rundir", folder, "--bindir", "/usr/bin"]
        reload = ["python3", str(FRR / "frr-reload.py"), how, "--stdout"]
        return self.run(*reload, *places, str(path), **self.environment)


class Charon(_Daemons):
    """A charon with the configuration in the folder."""

    def __init__(self) -> None:
        super().__init__()
        self.environment = {
            "STRONGSWAN_CONF": str(self.folder / "strongswan.conf"),
            "SWANCTL_DIR": str(self.folder / "swanctl"),
        }
        (self.folder / "swanctl" / "conf.d").mkdir(parents=True)
        (self.folder / "swanctl" / "swanctl.conf").write_text("include conf.d/*.conf\n")

    def up(self, text: str, socket: str = "vici") -> None:
        """Start it anew. text: strongswan.conf. socket: file of the folder by which it is ready."""
        self.stop()
        (self.folder / socket).unlink(missing_ok=True)
        (self.folder / "strongswan.conf").write_text(text)
        self.start(CHARON, **self.environment)
        self.wait(socket)

    def write(self, texts: dict[str, str]) -> None:
        """All that swanctl reads."""
        for path in (self.folder / "swanctl" / "conf.d").iterdir():
            path.unlink()
        for name, text in texts.items():
            (self.folder / "swanctl" / "conf.d" / name).write_text(text)

    def swanctl(self, *arguments: str) -> str:
        return self.run("swanctl", *arguments, "--uri", f"unix://{self.folder}/vici", **self.environment)
