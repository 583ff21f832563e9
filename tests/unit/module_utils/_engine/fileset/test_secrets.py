# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret files show in no diff and no message, whatever programs print."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset import result
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.fileset.transaction import (
    FailedError,
    RefusedError,
    Transaction,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import parse
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._engine.fileset.hosts import (
    JSON,
    PSK,
    SECRET,
    Host,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")


def test_secrets_are_in_no_diff(host: Host) -> None:
    plain = {"dest": "/etc/x/main", "content": f"psk {PSK}\npeer 198.51.100.1\n"}
    host.apply(plain)
    moved = [{**plain, "content": "peer 198.51.100.1\n"}, SECRET]
    runs = [
        (moved, {}),
        ([moved[0], {**SECRET, "content": f"198.51.100.1 {PSK[::-1]}\n"}], {}),
        ([moved[0], {**SECRET, "mode": "0640"}], {}),
        # Neither when it is no secret any more, nor when it goes.
        ([moved[0], {**SECRET, "secret": False, "content": "nothing\n"}], {}),
        (moved, {}),
        ([moved[0]], {}),
    ]
    shown = []
    for files, more in runs:
        for check in (True, False):
            done = host.apply(*files, check=check, **more)
            shown.append(json.dumps(result.present(done, diff=True)))
    text = "\n".join(shown)
    assert PSK not in text
    assert PSK[::-1] not in text
    assert "psk (secret)\\npeer 198.51.100.1" in shown[0]
    assert '"(secret, 32 bytes)\\n", "after": "(secret, 32 bytes, changed)\\n"' in shown[2]
    assert '"before": "root:root 0600\\n", "after": "root:root 0640\\n"' in shown[4]


QUOTES = [
    "cat $f",
    "cat $f >&2; exit 1",
    "echo \"line 1: unexpected '$(cut -d' ' -f2 $f)' in 'psk.txt'\"; exit 1",
    "cut -c 14-25 $f; exit 1",
    "cut -c 18-25 $f; exit 1",
    "tr -d ' ' <$f; exit 1",
    "sed 's/[0-9.]/\\n/g' $f; exit 1",
    "head -c 3000 /dev/zero | tr '\\0' x; cat $f; head -c 1990 /dev/zero | tr '\\0' ' '; echo .; exit 1",
    "cat $f; sleep 60",
]


@pytest.mark.parametrize("script", QUOTES)
def test_secrets_are_in_no_message(host: Host, script: str) -> None:
    """Parts of six characters in a row, wherever a program cuts."""
    places = {"validate": "{dest:/etc/x/psk.txt}", "apply": str(host.path(SECRET["dest"]))}
    for key, dest in list(places.items())[: 1 if "sleep" in script else 2]:
        program = {"command": ["sh", "-c", f"f={dest}; {script}"], "refuse": "kanarien", "timeout": 1}
        with pytest.raises((RefusedError, FailedError)) as caught:
            host.apply(SECRET, **{key: [program]})
        message = str(caught.value)
        parts = [PSK[start : start + 6] for start in range(len(PSK) - 5)]
        # What the user wrote is his.
        assert [part for part in parts if part in message.replace(f"'{program['refuse']}'", "")] == []


def test_what_is_public_is_not_hidden(host: Host) -> None:
    other = {"dest": "/etc/x/main", "content": "peer 198.51.100.1\n"}
    program = {"command": ["sh", "-c", "cat {dest:/etc/x/psk.txt}; echo /etc/x/psk.txt line 1; exit 1"]}
    assert host.refuse(other, SECRET, validate=[program]).endswith("198.51.100.1 (secret)\n/etc/x/psk.txt line 1")


def test_the_old_secret_is_hidden_too(host: Host) -> None:
    host.apply(SECRET)
    dest = host.path(SECRET["dest"])
    keep = host.root.parent / "keep"
    keep.write_text(dest.read_text())
    program = {"command": ["sh", "-c", f"cat {keep} {dest}; exit 1"]}
    with pytest.raises(FailedError) as caught:
        host.apply({**SECRET, "content": "198.51.100.1 another-one\n"}, apply=[program])
    assert PSK not in str(caught.value)
    assert "another" not in str(caught.value)


def test_nobody_but_root_sees_the_copies(host: Host) -> None:
    listing = host.root.parent / "listing"
    program = {"command": ["sh", "-c", f"ls -ld {{folder}} {{folder}}/etc/x/* >{listing}"]}
    host.apply(SECRET, JSON, validate=[program])
    modes = [line.split()[0] for line in listing.read_text().splitlines()]
    assert modes == ["drwx------", "-rw-r--r--", "-rw-------"]


def test_copies_of_a_killed_run_are_removed(host: Host) -> None:
    stale = host.runtime / "stage-old" / "etc"
    stale.mkdir(parents=True)
    (stale / "psk.txt").write_text(PSK)
    other = host.runtime / "antispoof"
    other.mkdir()
    Transaction(parse({"role": "x", "files": [JSON]}), host.options(check=True)).apply()
    assert list(host.runtime.iterdir()) == [other]
