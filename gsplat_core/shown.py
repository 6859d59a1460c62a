"""Texts that come from outside, as they can be shown: names of files may hold what steers a terminal."""

from __future__ import annotations

import unicodedata

# Besides control characters: what reorders the letters around it or breaks lines, and halves of characters,
# which stand for bytes that are not UTF-8.
_KINDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def shown(text: str) -> str:
    """The text in one line, each character that a terminal would act upon written as its escape in Python."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _KINDS
        else character
        for character in text
    )
