# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search for the pre-shared keys of the tunnels, in every form that they can take, everywhere that they must not be."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

_PREFIX = "vault_"
# Packed arguments are zlib in base64; shorter ones could hold no key.
_PACKED = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")
_PIECE = 3


def read(files: Iterable[Path]) -> dict[str, str]:
    """Key by the names of its file and its variable."""
    found = {}
    for file in files:
        for name, value in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            if name.startswith(_PREFIX):
                found[f"{file.name}:{name}"] = str(value)
    return found


def forms(key: str) -> Iterator[bytes]:
    """A key as it is, in hexadecimal, and in base64 wherever in a text it stands."""
    octets = key.encode()
    yield octets
    yield binascii.hexlify(octets)
    for before in range(_PIECE):
        encoded = base64.b64encode(bytes(before) + octets)
        # What depends on the neighbours is left out.
        yield encoded[4 if before else 0 : -4]


def unpacked(content: bytes) -> Iterator[bytes]:
    """The content, and whatever is packed in it."""
    yield content
    for match in _PACKED.finditer(content):
        text = match.group().rstrip(b"=")
        try:
            octets = base64.b64decode(text + b"=" * (-len(text) % 4))
            yield zlib.decompressobj().decompress(octets)
        except (binascii.Error, zlib.error):
            continue


def named(content: bytes, keys: dict[str, str]) -> list[str]:
    """Names of the keys that are in a content."""
    texts = list(unpacked(content))
    return [name for name, key in keys.items() if any(form in text for form in forms(key) for text in texts)]


def control(keys: dict[str, str]) -> list[str]:
    """What of each key is not found in texts that have it, which must be nothing."""
    missed = []
    for name, key in keys.items():
        long = f'{{"content": "{key}", "more": "{"x" * 200}"}}'
        packed = base64.b64encode(zlib.compress(long.encode()))
        for text in (long.encode(), packed, base64.b64encode(long.encode()), binascii.hexlify(long.encode())):
            if name not in named(b"a line\n" + text + b"\nanother", keys):
                missed.append(name)
    return missed
