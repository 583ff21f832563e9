# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file of a host: its content, its owner and its permissions, as one value."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import store

# No account has this number: a name that does not exist yet.
UNKNOWN = -1


class NotAFileError(Exception):
    """Something else than a file stands at the path, or on the way to it; the message names it."""


@dataclass(frozen=True)
class Copy:
    """content: bytes. mode: permission bits."""

    content: bytes
    uid: int
    gid: int
    mode: int

    def rights(self) -> str:
        """Owner, group and permissions, as `ls` shows them."""
        return f"{user_name(self.uid)}:{group_name(self.gid)} {self.mode:04o}"


def read(path: str) -> Copy | None:
    """The file at the path, None where there is none. Raises NotAFileError; symbolic links are not followed."""
    try:
        # Opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise NotAFileError(f"{path}: a folder on the way to it is no folder") from None
    except OSError as error:
        what = "is a symbolic link" if os.path.islink(path) else f"cannot be read: {error.strerror}"
        raise NotAFileError(f"{path} {what}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise NotAFileError(f"{path} is no ordinary file")
    with os.fdopen(descriptor, "rb") as handle:
        return Copy(handle.read(), found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))


def write(path: str, copy: Copy) -> None:
    """Replace the file; its folder exists. A reader, and a crash, sees the old or the new one, never another mode."""
    store.write_bytes(path, copy.content, copy.mode, (copy.uid, copy.gid))


def missing_folders(path: str) -> Iterator[str]:
    """Folders that a file at the path would need, the outermost first."""
    folder = os.path.dirname(path)
    if folder != path and not os.path.isdir(folder):
        yield from missing_folders(folder)
        yield folder


def make_folder(path: str, mode: int) -> None:
    """Make a folder with its mode at once: a chmod could hit what an owner of the folder above puts in its place."""
    umask = os.umask(0)
    try:
        os.mkdir(path, mode)
    finally:
        os.umask(umask)


def uid_of(name: str) -> int | None:
    """The number of an account, by its name or number; None where it does not exist."""
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def gid_of(name: str) -> int | None:
    """The number of a group, by its name or number; None where it does not exist."""
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return "(unknown)" if uid == UNKNOWN else str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return "(unknown)" if gid == UNKNOWN else str(gid)
