# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML from outside: what is read, and that the hostile is refused before it can do anything."""

from __future__ import annotations

import re

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import xml_document
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.xml_document import LIMIT, Element, read_xml
from hypothesis import given
from hypothesis import strategies as st

KEY = "first.secret_Key"
# Ten times ten times ...: 3 GB of text.
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{level} "{f"&lol{level - 1 if level > 1 else str()};" * 10}">' for level in range(1, 10))
    + "]><a>&lol9;</a>"
)
FILE = '<!DOCTYPE a [<!ENTITY file SYSTEM "file:///etc/hostname">]><a>&file;</a>'
PARAMETER = '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://192.0.2.1/"> %p;]><a/>'


def test_tree() -> None:
    found = read_xml(
        '<?xml version="1.0" encoding="UTF-8"?><a x="1"> t <b>1</b> <b> 2\n</b><c y="&lt;"/><!-- <b>3</b> -->u </a>'
    )
    children = [Element("b", [], "1"), Element("b", [], "2"), Element("c", attributes={"y": "<"})]
    assert found == Element("a", children, "t  u", {"x": "1"})
    assert [found.given(*words) for words in (("c", "y"), ("c", "x"), ("d", "y"))] == ["<", "", ""]
    assert [child.text for child in found.all("b")] == ["1", "2"]
    assert found.all("d") == []


@pytest.mark.parametrize(
    "text, value",
    [
        ("<a>&lt;&amp;&#65;</a>", "<&A"),
        ("<a><![CDATA[ <b> ]]></a>", "<b>"),
        ('<?xml version="1.0" encoding="UTF-16"?><a>\u00e4</a>', "\u00e4"),
        ('<?xml version="1.0" encoding="nonsense"?><a>\u00e4</a>', "\u00e4"),
        ("\ufeff \r\n\t<a>b</a>\n", "b"),
    ],
)
def test_text_is_what_was_written(text: str, value: str) -> None:
    assert read_xml(text).text == value


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "is not XML: it must start with <"),
        (KEY, "is not XML: it must start with <"),
        ("{}", "is not XML: it must start with <"),
        (f"<a>{KEY}", "is not XML: no element found in line 1"),
        (f"<a>\n{KEY}</b>", "is not XML: mismatched tag in line 2"),
        ("<a/><b/>", "is not XML: junk after document element in line 1"),
        (f"<a>&{KEY};</a>", "is not XML: undefined entity in line 1"),
        ("<a>\x00</a>", "is not XML: not well-formed (invalid token) in line 1"),
        ("<a>\ud800</a>", "is not XML: it has what is no character"),
        ("<!-- a -->", "is not XML: no element found in line 1"),
        ("<a>" * 17 + "</a>" * 17, "is nested deeper than 16 elements"),
        ("<a>" * 300_000, "is nested deeper than 16 elements"),
        ("<a>" + "b" * (LIMIT - 6) + "</a>", f"has {LIMIT + 1} characters: at most {LIMIT} are read"),
    ],
    ids=str,
)
def test_what_is_not_read(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        read_xml(text)
    assert str(caught.value) == reason


def test_limits() -> None:
    assert len(read_xml("<a>" + "b" * (LIMIT - 7) + "</a>").text) == LIMIT - 7
    assert read_xml("<a>" * 16 + "</a>" * 16).name == "a"
    many = read_xml("<a>" + "t<b/>" * 200_000 + "</a>")
    assert (len(many.children), many.text) == (200_000, "t" * 200_000)


@pytest.mark.parametrize("value", [None, 5, b"<a/>", ["<a/>"], {"xml": "<a/>"}])
def test_only_strings(value: object) -> None:
    with pytest.raises(ValueError, match="the document as a string is needed"):
        read_xml(value)


HOSTILE = [
    LAUGHS,
    FILE,
    PARAMETER,
    "<!DOCTYPE a><a/>",
    '<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd"><a/>',
    "<!doctype a><a/>",
    "<a><!ENTITY x 'y'></a>",
    "<!ELEMENT a ANY><a/>",
    "<![INCLUDE[<!ENTITY x 'y'>]]><a/>",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:20])
def test_hostile_documents_are_not_parsed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_document, "_Builder", None)  # the parser
    with pytest.raises(ValueError, match="has a document type or entities, which are not read"):
        read_xml(text)


@pytest.mark.parametrize("text", HOSTILE[:5], ids=lambda text: text[:20])
def test_the_parser_refuses_them_too(text: str) -> None:
    with pytest.raises(ValueError, match="has a document type or entities, which are not read"):
        xml_document._Builder().read(text)


PIECES = st.lists(
    st.sampled_from(
        [
            "<a>",
            "</a>",
            "<b/>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "&lt;",
            "&x;",
            "<!DOCTYPE a [",
            "]>",
            "<?x ?>",
            "t",
            "\n",
        ]
    ),
    max_size=12,
).map("".join)


@given(PIECES | st.text(max_size=20))
def test_anything_is_a_tree_or_one_line(text: str) -> None:
    try:
        found = read_xml(text)
    except ValueError as error:
        lines = str(error).split("\n")
    else:
        lines = [found.name]
    assert len(lines) == 1
    assert lines[0]
