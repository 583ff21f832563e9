# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the whole set, which nobody but root sees, for programs that check it before it is in place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset import copies
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.copies import UNKNOWN, Copy
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import PLACEHOLDER

_PREFIX = "stage-"


class Staging:
    """A folder below runtime, in memory and of mode 0700, that mirrors the destinations; gone with the `with`."""

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self.folder = ""

    def __enter__(self) -> Staging:
        os.makedirs(self.runtime, mode=0o755, exist_ok=True)
        # What a killed run left. We hold the host's lock: nobody uses it.
        for name in os.listdir(self.runtime):
            if name.startswith(_PREFIX):
                shutil.rmtree(os.path.join(self.runtime, name), ignore_errors=True)
        self.folder = tempfile.mkdtemp(prefix=_PREFIX, dir=self.runtime)
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            os.rmdir(self.runtime)
        except OSError:
            pass

    def fill(self, wanted: Mapping[str, Copy]) -> None:
        """Write each file with its own owner and mode: checkers look at them too."""
        for path, copy in wanted.items():
            staged = self.folder + path
            os.makedirs(os.path.dirname(staged), mode=0o755, exist_ok=True)
            uid = os.geteuid() if copy.uid == UNKNOWN else copy.uid
            gid = os.getegid() if copy.gid == UNKNOWN else copy.gid
            copies.write(staged, Copy(copy.content, uid, gid, copy.mode))

    def command(self, words: Sequence[str]) -> list[str]:
        """The words with {folder} and {dest:/path} replaced by where the copies are."""
        return [PLACEHOLDER.sub(lambda match: self.folder + (match.group(1) or ""), word) for word in words]

    def tell(self, output: str) -> str:
        """A program's output with paths as they will be."""
        return output.replace(self.folder, "")
