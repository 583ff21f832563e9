# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the engine writes."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import store


def test_folders_and_files_have_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        store.write_text(str(tmp_path / "one/two/file"), "text\n")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(mask)
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert found == {"one": 0o755, "two": 0o755, "file": 0o644}
