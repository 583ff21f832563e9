# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's own kernel for the virtual machines: its package from a mirror, and a small initial file system."""

from __future__ import annotations

import lzma
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import image
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError, run

PACKAGES = ("linux-image-cloud-amd64", "busybox-static")
# What it takes to mount the disk; ext4 asks for its checksum by name, so no dependency says it.
MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "crc32c", "ext4")

_INIT = """\
#!/bin/busybox sh
busybox=/bin/busybox
$busybox mount -t devtmpfs devtmpfs /dev
while read -r module; do $busybox insmod "/$module"; done </modules
until $busybox mount -t ext4 /dev/vda /root 2>/dev/null; do $busybox sleep 0.1; done
exec $busybox switch_root /root /sbin/init
"""

# Magic numbers of kernel images (linux: Documentation/arch/x86/boot.rst) and of what they are compressed with.
_BOOT_HEADER = b"HdrS"
_XZ = b"\xfd7zXZ\x00"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Kernel:
    """release: as uname says it. image, initrd: files for the emulator. tree: what it needs in a root file system."""

    release: str
    image: Path
    initrd: Path
    tree: Path


def prepare(cache: Path, suite: str, folder: Path) -> Kernel:
    """Unpack the kernel of a Debian release into a folder. Downloads its packages once, beside the lab's own."""
    image.ensure(cache, suite, PACKAGES)
    repository = image.layers(cache, suite, PACKAGES)[0] / "srv/labrepo"
    unpacked, tree = folder / "packages", folder / "kernel"
    for pattern in ("linux-image-[0-9]*-cloud-*.deb", "busybox-static_*.deb"):
        found = sorted(repository.glob(pattern))
        if not found:
            raise LabError(f"{repository}: no package {pattern}")
        run(["dpkg-deb", "--extract", str(found[-1]), str(unpacked)])
    # /lib is a link in Debian's root file systems
    modules = next(path for path in (unpacked / "usr/lib/modules", unpacked / "lib/modules") if path.is_dir())
    (tree / "usr/lib").mkdir(parents=True)
    modules.rename(tree / "usr/lib/modules")
    release = next((tree / "usr/lib/modules").iterdir()).name
    run(["depmod", "-b", str(tree / "usr"), release])
    initrd = folder / "initrd"
    busybox = next(path for path in (unpacked / "bin/busybox", unpacked / "usr/bin/busybox") if path.is_file())
    initrd.write_bytes(_initrd(tree / "usr/lib/modules" / release, busybox.read_bytes()))
    kernel = folder / "vmlinux"
    kernel.write_bytes(unpack((unpacked / "boot" / f"vmlinuz-{release}").read_bytes()))
    return Kernel(release, kernel, initrd, tree)


def unpack(bootable: bytes) -> bytes:
    """The kernel inside a bootable image: decompressing it is what an emulated processor is slowest at.

    Returns the image itself if it is compressed with something else than xz or zstd.
    """
    if bootable[0x202:0x206] != _BOOT_HEADER:
        return bootable
    start = (bootable[0x1F1] + 1) * 512 + int.from_bytes(bootable[0x248:0x24C], "little")
    payload = bootable[start : start + int.from_bytes(bootable[0x24C:0x250], "little")]
    if payload.startswith(_XZ):
        # a decompressor by hand ignores what follows: the kernel's length
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(_ZSTD):
        done = subprocess.run(["zstd", "-dcq"], input=payload[:-4], capture_output=True, check=True)
        return done.stdout
    return bootable


def closure(dependencies: str, names: tuple[str, ...]) -> list[str]:
    """Paths of modules and of what they need, in the order to load them. dependencies: the text of modules.dep."""
    needs: dict[str, list[str]] = {}
    paths: dict[str, str] = {}
    for line in dependencies.splitlines():
        path, _colon, others = line.partition(":")
        needs[path] = others.split()
        paths[path.rpartition("/")[2].partition(".")[0].replace("-", "_")] = path
    order: list[str] = []
    for name in names:
        # what is not there is built in
        if name in paths:
            # the farthest dependency comes last in modules.dep
            order += [path for path in [*reversed(needs[paths[name]]), paths[name]] if path not in order]
    return order


def _initrd(modules: Path, busybox: bytes) -> bytes:
    paths = closure((modules / "modules.dep").read_text(encoding="ascii"), MODULES)
    files: dict[str, tuple[int, bytes]] = {
        "bin": (0o040755, b""),
        "dev": (0o040755, b""),
        "root": (0o040755, b""),
        "bin/busybox": (0o100755, busybox),
        "init": (0o100755, _INIT.encode()),
    }
    names = []
    for path in paths:
        content = (modules / path).read_bytes()
        names.append(path.rpartition("/")[2].partition(".")[0])
        files[names[-1]] = (0o100644, lzma.decompress(content) if content.startswith(_XZ) else content)
    files["modules"] = (0o100644, "".join(f"{name}\n" for name in names).encode())
    return b"".join(cpio(files))


def cpio(files: Mapping[str, tuple[int, bytes]]) -> Iterator[bytes]:
    """An archive in the only format that the kernel takes (cpio, "newc"). files: mode and content by path."""
    for number, (name, (mode, content)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], start=1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        yield header + bytes(-len(header) % 4)
        yield content + bytes(-len(content) % 4)
