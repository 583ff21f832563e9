# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML, written so that nothing is taken for a number, a date or null, whatever it looks like."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def document(comment: str, content: Mapping[str, Any]) -> str:
    """Mappings with plain words as keys, lists, strings, numbers and booleans as a YAML document."""
    return "\n".join([f"# {comment}", *_mapping(content, ""), ""])


def _mapping(content: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _mapping(value, f"{indent}  ")
        elif isinstance(value, list):
            yield f"{indent}{key}:"
            for item in value:
                # Of a mapping within a list, all is on one line.
                yield f"{indent}  - {_flow(item)}"
        else:
            yield f"{indent}{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_flow(item)}' for key, item in value.items())}}}"
    # A string of JSON is one of YAML, too.
    return json.dumps(value)
