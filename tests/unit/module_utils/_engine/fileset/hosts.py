# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for sets of files: a folder that stands for /, and what the tests write there."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.transaction import (
    FailedError,
    Options,
    RefusedError,
    Result,
    Transaction,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import parse

PSK = "kanarienvogel.7_Xq"
JSON = {"dest": "/etc/x/a.json", "content": '{"a": 1}\n'}
SHELL = {"dest": "/etc/x/b.sh", "content": "echo b\n", "mode": "0755"}
SECRET = {"dest": "/etc/x/psk.txt", "content": f"198.51.100.1 {PSK}\n", "secret": True}
CHECKS = [
    {"command": ["python3", "-m", "json.tool", "{dest:/etc/x/a.json}"]},
    {"command": ["sh", "-n", "{folder}/etc/x/b.sh"]},
]


class Host:
    """A folder that stands for /, and a log to which the programs of `apply` write."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.runtime = self.root / "run/plainlinux-vpc"
        self.lock = folder / "lock"
        self.log = folder / "log"
        self.runtime.parent.mkdir(parents=True)

    def options(self, **options: Any) -> Options:
        return Options(**{"root": str(self.root), "lock": str(self.lock), "patience": 1.0, **options})

    def apply(self, *files: dict[str, Any], role: str = "vpn_gateway", check: bool = False, **more: Any) -> Result:
        raw = {"role": role, "state": "present" if files else "absent", "files": list(files), **more}
        done = Transaction(parse(raw), self.options(check=check)).apply()
        assert not self.runtime.exists()
        return done

    def refuse(self, *files: dict[str, Any], **more: Any) -> str:
        """The message of a run that must change nothing."""
        before = self.dump()
        with pytest.raises((RefusedError, FailedError)) as caught:
            self.apply(*files, **more)
        assert self.dump() == before
        assert not self.runtime.exists()
        return str(caught.value)

    def path(self, dest: str) -> Path:
        return self.root / dest[1:]

    def take(self, *paths: str, status: str = "0") -> dict[str, Any]:
        """A program of `apply` that logs the files as it finds them. status: a shell expression."""
        script = f"for path; do cat {self.root}/$path; done >>{self.log} 2>&1; echo taken; exit $(({status}))"
        return {"command": ["sh", "-c", script, "take", *paths], "when_changed": list(paths)}

    def taken(self) -> str:
        text = self.log.read_text() if self.log.exists() else ""
        self.log.unlink(missing_ok=True)
        return text

    def dump(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Everything below the root, but what is forgotten at a boot."""
        found = {}
        forgotten = (self.runtime.parent, self.runtime)
        for path in sorted(self.root.rglob("*")):
            if path in forgotten or self.runtime in path.parents:
                continue
            info = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path.relative_to(self.root))] = (info.st_mode, info.st_uid, info.st_gid, content)
        return found

    def apart(self, what: Callable[[], object], look: Callable[[str, tuple[Any, ...]], None] | None = None) -> int:
        """Do it in a process of its own. look: sees each of its acts before it happens.

        Gives 0, 1 after an exception, or the negative number of the signal that killed it.
        """
        looking = False

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal looking
            if look is not None and not looking:
                looking = True
                look(event, arguments)
                looking = False

        child = os.fork()
        if child == 0:
            status = 1
            try:
                sys.addaudithook(hook)
                what()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
