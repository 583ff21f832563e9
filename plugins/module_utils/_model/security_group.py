# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups: what a user may write in vpc_security_groups, and the prefix lists that their rules name."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.rule import Rule

SECTION = "vpc_security_groups"
LISTS = "vpc_prefix_lists"
# The group of guests that name none, where it exists.
DEFAULT = "default"


@dataclass(frozen=True)
class PrefixList:
    """A named list of networks of both families, disjoint and in order. path: where it was written."""

    path: str = field(compare=False)
    name: str
    prefixes: tuple[Prefix, ...]


@dataclass(frozen=True)
class SecurityGroup:
    """A security group. path: where it was written; no part of its identity.

    ingress: what members get; what no rule matches is dropped. egress: what they send; None where everything may be.
    log: whether what is dropped for its members is logged.
    """

    path: str = field(compare=False)
    name: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] | None = None
    stateful: bool = True
    log: bool = False
