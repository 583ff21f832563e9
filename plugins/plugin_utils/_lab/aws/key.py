# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pre-shared key of an endpoint: on the endpoint's disk, for its root alone, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from ..paths import Paths
from ..system import write
from . import ipsec


def differs(paths: Paths, host: str, key: str | None) -> bool:
    """Whether an endpoint's disk has another key, or none. key: None for what is no endpoint."""
    if key is None:
        return False
    try:
        return _file(paths, host, "upper").read_text(encoding="utf-8") != ipsec.secret(key)
    except OSError:
        return True


def put(paths: Paths, host: str, key: str | None) -> bool:
    """Write the key to an endpoint's disk, whether it runs or not. Returns whether the disk had another one."""
    if key is None or not differs(paths, host, key):
        return False
    # what is mounted may not be changed behind its back
    file = _file(paths, host, "root" if os.path.ismount(paths.disk(host) / "root") else "upper")
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write(file, ipsec.secret(key), 0o600)
    return True


def _file(paths: Paths, host: str, directory: str) -> Path:
    return paths.disk(host) / directory / ipsec.KEY
