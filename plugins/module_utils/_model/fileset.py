# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role may write about a set of files: the arguments of the module render."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import ModelErrors, Report, kind, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.fields import (
    choice,
    flag,
    mapping,
    plain,
    sequence,
    text,
)

STATES = ("present", "absent")
NO_TEXT = "is no text: it cannot be written as UTF-8"
TIMEOUT = 60
PLACEHOLDER = re.compile(r"\{(?:folder|dest:([^{}]+))\}")

_ROLE = re.compile(r"[a-z][a-z0-9_]{0,30}")
_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")
# To chown, the next number means none.
_LAST_ACCOUNT = (1 << 32) - 2
_MODE = re.compile(r"[0-7]{3}|0[0-7]{3}")
_NOT_FILES = ("/proc", "/sys", "/dev", "/run/plainlinux-vpc")

_TOP_KEYS = frozenset(("role", "state", "files", "validate", "apply"))
_FILE_KEYS = frozenset(("dest", "content", "template", "owner", "group", "mode", "folder_mode", "secret"))
_PROGRAM_KEYS = frozenset(("command", "ok", "expect", "refuse", "timeout"))
_CHECK_KEYS = _PROGRAM_KEYS | {"required"}
_APPLY_KEYS = _PROGRAM_KEYS | {"when_changed"}


@dataclass(frozen=True)
class File:
    """One file. content: its text; None until template, a name of the controller, is rendered. mode: permission bits.

    folder_mode: for folders on the way to it that are missing. secret: its text is shown to nobody.
    """

    dest: str
    content: str | None = None
    template: str | None = None
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    folder_mode: int = 0o755
    secret: bool = False


@dataclass(frozen=True)
class Program:
    """A program to run and when it has done well: its status is in ok, its output matches expect and not refuse.

    timeout: seconds after which it is killed.
    """

    command: tuple[str, ...]
    ok: tuple[int, ...] = (0,)
    expect: str | None = None
    refuse: str | None = None
    timeout: int = TIMEOUT


@dataclass(frozen=True)
class Check(Program):
    """Run before the first write, on a copy of the set. required: it is an error that the program is not installed."""

    required: bool = True


