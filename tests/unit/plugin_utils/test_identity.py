# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of inputs that are no model: the parser says what is wrong with them, so it must be reached."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _inputs


def test_keys_of_several_types_have_an_identity() -> None:
    mixed = {"vpc_instances": [{"name": "vm1", 1: "x", (2, 3): "z"}]}
    assert len(_inputs.identity(mixed)) == 16
    assert _inputs.identity(mixed) != _inputs.identity({"vpc_instances": [{"name": "vm2", 1: "x"}]})
