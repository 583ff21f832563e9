# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network ACLs: what a user may write as `acl` of a network. Stateless; what no rule matches is dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fields
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import Rule
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule_read import SIDES, Names, Terms, read_rules

_KEYS = frozenset(SIDES)


@dataclass(frozen=True)
class Acl:
    """The ACL of a network. path: where it was written. A direction that was left out, None, lets everything pass.

    ingress: what comes into the network from elsewhere; egress: what leaves it. Rules: no groups, no reject.
    """

    path: str = field(compare=False)
    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None


def read_acl(report: Report, path: str, value: Any, names: Names) -> Acl | None:
    """Read an ACL; None where it is no mapping. Of use only where nothing was reported."""
    item = fields.mapping(report, path, value, _KEYS, frozenset())
    if item is None:
        return None
    if not item:
        report.add(path, "is empty; ingress, egress or both are needed")
    terms = Terms(names, None)
    ingress, egress = (
        read_rules(report, f"{path}.{way}", item[way], way, terms) if way in item else None for way in SIDES
    )
    return Acl(path, ingress, egress)
