# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests in a file on the controller. Nothing in it is a template, whatever it looks like."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import kind, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.instance_file import (
    COLUMNS,
    VARIABLE,
    Content,
    read_csv,
    write_csv,
)
from ansible_collections.plainlinux.vpc.plugins.plugin_utils import _plan_dir

# Ansible takes every file in a folder of inventories for an inventory, but those with some endings, as this one.
HIDDEN = ".txt"
# Where libyaml is missing, ten times as slow.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def locate(task_vars: Mapping[str, Any], name: str) -> str:
    """The path of a file whose name is relative to the inventory's folder."""
    return os.path.join(_plan_dir.inventory_folder(task_vars), os.path.expanduser(name))


def given(task_vars: Mapping[str, Any], template: Callable[[Any], Any]) -> tuple[str, Content] | None:
    """The name of the file that the variable names, and what is in it; None where it names none."""
    value = task_vars.get(VARIABLE)
    value = template(value) if isinstance(value, str) and ("{{" in value or "{%" in value) else value
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return VARIABLE, Content(mistakes=[(VARIABLE, f"{show(value)} is {kind(value)}; the path of a file is needed")])
    return _word(value), read(locate(task_vars, value), _word(value))


def read(path: str, name: str) -> Content:
    """What is in the file; name: as the user wrote it."""
    reader = _READERS.get(form(path))
    if reader is None:
        known = ", ".join(_READERS)
        return _unread(f"{_word(name)} has no known ending: {known}, each also with {HIDDEN} after it")
    try:
        with open(path, "rb") as handle:
            content = handle.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return _unread(f"{_word(path)} cannot be read: {reason}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return _unread(f"{_word(name)} is UTF-16; UTF-8 is needed")
        line = content.count(b"\n", 0, error.start) + 1
        return _unread(f"{_word(name)} is not UTF-8: byte 0x{content[error.start]:02x} in line {line}")
    try:
        return reader(name, text)
    except (ValueError, RecursionError) as error:
        return _unread(f"{_word(name)} cannot be read: {error}")


def write(path: str, instances: Iterable[Mapping[str, Any]]) -> str:
    """The text of a file of that name with these guests, which have no mistake. Raises ValueError."""
    writer = _WRITERS.get(form(path))
    if writer is None:
        raise ValueError(f"{_word(path)} has no known ending: {', '.join(_WRITERS)}, each also with {HIDDEN} after it")
    return writer(list(instances))


def hosts_by_mistake(path: str, hosts: Iterable[str]) -> bool:
    """Whether Ansible has read a table of guests as an inventory: each of its lines is then a host."""
    if not form(path).startswith(".csv"):
        return False
    return any(host.partition(",")[0] in COLUMNS and "," in host for host in hosts)


def form(path: str) -> str:
    """The ending that says how a file is read."""
    return os.path.splitext(path.lower().removesuffix(HIDDEN))[1]


def _read_yaml(name: str, text: str) -> Content:
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{error.problem or error.context}{where}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    return _items(name, [] if found is None else found)


def _read_json(name: str, text: str) -> Content:
    try:
        return _items(name, json.loads(text, object_pairs_hook=_object))
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} in line {error.lineno}, column {error.colno}") from None


def _items(name: str, found: Any) -> Content:
    if isinstance(found, list):
        return Content(instances=found)
    return Content(mistakes=[(name, f"{kind(found)} is not allowed; a list is needed, the items of vpc_instances")])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _value in pairs]
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise ValueError(f"{show(twice)} is twice in one mapping, of {show(found.get('name'))}")
    return found


def _mapping(loader: Any, node: Any, deep: bool = False) -> Any:
    """A mapping without a key that is there twice, of which YAML's readers take the last."""
    # Keys that a merge brings are there to be replaced.
    before = len(node.value) if all(key.tag != _MERGE for key, _value in node.value) else 0
    found = _LOADER.construct_mapping(loader, node, deep)
    if len(found) < before:
        raise yaml.constructor.ConstructorError(None, None, "a key is twice in one mapping", node.start_mark)
    return found


# mypy knows no type of its base.
_Loader: Any = type("_Loader", (_LOADER,), {"construct_mapping": _mapping})


def _write_yaml(instances: list[Mapping[str, Any]]) -> str:
    text: str = yaml.dump(instances, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}"


def _write_json(instances: list[Mapping[str, Any]]) -> str:
    return "[\n{}\n]\n".format(",\n".join(json.dumps(item) for item in instances)) if instances else "[]\n"


def _word(path: str) -> str:
    """A path within a line of text, however long it is."""
    return path if path.isprintable() else show(path)


def _unread(message: str) -> Content:
    return Content(mistakes=[(VARIABLE, message)])


_READERS: dict[str, Callable[[str, str], Content]] = {
    ".csv": read_csv,
    ".yml": _read_yaml,
    ".yaml": _read_yaml,
    ".json": _read_json,
}
_WRITERS: dict[str, Callable[[list[Mapping[str, Any]]], str]] = {
    ".csv": write_csv,
    ".yml": _write_yaml,
    ".yaml": _write_yaml,
    ".json": _write_json,
}
