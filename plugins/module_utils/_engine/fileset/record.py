# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role remembers on a host about its files, so that they can be taken away without a trace."""

from __future__ import annotations

import base64
import glob
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import store
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.copies import Copy

NAME = "files.json"


@dataclass(frozen=True)
class Owned:
    """A file of ours. secret: its text is shown to nobody. original: what stood there before us, None for nothing."""

    secret: bool
    original: Copy | None


@dataclass
class Record:
    """files: by path. folders: that we made. pending: paths that changed and whose programs have not ended well."""

    files: dict[str, Owned] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.files or self.folders or self.pending)


def path_of(base: str, role: str) -> str:
    return f"{base}/{role}/{NAME}"


def load(path: str) -> Record:
    """The record of the last run. Raises ValueError, with the path, where the file is none."""
    try:
        content = store.read_json(path)
        files = {
            dest: Owned(item["secret"], _copy(item["original"])) for dest, item in content.get("files", {}).items()
        }
        return Record(files, list(content.get("folders", [])), list(content.get("pending", [])))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {type(error).__name__} {error}") from None


def save(path: str, record: Record, base: str) -> None:
    """Replace the record; an empty one goes, with its folders below base."""
    if not record:
        store.remove(path, base)
        return
    files = {
        dest: {"secret": owned.secret, "original": owned.original and _plain(owned.original)}
        for dest, owned in record.files.items()
    }
    content = {"files": files, "folders": record.folders, "pending": record.pending}
    # The original of a file may be a secret of somebody else.
    store.write_text(path, json.dumps(content, indent=1) + "\n", 0o600)


def others(base: str, role: str) -> dict[str, Record]:
    """The records of other roles on this host. Raises ValueError where one is none."""
    paths = {os.path.basename(os.path.dirname(path)): path for path in glob.glob(f"{glob.escape(base)}/*/{NAME}")}
    return {name: load(path) for name, path in sorted(paths.items()) if name != role}


def _plain(copy: Copy) -> dict[str, Any]:
    content = base64.b64encode(copy.content).decode()
    return {"content": content, "uid": copy.uid, "gid": copy.gid, "mode": f"{copy.mode:04o}"}


def _copy(item: Mapping[str, Any] | None) -> Copy | None:
    if item is None:
        return None
    return Copy(base64.b64decode(item["content"]), item["uid"], item["gid"], int(item["mode"], 8))
