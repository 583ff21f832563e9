# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS's words for algorithms, in the document for the customer gateway and in TunnelOptions."""

from __future__ import annotations

import re

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import ESP_GROUPS

# Compared without case, dashes, underscores and blanks.
_ENCRYPTION = {
    **{f"aes{bits}{mode}": f"aes{bits}" for bits in (128, 256) for mode in ("", "cbc")},
    **{f"aes{bits}gcm{tag}": f"aes{bits}-gcm16" for bits in (128, 256) for tag in ("", "16")},
}
# Those of SHA-2 have not been seen in a document yet: every usual spelling is read.
_HASHES = {
    f"{hmac}{name}{cut}": word
    for word, names, bits in (
        ("sha1", ("sha1", "sha"), "96"),
        ("sha256", ("sha256", "sha2256"), "128"),
        ("sha384", ("sha384", "sha2384"), "192"),
        ("sha512", ("sha512", "sha2512"), "256"),
    )
    for hmac in ("", "hmac")
    for name in names
    for cut in ("", bits)
}
_GROUP = re.compile(r"(?:dh)?(?:group)?([0-9]{1,2})")
_VERSIONS = {"ikev1": 1, "ikev2": 2}
_BETWEEN = re.compile(r"[\s_-]+")


def encryption(word: str) -> str | None:
    """One of ENCRYPTION; None for an unknown word, here and below."""
    return _ENCRYPTION.get(_plain(word))


def integrity(word: str) -> str | None:
    """One of HASHES."""
    return _HASHES.get(_plain(word))


def group(word: str) -> int | None:
    """The number of a Diffie-Hellman group."""
    match = _GROUP.fullmatch(_plain(word))
    number = int(match.group(1)) if match is not None else 0
    return number if number in ESP_GROUPS else None


def version(word: str) -> int | None:
    """The version of IKE."""
    return _VERSIONS.get(_plain(word))


def _plain(word: str) -> str:
    return _BETWEEN.sub("", word.lower())
