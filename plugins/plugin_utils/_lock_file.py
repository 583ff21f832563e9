# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file on the controller: read as a whole, replaced as a whole, and only where nobody else has written."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir

VARIABLE = "vpc_lock_file"
# Ansible takes every file of an inventory's folder for an inventory, but not those with this suffix.
DEFAULT = "vpc-lock.txt"


def path(task_vars: Mapping[str, Any], template: Callable[[Any], Any]) -> str:
    """vpc_lock_file, by default beside the inventory, where a relative one is looked for, too."""
    chosen = task_vars.get(VARIABLE)
    name = os.path.expanduser(str(template(chosen))) if chosen else DEFAULT
    return os.path.join(_plan_dir.inventory_folder(task_vars), name)


def read(file: str) -> str | None:
    """The text, None where there is no file."""
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            raise AnsibleActionFail(f"{VARIABLE} {file} is no regular file")
        with open(file, encoding="utf-8", newline="\n") as handle:
            return handle.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise AnsibleActionFail(
            f"{VARIABLE} {file} is no text (byte {error.start}): restore it from version control"
        ) from None
    except OSError as error:
        raise AnsibleActionFail(f"cannot read {VARIABLE} {file}: {error.strerror}") from None


def replace(file: str, before: str | None, after: str) -> bool:
    """Put a text in place of another; False, and nothing is written, where the file has become another meanwhile.

    A link is followed. Whoever reads finds one of the two texts, never a part.
    """
    target = os.path.realpath(file)
    folder = os.path.dirname(target)
    try:
        with _alone(folder):
            if read(target) != before:
                return False
            mode = _mode(file, target)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{DEFAULT}.", dir=folder)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as handle:
                    handle.write(after)
                    handle.flush()
                    os.fchmod(handle.fileno(), mode)
                    os.fsync(handle.fileno())
                os.rename(temporary, target)
            except BaseException:
                os.unlink(temporary)
                raise
    except OSError as error:
        where = f"{VARIABLE} {file}" if target == os.path.abspath(file) else f"{VARIABLE} {file}, a link to {target}"
        raise AnsibleActionFail(
            f"cannot write {where}: {error.strerror}. Nothing was changed on any host. What was allocated has to be "
            "written down: make it writable, or set vpc_lock_file to a path that is"
        ) from None
    return True


def _mode(file: str, target: str) -> int:
    """The mode of the new file: that of the old one, which must be writable also for root."""
    try:
        mode = stat.S_IMODE(os.stat(target).st_mode)
    except FileNotFoundError:
        return 0o666 & ~_umask()
    if not mode & 0o222 or not os.access(target, os.W_OK):
        raise PermissionError(0, "it is read-only", file)
    return mode


def _umask() -> int:
    """Linux tells it without setting it."""
    with open("/proc/self/status", encoding="ascii") as handle:
        return next((int(line.split()[1], 8) for line in handle if line.startswith("Umask:")), 0o022)


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Keep other runs from writing. A file system without locks keeps nobody, and the text is compared all the same."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)