@dataclass(frozen=True)
class Apply(Program):
    """Run after the last write, if a path that one of the patterns matches has changed."""

    when_changed: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class Fileset:
    """All files of a role on a host, in the order of the input. No files: the role has gone."""

    role: str
    files: tuple[File, ...] = ()
    validate: tuple[Check, ...] = ()
    apply: tuple[Apply, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Fileset:
        """The inverse of plain()."""
        return cls(
            role=content["role"],
            files=tuple(File(**item) for item in content["files"]),
            validate=tuple(Check(**_tuples(item)) for item in content["validate"]),
            apply=tuple(Apply(**_tuples(item)) for item in content["apply"]),
        )


def parse(raw: Mapping[str, Any]) -> Fileset:
    """The arguments of the module, checked. Raises ModelErrors; its messages never hold the content of a file."""
    report = Report()
    top = mapping(report, "arguments", raw, _TOP_KEYS, frozenset(("role",))) or {}
    role = text(report, "arguments", top, "role") or ""
    if role and not _ROLE.fullmatch(role):
        report.add("role", f"{show(role)} is not allowed: a lower-case letter, then at most 30 of a-z 0-9 _")
    present = choice(report, "arguments", {"state": top.get("state") or STATES[0]}, "state", STATES) == STATES[0]
    files = _files(report, top.get("files"))
    known = _destinations(report, files)
    validate = [
        _check(report, f"validate[{number}]", item, known)
        for number, item in enumerate(sequence(report, "validate", top.get("validate") or []))
    ]
    apply = [
        _apply(report, f"apply[{number}]", item)
        for number, item in enumerate(sequence(report, "apply", top.get("apply") or []))
    ]
    if present and not top.get("files"):
        report.add("files", "is empty: state: absent takes all files of a role away")
    if not present:
        for key in ("files", "validate"):
            if top.get(key):
                report.add(key, "is not allowed with state: absent")
    if report.errors:
        raise ModelErrors(report.errors)
    return Fileset(role, tuple(filter(None, files)), tuple(filter(None, validate)), tuple(filter(None, apply)))


def _files(report: Report, value: Any) -> list[File | None]:
    # Whatever stands in a wrong place may be a secret: only its kind is told.
    if value is not None and not isinstance(value, (list, tuple)):
        report.add("files", f"{kind(value)} is not allowed; a list is needed")
        return []
    return [_file(report, f"files[{number}]", item) for number, item in enumerate(value or ())]


def _file(report: Report, path: str, item: Any) -> File | None:
    if not isinstance(item, Mapping):
        report.add(path, f"{kind(item)} is not allowed; a mapping is needed")
        return None
    before = len(report.errors)
    mapping(report, path, item, _FILE_KEYS, frozenset(("dest",)))
    given = {key: value for key, value in item.items() if value is not None}
    dest = text(report, path, given, "dest") or ""
    if dest:
        _destination(report, f"{path}.dest", dest)
    for key in ("content", "template"):
        if key in given and not isinstance(given[key], str):
            report.add(f"{path}.{key}", f"{kind(given[key])} is not allowed; a string is needed")
        elif key in given and not is_text(given[key]):
            report.add(f"{path}.{key}", NO_TEXT)
    if ("content" in given) == ("template" in given):
        report.add(path, "either content or template is needed")
    secret = given.get("secret", False)
    if not isinstance(secret, bool):
        report.add(f"{path}.secret", f"{kind(secret)} is not allowed; true or false, without quotes, is needed")
        secret = True
    mode = _mode(report, f"{path}.mode", given.get("mode", "0600" if secret else "0644"))
    if secret and mode & 0o007:
        report.add(f"{path}.mode", f"{mode:04o} lets everybody at a secret file: the last digit must be 0")
    folder_mode = _mode(report, f"{path}.folder_mode", given.get("folder_mode", "0755"))
    owner, group = (_account(report, path, given, key) for key in ("owner", "group"))
    if len(report.errors) > before:
        return None
    content, template = (plain(given[key]) if key in given else None for key in ("content", "template"))
    return File(dest, content, template, owner, group, mode, folder_mode, secret)


def is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: what was read from a file that is none has halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _destination(report: Report, path: str, dest: str) -> None:
    # normpath leaves two slashes at the beginning.
    if not re.match("/[^/]", dest) or os.path.normpath(dest) != dest or not dest.isprintable():
        report.add(path, f"{show(dest)} is not allowed: an absolute path without . or .. or / at its end is needed")
    elif any(dest.startswith(f"{folder}/") for folder in _NOT_FILES):
        report.add(path, f"{show(dest)} is not allowed: nothing lasts below {', '.join(_NOT_FILES)}")
    elif "{" in dest or "}" in dest:
        report.add(path, f"{show(dest)} is not allowed: braces stand for placeholders")


def _destinations(report: Report, files: list[File | None]) -> frozenset[str]:
    known: dict[str, int] = {}
    for number, file in enumerate(files):
        if file is not None:
            if file.dest in known:
                report.add(f"files[{number}].dest", f"{file.dest} is also that of files[{known[file.dest]}]")
            known[file.dest] = number
    for dest, number in known.items():
        folder = os.path.dirname(dest)
        while folder != "/":
            if folder in known:
                report.add(f"files[{number}].dest", f"{dest} is below {folder}, a file of files[{known[folder]}]")
            folder = os.path.dirname(folder)
    return frozenset(known)


def _mode(report: Report, path: str, value: Any) -> int:
    # An unquoted 0644 of YAML 1.1 is the number 420, an unquoted 644 is not what 0644 means.
    if isinstance(value, str) and _MODE.fullmatch(value):
        return int(value, 8)
    report.add(path, f'{show(value)} is not allowed: three or four octal digits in quotes, as "0644", are needed')
    return 0


def _account(report: Report, path: str, item: Mapping[str, Any], key: str) -> str:
    name = text(report, path, item, key) if key in item else "root"
    if name and not _ACCOUNT.fullmatch(name):
        report.add(f"{path}.{key}", f"{show(name)} is not the name or number of an account")
    elif name and name.isdigit() and int(name) > _LAST_ACCOUNT:
        report.add(f"{path}.{key}", f"{name} is not allowed: at most {_LAST_ACCOUNT}")
    return name or "root"


def _check(report: Report, path: str, item: Any, known: frozenset[str]) -> Check | None:
    found = _program(report, path, item, _CHECK_KEYS)
    if found is None:
        return None
    given, values = found
    for word in values["command"]:
        for match in PLACEHOLDER.finditer(word):
            if match.group(1) is not None and match.group(1) not in known:
                report.add(f"{path}.command", f"{match.group()} names no file of the set{report.hint(word, known)}")
    return Check(**values, required=flag(report, path, {"required": True, **given}, "required"))


def _apply(report: Report, path: str, item: Any) -> Apply | None:
    found = _program(report, path, item, _APPLY_KEYS)
    if found is None:
        return None
    given, values = found
    return Apply(**values, when_changed=_strings(report, f"{path}.when_changed", given.get("when_changed", ["*"])))


def _program(
    report: Report, path: str, item: Any, known: frozenset[str]
) -> tuple[Mapping[str, Any], dict[str, Any]] | None:
    checked = mapping(report, path, item, known, frozenset(("command",)))
    if checked is None or "command" not in checked:
        return None
    given = {key: value for key, value in checked.items() if value is not None}
    command = _strings(report, f"{path}.command", given.get("command"))
    expect, refuse = (_pattern(report, path, given, key) for key in ("expect", "refuse"))
    ok = tuple(
        _number(report, f"{path}.ok[{number}]", value, 0, 255)
        for number, value in enumerate(sequence(report, f"{path}.ok", given.get("ok", [0])))
    )
    timeout = _number(report, f"{path}.timeout", given.get("timeout", TIMEOUT), 1, 3600)
    return given, {"command": command, "ok": ok, "expect": expect, "refuse": refuse, "timeout": timeout}


def _strings(report: Report, path: str, value: Any) -> tuple[str, ...]:
    words = sequence(report, path, value)
    if not words and isinstance(value, (list, tuple)):
        report.add(path, "is empty")
    for number, word in enumerate(words):
        if not isinstance(word, str):
            report.add(f"{path}[{number}]", f"{kind(word)} is not allowed; a string, so in quotes, is needed")
        elif "\0" in word:
            report.add(f"{path}[{number}]", "has a NUL character, which no argument can have")
    return tuple(plain(word) for word in words if isinstance(word, str))


def _pattern(report: Report, path: str, item: Mapping[str, Any], key: str) -> str | None:
    pattern = text(report, path, item, key) if key in item else None
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            report.add(f"{path}.{key}", f"{show(pattern)} is no regular expression: {error}")
    return pattern


def _number(report: Report, path: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return int(value)
    report.add(path, f"{show(value)} is not allowed; a number from {least} to {most} is needed")
    return least


def _tuples(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
