# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outputs of real programs: strongSwan 5.9.8 with userland ESP, FRR 8.4.4, iproute2 6.1."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "recorded"


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
