# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host this is, in a lab."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.store import read_text

MARKER = "/etc/plainlinux-vpc-lab"


def wrong(lab_host: str | None) -> str:
    """Why this host must not be touched by a run for the lab host, "" where it may, or the run is for no lab."""
    if lab_host and (read_text(MARKER) or "").strip() != lab_host:
        return f"this is not the lab host {lab_host}: nothing was done"
    return ""
