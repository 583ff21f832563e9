# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests' files of Xen, as /etc/xen/www.cfg: those of xl, and those of xm, which are programs in Python.

Nothing is run. What follows from the text alone is read: strings, numbers, lists, and strings and lists put together
by + or +=. Where name or vif is computed otherwise, or depends on a condition, the guest is refused with the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Union

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.domain import Card, Domain

Value = Union[str, list[str], None]

_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\f\v]+|\\\n)
  | (?P<comment>\#[^\n]*)
  | (?P<string>[rRuUbB]{0,2}(?:'{3}(?P<long1>.*?)'{3}|"{3}(?P<long2>.*?)"{3}
              |'(?P<short1>(?:[^'\\\n]|\\.)*)'|"(?P<short2>(?:[^"\\\n]|\\.)*)"))
  | (?P<number>\d[\w.]*)
  | (?P<name>[^\W\d]\w*)
  | (?P<newline>\n)
  | (?P<sign>\+=|==|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(['\"\\])")
# The line of a comment that says which IPv6 addresses a guest has, since vif has no place for them in old versions.
_IPV6 = re.compile(r"#\s*ipv6\s*=\s*(.*)", re.IGNORECASE)
_OPEN, _CLOSE = "([{", ")]}"
_KEYS = ("name", "vif")
_ADDRESSES = re.compile(r"[\s;,]+")


class _Token(NamedTuple):
    kind: str
    text: str
    line: int
    indented: bool = False


def read_xen(text: str) -> Domain:
    """The guest that the file describes."""
    reader = _Reader()
    for statement in _statements(text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff"), reader.addresses):
        reader.statement(statement)
    return reader.domain()


class _Reader:
    """Takes statement after statement; knows name and vif, and where they were lost."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.lost: dict[str, int] = {}
        # Of each line #ipv6=, of which the first is for the first interface.
        self.addresses: list[list[str]] = []
        # Inside of `if`, `def`...: whether it is run nobody knows.
        self.block = False

    def statement(self, tokens: list[_Token]) -> None:
        first = tokens[0]
        if not first.indented:
            self.block = False
        key, sign = first.text, tokens[1].text if len(tokens) > 1 else ""
        plain = first.kind == "name" and sign in ("=", "+=") and not self.block
        if not plain:
            self.block = self.block or tokens[-1].text == ":"
            for token in tokens:
                if token.kind == "name" and token.text in _KEYS:
                    self.lost.setdefault(token.text, token.line)
        elif key in _KEYS:
            self.assign(key, sign, tokens[2:], first.line)

    def assign(self, key: str, sign: str, tokens: list[_Token], line: int) -> None:
        value = _value(tokens)
        before = self.values.get(key)
        if sign == "+=" and value is not None:
            value = _sum(before, value) if key in self.values else value
        if value is None:
            self.lost.setdefault(key, line)
        elif sign == "=":
            self.lost.pop(key, None)
        self.values[key] = value

    def domain(self) -> Domain:
        for key in _KEYS:
            if key in self.lost:
                name = self.values.get("name")
                fault = f"{key} in line {self.lost[key]} is not plain text: computed, conditional or not closed"
                return Domain(name if isinstance(name, str) and "name" not in self.lost else "", fault=fault)
        name, vif = self.values.get("name"), self.values.get("vif", [])
        if not isinstance(name, str) or not name:
            return Domain(fault="has no name")
        cards = [_card(spec) for spec in ([vif] if isinstance(vif, str) else vif or [])]
        notes = []
        # The guard reads them so, too; see _kernel/_vif/learn.py.
        lines = self.addresses if len(cards) != 1 else [[word for line in self.addresses for word in line]]
        for number, words in enumerate(lines):
            if number < len(cards):
                cards[number] = cards[number]._replace(addresses=(*cards[number].addresses, *words))
            elif words:
                notes.append(f"line {number + 1} of #ipv6 is for an interface that vif does not have")
        return Domain(name, tuple(cards), notes=tuple(notes))


def _statements(text: str, addresses: list[list[str]]) -> Iterator[list[_Token]]:
    """Tokens of one statement after the other, without blanks and comments; those of a line #ipv6 go to addresses."""
    found: list[_Token] = []
    line, depth = 1, 0
    fresh, indented = True, False
    for match in _TOKEN.finditer(text):
        kind, raw = str(match.lastgroup), match.group()
        if kind == "comment":
            ipv6 = _IPV6.fullmatch(raw)
            if ipv6:
                addresses.append([word for word in _ADDRESSES.split(ipv6.group(1).strip(" \t'\"")) if word])
        elif kind == "blank":
            indented = indented or fresh
        elif (kind == "newline" or raw == ";") and depth == 0:
            if found:
                yield found
            found, fresh, indented = [], kind == "newline", indented and kind != "newline"
        elif kind != "newline":
            if kind == "sign":
                depth = max(depth + (raw in _OPEN) - (raw in _CLOSE), 0)
            found.append(_Token(kind, _string(match) if kind == "string" else raw, line, indented))
            fresh = False
        line += raw.count("\n")
    if found:
        yield found


def _string(match: re.Match[str]) -> str:
    inside = next((match[name] for name in ("long1", "long2", "short1", "short2") if match[name] is not None), "")
    return _ESCAPE.sub(r"\1", inside)


def _value(tokens: list[_Token]) -> Value:
    """What an expression stands for: a string (a number is its text), a list of strings; None where it is neither."""
    total: Value = None
    wanted = True
    rest = list(reversed(tokens))
    while rest:
        token = rest.pop()
        if token.text == "+" and token.kind == "sign" and not wanted:
            wanted = True
            continue
        # Strings side by side are one.
        if not wanted and not (token.kind == "string" and isinstance(total, str)):
            return None
        part: Value
        if token.kind in ("string", "number"):
            part = token.text
        elif token.kind == "sign" and token.text in ("[", "("):
            part = _list(token.text, rest)
        else:
            return None
        if part is None:
            return None
        total = part if total is None else _sum(total, part)
        if total is None:
            return None
        wanted = False
    return None if wanted else total


def _list(opened: str, rest: list[_Token]) -> Value:
    """A list of strings, or what stands in parentheses, whose opening one has been taken from rest, the end first."""
    closed = _CLOSE[_OPEN.index(opened)]
    items: list[str] = []
    part: list[_Token] = []
    depth, commas = 0, 0
    while rest:
        token = rest.pop()
        ends = token.kind == "sign" and depth == 0
        if ends and token.text in (",", closed):
            if part:
                item = _value(part)
                if opened == "(" and token.text == closed and not commas:
                    return item
                if not isinstance(item, str):
                    return None
                items.append(item)
                part = []
            elif token.text == ",":
                return None
            if token.text == closed:
                return items
            commas += 1
        else:
            depth += (token.text in _OPEN) - (token.text in _CLOSE) if token.kind == "sign" else 0
            part.append(token)
    return None


def _sum(left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    return None


def _card(spec: str) -> Card:
    """An interface from a text as `mac=00:16:3e:38:b4:ac, bridge=xenbr0, ip=192.0.2.10 2001:db8::10`."""
    found: dict[str, list[str]] = {}
    last = ""
    for word in spec.split(","):
        key, sign, value = word.partition("=")
        if sign:
            last = key.strip().lower()
            found.setdefault(last, []).append(value.strip())
        elif word.strip() and last == "ip":  # addresses, some of which are separated by commas
            found[last].append(word.strip())
        elif word.strip():
            return Card(fault=f"vif has {word.strip()!r}, which is no key=value")
    addresses = tuple(word for text in found.get("ip", []) for word in text.split())
    return Card(
        bridge=found.get("bridge", [""])[-1],
        mac=found.get("mac", [""])[-1],
        vif=found.get("vifname", [""])[-1],
        addresses=addresses,
    )
