# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What render accepts, and what it says of the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fileset import Fileset, parse

FILE = {"dest": "/etc/x/a", "content": "a\n"}
CHECK = {"command": ["true"]}


def arguments(**changes: Any) -> dict[str, Any]:
    return {"role": "vpn_gateway", "files": [FILE], **changes}


def file(**changes: Any) -> dict[str, Any]:
    return arguments(files=[{**FILE, **changes}])


def test_defaults_and_the_way_to_the_host() -> None:
    raw = arguments(
        state=None,
        files=[
            {**FILE, "owner": None},
            {"dest": "/etc/x/b", "template": "b.j2", "secret": True},
            {"dest": "/etc/x/c", "content": "", "mode": "0640", "owner": "frr", "group": "998"},
        ],
        validate=[{"command": ["cat", "{dest:/etc/x/b}", "{folder}/etc", "{other}"], "required": False, "ok": [0, 3]}],
        apply=[{"command": ["true"]}, {"command": ["true"], "when_changed": ["/etc/*"], "timeout": 5, "expect": "^x"}],
    )
    found = parse(raw)
    assert [file.mode for file in found.files] == [0o644, 0o600, 0o640]
    assert (found.files[0].owner, found.files[2].group, found.files[0].folder_mode) == ("root", "998", 0o755)
    assert found.validate[0].ok == (0, 3)
    assert not found.validate[0].required
    assert found.apply[0].when_changed == ("*",)
    assert Fileset.of(json.loads(json.dumps(found.plain()))) == found


MISTAKES = [
    ({"files": [FILE]}, "arguments.role: is missing"),
    (arguments(role="VPN-1"), "role: VPN-1 is not allowed"),
    (arguments(state="gone"), "arguments.state: gone is not allowed: present or absent"),
    (arguments(fils=[]), "arguments.fils: unknown key; did you mean files?"),
    (arguments(files=[]), "files: is empty"),
    (arguments(files="x"), "files: a string is not allowed; a list is needed"),
    (arguments(state="absent"), "files: is not allowed with state: absent"),
    (arguments(files=[{"content": "x"}]), "files[0].dest: is missing"),
    (file(dest="etc/x"), "files[0].dest: etc/x is not allowed: an absolute path"),
    (file(dest="/etc/../x"), "files[0].dest: /etc/../x is not allowed"),
    (file(dest="/etc/x/"), "files[0].dest: /etc/x/ is not allowed"),
    (file(dest="//etc/x"), "files[0].dest: //etc/x is not allowed"),
    (file(dest="/"), "files[0].dest: / is not allowed"),
    (file(dest="/etc/a\nb"), 'files[0].dest: "/etc/a\\nb" is not allowed'),
    (file(dest="/proc/sys/x"), "files[0].dest: /proc/sys/x is not allowed: nothing lasts"),
    (file(dest="/etc/{x}"), "files[0].dest: /etc/{x} is not allowed: braces"),
    (file(template="x.j2"), "files[0]: either content or template is needed"),
    (file(content=None), "files[0]: either content or template is needed"),
    (file(mode=420), 'files[0].mode: 420 is not allowed: three or four octal digits in quotes, as "0644"'),
    (file(mode="u=rw"), "files[0].mode: u=rw is not allowed"),
    (file(mode="0888"), "files[0].mode: 0888 is not allowed"),
    (file(mode="0644", secret=True), "files[0].mode: 0644 lets everybody at a secret file"),
    (file(owner="a b"), 'files[0].owner: "a b" is not the name or number'),
    (file(owner=0), "files[0].owner: 0 is a number; a string is needed"),
    (arguments(files=[FILE, FILE]), "files[1].dest: /etc/x/a is also that of files[0]"),
    (arguments(files=[FILE, {**FILE, "dest": "/etc/x/a/b"}]), "files[1].dest: /etc/x/a/b is below /etc/x/a"),
    (arguments(validate=[{}]), "validate[0].command: is missing"),
    (arguments(validate=[{"command": []}]), "validate[0].command: is empty"),
    (arguments(validate=[{"command": "true"}]), "validate[0].command: true is a string; a list is needed"),
    (arguments(validate=[{"command": ["sleep", 1]}]), "validate[0].command[1]: a number is not allowed; a string"),
    (arguments(validate=[{"command": ["cat", "{dest:/etc/x/b}"]}]), "{dest:/etc/x/b} names no file of the set"),
    (arguments(validate=[{**CHECK, "expect": "("}]), "validate[0].expect: ( is no regular expression"),
    (arguments(validate=[{**CHECK, "ok": ["0"]}]), "validate[0].ok[0]: 0 is not allowed; a number from 0 to 255"),
    (arguments(validate=[{**CHECK, "ok": [True]}]), "validate[0].ok[0]: true is not allowed"),
    (arguments(validate=[{**CHECK, "timeout": 0}]), "validate[0].timeout: 0 is not allowed; a number from 1 to 3600"),
    (arguments(validate=[{**CHECK, "required": "no"}]), "validate[0].required: no is a string; a boolean is needed"),
    (arguments(validate=[{**CHECK, "when_changed": []}]), "validate[0].when_changed: unknown key"),
    (arguments(apply=[{**CHECK, "required": True}]), "apply[0].required: unknown key"),
    (arguments(apply=[{**CHECK, "when_changed": "/etc/*"}]), "apply[0].when_changed: /etc/* is a string"),
]


@pytest.mark.parametrize("raw, message", MISTAKES, ids=[message for raw, message in MISTAKES])
def test_mistakes_are_named(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelErrors) as caught:
        parse(raw)
    assert message in str(caught.value)
    assert len(caught.value.errors) == 1


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ModelErrors) as caught:
        parse(arguments(role="-", files=[{**FILE, "mode": 1, "owner": "/"}], apply=[{}], validate=7))
    paths = [error.path for error in caught.value.errors]
    assert paths == ["role", "files[0].mode", "files[0].owner", "validate", "apply[0].command"]


@pytest.mark.parametrize(
    "item",
    [
        "canary-7",
        {**FILE, "secret": "canary-7"},
        {"dest": "/etc/x", "content": ["canary-7"]},
        {"dest": "/etc/x", "content": {"psk": "canary-7"}},
        {"dest": "/etc/x", "content": "canary-7", "mode": 1, "secret": True},
        {"dest": "/etc/x", "content": "canary-7", "template": "canary-7"},
    ],
)
def test_a_secret_in_the_wrong_place_is_not_told(item: Any) -> None:
    with pytest.raises(ModelErrors) as caught:
        parse(arguments(files=[item]))
    assert "canary" not in str(caught.value)
    with pytest.raises(ModelErrors) as caught:
        parse(arguments(files=str(item)))
    assert "canary" not in str(caught.value)
