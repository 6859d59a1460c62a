"""Texts from outside, as they are shown: in one line, and with nothing that a terminal acts upon."""

from __future__ import annotations

import ast
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsplat_core.shown import shown


@pytest.mark.parametrize("text", ["", "a b/c.jpg", "größe 写真 [bold] {0} %s \\n", "a\u00a0b\u3000c"])
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("a\r\nb\tc\x7f", r"a\r\nb\tc\x7f"),
        ("gnp.\u202eexe", r"gnp.\u202eexe"),
        ("a\u2028b", r"a\u2028b"),
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_what_steers_a_terminal_is_an_escape(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text(st.characters(codec=None, exclude_characters="\\")))
def test_any_text_is_one_harmless_line_from_which_it_can_be_had_again(text: str) -> None:
    line = shown(text)
    assert len(line.splitlines()) <= 1
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    quoted = line.replace('"', r"\"")
    assert ast.literal_eval(f'"{quoted}"') == text
