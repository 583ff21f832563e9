# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One virtual machine: a disk, an emulator, and a shell behind a serial line."""

from __future__ import annotations

import ctypes
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import netns
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.host import SWITCH, Host
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import ENVIRONMENT, LabError, run
from kernel import Kernel

# QEMU 7.2 sometimes loses registers in cmpxchg16b: Linux 6.12 then panics in kmalloc.
CPU = "qemu64,-cx16"
COMMAND_LINE = (
    "root=/dev/vda rw console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off audit=0 apparmor=0 selinux=0"
)
MEMORY = "512"
DISK = "1500M"

# No order relative to the unit under test: whoever wants to know why that one hangs needs this one.
_SHELL_UNIT = """\
[Unit]
Description=Shell of the virtual machine test

[Service]
ExecStart=/bin/sh /etc/vm-shell
StandardInput=tty
StandardOutput=tty
StandardError=journal
TTYPath=/dev/ttyS1
Environment=LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

[Install]
WantedBy=multi-user.target
"""
_SHELL = "stty raw -echo\nprintf 'ready\\035'\nexec /bin/sh\n"
_FIELD, _END = b"\x1e", b"\x1d"

_PR_SET_PDEATHSIG = 1


class Machine:
    """A disk on Debian's kernel, without a network card. memory: in MiB."""

    memory = MEMORY

    def __init__(self, name: str, kernel: Kernel, folder: Path) -> None:
        self.name = name
        self.kernel = kernel
        self.disk = folder / f"{name}.ext4"
        self.console = folder / f"{name}.console"
        self._socket = folder / f"{name}.socket"
        self._mount = folder / f"{name}.root"
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._lock = threading.Lock()

    def make_disk(self, layers: Sequence[str], script: str = "", size: str = DISK) -> None:
        """Make the disk from the layers of a root file system, topmost first; nothing is written to them.

        script: shell commands that change it first; $root is where it is.
        """
        upper, work, root = self._mount / "upper", self._mount / "work", self._mount / "root"
        for directory in (upper, work, root):
            directory.mkdir(parents=True)
        system = root / "etc/systemd/system"
        lower = ":".join([str(self.kernel.tree), *layers])
        commands = f"""
        root={root}
        mount -t overlay overlay -o lowerdir={lower},upperdir={upper},workdir={work} {root}
        cat >{root}/etc/vm-shell <<'END'\n{_SHELL}END
        cat >{system}/vm-shell.service <<'END'\n{_SHELL_UNIT}END
        mkdir -p {system}/multi-user.target.wants
        ln -sf /etc/systemd/system/vm-shell.service {system}/multi-user.target.wants/
        {script}
        rm -rf {root}/srv/labrepo
        mkfs.ext4 -q -F -O ^has_journal -d {root} {self.disk} {size}
        """
        # the mounts vanish with their namespace
        run(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-euc", f"umask 022\n{commands}"])

    def plug(self) -> tuple[list[str], list[str]]:
        """What the emulator is started by, and its options for network cards."""
        return [], []

    def start(self) -> None:
        """Switch on."""
        inside, cards = self.plug()
        self._socket.unlink(missing_ok=True)
        command = [
            *(*inside, "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"),
            *("-accel", "tcg,tb-size=256", "-cpu", CPU, "-m", self.memory, "-display", "none"),
            *("-kernel", str(self.kernel.image), "-initrd", str(self.kernel.initrd)),
            *("-append", COMMAND_LINE),
            *("-drive", f"file={self.disk},format=raw,if=virtio,cache=unsafe"),
            *cards,
            *("-serial", f"file:{self.console}"),
            *("-serial", f"unix:{self._socket},server=on,wait=off"),
        ]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            # no Ctrl-C for it; we end it, and the kernel does if we are killed
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        deadline = time.monotonic() + 10
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        while True:
            try:
                self._line.connect(str(self._socket))
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise LabError(f"{self.name}: the emulator does not start: {self._complaint()}") from None
                time.sleep(0.05)

    def _complaint(self) -> str:
        self.stop()
        stream = self._process.stderr if self._process else None
        return stream.read().decode(errors="replace").strip() if stream else ""

    def stop(self) -> None:
        """Pull the plug."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def await_shell(self, timeout: float) -> None:
        """Wait until the shell is there. timeout in seconds."""
        try:
            self._receive(time.monotonic() + timeout)
        except LabError as error:
            raise LabError(f"{error}; the end of its console:\n{self.tail()}") from None

    def tail(self) -> str:
        """The last lines of the console."""
        text = self.console.read_text(encoding="utf-8", errors="replace") if self.console.exists() else ""
        return "\n".join(text.splitlines()[-15:])

    def run(self, command: Command, timeout: float = 60.0) -> Output:
        """Run a command in the machine; has the form that the collection's engine takes to run its own."""
        text = shlex.join(command.argv)
        if command.stdin is not None:
            text = f"printf %s {shlex.quote(command.stdin)} | {text}"
        return self.shell(text, timeout)

    def shell(self, text: str, timeout: float = 60.0) -> Output:
        """Run a shell script in the machine."""
        wrapped = (
            f"sh -c {shlex.quote(text)} </dev/null >/run/vm-output 2>/run/vm-error; "
            r"printf '%s\036' $?; cat /run/vm-output; printf '\036'; cat /run/vm-error; printf '\035'"
        )
        if self._line is None:
            raise LabError(f"{self.name} is switched off")
        with self._lock:
            self._line.settimeout(timeout)
            self._line.sendall(f"{wrapped}\n".encode())
            answer = self._receive(time.monotonic() + timeout)
        status, stdout, stderr = (part.decode(errors="replace") for part in answer.split(_FIELD))
        return Output(int(status), stdout, stderr)

    def _receive(self, deadline: float) -> bytes:
        """Read up to the end mark."""
        if self._line is None:
            raise LabError(f"{self.name} is switched off")
        received = b""
        while not received.endswith(_END):
            self._line.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                chunk = self._line.recv(65536)
            except TimeoutError:
                raise LabError(f"{self.name} does not answer") from None
            if not chunk:
                raise LabError(f"{self.name} went down")
            received += chunk
        return received[:-1]


class LabMachine(Machine):
    """The disk of a lab host, with its network card plugged into the lab's switch."""

    def __init__(self, host: Host, switch: str, kernel: Kernel, folder: Path) -> None:
        super().__init__(host.name, kernel, folder)
        self.host = host
        self.switch = switch

    def plug(self) -> tuple[list[str], list[str]]:
        """The tap and the emulator live in the switch's namespace, not in that of this machine."""
        tap = self.host.port
        run(["ip", "-n", self.switch, "tuntap", "add", "dev", tap, "mode", "tap"])
        netns.batch(self.switch, [f"link set dev {tap} master {SWITCH}", f"link set dev {tap} up"])
        return ["ip", "netns", "exec", self.switch], [
            *("-netdev", f"tap,id=eth0,ifname={tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=eth0,mac={self.host.mac},romfile="),
        ]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
