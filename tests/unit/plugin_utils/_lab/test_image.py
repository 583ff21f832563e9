# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system: cache keys and the mirror."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab import image
from ansible_collections.plainlinux.vpc.plugins.plugin_utils._lab.system import LabError

DEB822 = """\
Types: deb
# http://mirror.invalid/archive/debian/2025
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
"""

ONE_LINE = """\
# deb http://old.example/debian bookworm main
deb [arch=amd64 signed-by=/x.gpg] https://vendor.example/apt stable main
deb-src http://source.example/debian bookworm main
deb [trusted=yes] https://mirror.example/debian/ bookworm main contrib
"""


@pytest.mark.parametrize(
    "text, addresses",
    [
        (DEB822, ["http://mirror.example/debian"]),
        (ONE_LINE, ["https://mirror.example/debian"]),
        (
            "URIs: http://a.example/debian http://b.example/debian/\n",
            ["http://a.example/debian", "http://b.example/debian"],
        ),
        ("deb http://archive.example/ubuntu noble main\n", []),
        ("deb file:/srv/debian ./\n", ["file:/srv/debian"]),
        ("", []),
    ],
)
def test_mirrors(text: str, addresses: list[str]) -> None:
    assert list(image.mirrors(text)) == addresses


def test_own_mirror(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    assert image.own_mirror(tmp_path) is None
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/a.list.save").write_text("deb http://saved.example/debian x main\n")
    assert image.own_mirror(tmp_path) == "http://mirror.example/debian"
    (tmp_path / "sources.list").write_text(ONE_LINE)
    assert image.own_mirror(tmp_path) == "https://mirror.example/debian"


def test_keys_follow_what_decides_the_content() -> None:
    base, packages = image.names("bookworm", ["nftables", "ipset"], None)
    assert image.names("bookworm", ["ipset", "nftables", "ipset"], None) == (base, packages)
    other_base, other_packages = image.names("bookworm", ["nftables"], None)
    assert other_base == base
    assert other_packages != packages
    assert not set(image.names("trixie", ["nftables", "ipset"], None)) & {base, packages}
    assert not set(image.names("bookworm", ["nftables", "ipset"], "http://mirror.example/debian")) & {base, packages}


@pytest.mark.parametrize(
    "suite, packages, cache, message",
    [
        ("buster", [], "/x", "suite: buster is not supported; allowed are bookworm, trixie"),
        ("bookworm", ["nft; reboot"], "/x", "packages: 'nft; reboot' is not the name of a Debian package"),
        ("bookworm", [], "/a:b", "contains a character"),
    ],
)
def test_refused(suite: str, packages: list[str], cache: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        image.ensure(Path(cache), suite, packages)


def test_nothing_to_build(tmp_path: Path) -> None:
    for layer in image.layers(tmp_path, "bookworm", ["ipset"]):
        layer.mkdir()
    assert image.ensure(tmp_path, "bookworm", ["ipset"]) is False
    assert not (tmp_path / "lock").exists()


def test_the_double_follows_what_it_lies_upon(tmp_path: Path) -> None:
    lowers, others = (image.layers(tmp_path, "bookworm", [package]) for package in ("frr", "ipset"))
    double = image.double(lowers, "bookworm", ["frr", "a"])
    assert double == image.double(lowers, "bookworm", ["a", "frr", "a"])
    assert double not in (image.double(others, "bookworm", ["frr", "a"]), image.double(lowers, "bookworm", ["frr"]))
    double.mkdir()
    assert image.ensure_double(lowers, "bookworm", ["a", "frr"]) is False
    assert not (tmp_path / "lock").exists()


def test_an_unfinished_build_leaves_nothing(tmp_path: Path) -> None:
    def build(new: Path) -> None:
        (new / "tree").mkdir()
        raise LabError("no mirror")

    with pytest.raises(LabError, match="no mirror"):
        image._atomically(tmp_path / "base", build)
    assert list(tmp_path.iterdir()) == []
