# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a small XML document that comes from outside, as a tree of plain elements.

It may carry secrets: no message has a piece of its text, only names of elements and line numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import kind

# Real documents have 5 kB.
LIMIT = 1 << 20
_DEPTH = 16
# With a document type come entities, and with entities what fills the memory or reads files.
_DECLARATION = re.compile(r"<!\s*(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION|\[(?!CDATA\[))", re.IGNORECASE)


@dataclass
class Element:
    """An element. text: all text directly in it, without blanks around it."""

    name: str
    children: list[Element] = field(default_factory=list)
    text: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def all(self, name: str) -> list[Element]:
        """The children with the name."""
        return [child for child in self.children if child.name == name]

    def given(self, child: str, attribute: str) -> str:
        """The attribute of the first child with the name, "" where there is none."""
        return next((found.attributes.get(attribute, "") for found in self.all(child)), "")


def read_xml(document: object) -> Element:
    """The root of the document; raises ValueError, whose text continues the name of the document."""
    if not isinstance(document, str):
        raise ValueError(f"is {kind(document)}; the document as a string is needed")
    text = str.__str__(document)
    if len(text) > LIMIT:
        raise ValueError(f"has {len(text)} characters: at most {LIMIT} are read")
    # Some makers put blanks before the declaration.
    text = text.lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        raise ValueError("is not XML: it must start with <")
    if _DECLARATION.search(text):
        raise ValueError("has a document type or entities, which are not read")
    return _Builder().read(text)


class _Builder:
    """Turns the events of the parser into elements."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self.open: list[Element] = []
        # Of each open element, to be joined at its end: to add to a text piece by piece would copy it each time.
        self.pieces: list[list[str]] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        # The text has been searched for both; should a spelling have been missed, the parser stops here.
        self.parser.StartDoctypeDeclHandler = self.refuse
        self.parser.EntityDeclHandler = self.refuse

    def read(self, text: str) -> Element:
        try:
            self.parser.Parse(text, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise ValueError(f"is not XML: {reason} in line {error.lineno}") from None
        except UnicodeEncodeError:  # half of a surrogate pair
            raise ValueError("is not XML: it has what is no character") from None
        if self.root is None:  # the parser refuses a document without an element
            raise ValueError("is not XML: it has no element")
        return self.root

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        element = Element(name, attributes=attributes)
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)
        self.pieces.append([])
        if len(self.open) > _DEPTH:
            raise ValueError(f"is nested deeper than {_DEPTH} elements")

    def end(self, name: str) -> None:
        self.open.pop().text = "".join(self.pieces.pop()).strip()

    def characters(self, data: str) -> None:
        self.pieces[-1].append(data)

    def refuse(self, *arguments: object) -> None:
        raise ValueError("has a document type or entities, which are not read")
