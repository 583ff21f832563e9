# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which algorithms to offer: the strong ones that AWS allows, or its minimums where these are asked for."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import GCM
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_crypto import STRONG_ESP, STRONG_IKE

_Word = TypeVar("_Word", int, str)

# Strong enough to be chosen unasked, the best first. Groups 22 to 24 are not: RFC 8247.
_HASHES = ("sha384", "sha256", "sha512")
_ENCRYPTION = {1: ("aes256",), 2: ("aes256-gcm16", "aes256")}
_GROUPS = {1: (14, 15, 16, 17, 18, 19, 20, 21), 2: (20, 19, 21, 14, 15, 16, 17, 18)}
# The weakest first, in AWS's own order: it takes the first that both sides allow.
_WEAKEST = ("aes128", "aes256", "aes128-gcm16", "aes256-gcm16", "sha1", "sha256", "sha384", "sha512")


class Minimums(NamedTuple):
    """What the document says about one phase; None where it says nothing. path: of the phase in the document."""

    path: str
    encryption: str | None
    integrity: str | None
    dh: int | None


class Allowed(NamedTuple):
    """What TunnelOptions say about one phase; None where they say nothing, and so allow everything.

    path: of the options of this tunnel; the key is Phase<phase> and the name of a list.
    """

    path: str
    phase: int
    encryption: tuple[str, ...] | None
    integrity: tuple[str, ...] | None
    dh: tuple[int, ...] | None


class Chooser:
    """Chooses for one tunnel. minimums: whether what is weakest is taken, instead of what is strong.

    Without TunnelOptions (allowed: None) nothing is known of what AWS allows, and several strong choices are offered.
    With them one is enough.
    """

    def __init__(self, report: Report, minimums: bool) -> None:
        self.report = report
        self.minimums = minimums

    def version(self, wanted: int | None, versions: tuple[int, ...], minimum: Minimums, allowed: Allowed | None) -> int:
        """The IKE version: the wanted one; the best; or with minimums 1, as in the document, unless GCM needs 2."""
        if wanted is not None:
            return wanted
        if self.minimums and 1 in versions:
            words = (minimum.encryption,) if allowed is None or allowed.encryption is None else allowed.encryption
            return 2 if 2 in versions and GCM.issuperset(words) else 1
        return max(versions)

    def ike(self, version: int, minimum: Minimums, allowed: Allowed | None) -> dict[str, Any]:
        """version, encryption, integrity, prf and dh of a tunnel's `ike`."""
        usual = STRONG_IKE[version]
        words = None if allowed is None else allowed.encryption
        if version == 1 and words is not None:
            words = tuple(word for word in words if word not in GCM) or words
        encryption = self._encryption(version, usual.encryption, minimum, allowed, words)
        hashes = self._hashes(usual.integrity, minimum, allowed)
        gcm = GCM.intersection(encryption)
        prf = list(hashes) if gcm else []
        if gcm and allowed is not None and not self.minimums and hashes:
            # Whether the hashes that AWS allows are about the PRF is written nowhere: all of the strong ones.
            prf = [word for word in _HASHES if allowed.integrity is None or word in allowed.integrity]
        return {
            "version": version,
            "encryption": list(encryption),
            "integrity": [] if GCM.issuperset(encryption) else list(hashes),
            "prf": prf,
            "dh": list(self._groups(version, usual.dh, minimum, allowed)),
        }

    def esp(self, version: int, minimum: Minimums, allowed: Allowed | None) -> dict[str, Any]:
        """encryption, integrity and dh of a tunnel's `esp`, with this version of IKE."""
        usual = STRONG_ESP[version]
        words = None if allowed is None else allowed.encryption
        encryption = self._encryption(version, usual.encryption, minimum, allowed, words)
        gcm = GCM.issuperset(encryption)
        return {
            "encryption": list(encryption),
            "integrity": [] if gcm else list(self._hashes(usual.integrity, minimum, allowed)),
            "dh": list(self._groups(version, usual.dh, minimum, allowed)),
        }

    def _encryption(
        self,
        version: int,
        usual: tuple[str, ...],
        minimum: Minimums,
        allowed: Allowed | None,
        words: tuple[str, ...] | None,
    ) -> tuple[str, ...]:
        if self.minimums:
            return self._weakest("encryption_protocol", minimum, minimum.encryption, words)
        # With version 1 GCM is possible for ESP, but nothing old can do it.
        strong = (*_ENCRYPTION[version], *(word for word in _ENCRYPTION[2] if word not in _ENCRYPTION[version]))
        return self._strong("EncryptionAlgorithms", usual, strong, allowed, words)

    def _hashes(self, usual: tuple[str, ...], minimum: Minimums, allowed: Allowed | None) -> tuple[str, ...]:
        words = None if allowed is None else allowed.integrity
        if self.minimums:
            return self._weakest("authentication_protocol", minimum, minimum.integrity, words)
        return self._strong("IntegrityAlgorithms", usual, _HASHES, allowed, words)

    def _groups(
        self, version: int, usual: tuple[int, ...], minimum: Minimums, allowed: Allowed | None
    ) -> tuple[int, ...]:
        numbers = None if allowed is None else allowed.dh
        if self.minimums:
            return self._weakest("perfect_forward_secrecy", minimum, minimum.dh, numbers)
        return self._strong("DHGroupNumbers", usual, _GROUPS[version], allowed, numbers)

    def _weakest(
        self, key: str, minimum: Minimums, word: _Word | None, allowed: tuple[_Word, ...] | None
    ) -> tuple[_Word, ...]:
        if allowed and word not in allowed:
            return (min(allowed, key=_weakness),)
        if word is None:
            self.report.add(f"{minimum.path}.{key}", "is missing, and minimums are asked for")
            return ()
        return (word,)

    def _strong(
        self,
        key: str,
        usual: tuple[_Word, ...],
        strong: tuple[_Word, ...],
        allowed: Allowed | None,
        words: tuple[_Word, ...] | None,
    ) -> tuple[_Word, ...]:
        if allowed is None:
            return usual
        found = [word for word in usual + strong if words is None or word in words]
        if not found and words is not None:
            self.report.add(
                f"{allowed.path}.Phase{allowed.phase}{key}",
                f"allows only {', '.join(map(str, words))}: allow one of {', '.join(map(str, strong))} in AWS, or ask "
                "for minimums",
            )
        return tuple(found[:1])


def _weakness(word: object) -> int:
    return word if isinstance(word, int) else _WEAKEST.index(str(word))
