# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that all modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes of a module, to be filled in by each."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in check mode and tell what would change.
  diff_mode:
    description: Returns what differs when run with C(--diff).
  idempotent:
    description: A second run on an unchanged host reports no change.
  action_group:
    description: Use C(group/plainlinux.vpc.vpc) in C(module_defaults) to set defaults for this module.
    support: full
    membership: [plainlinux.vpc.vpc]
"""
