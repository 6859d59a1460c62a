"""Single mistakes in a header of ``csrc/math``, by its tokens: the formulas are formatted alike, so that an
operator between two values has a space on both sides, and a bracket of a template none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mutations.mistake import Mistake
from mutations.names import FUNCTIONS, PARTNER, other_number

_NO_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|^[ \t]*#(?:\\\n|[^\n])*', re.DOTALL | re.MULTILINE
)
_DECLARATION = re.compile(
    r"^\s*(template\b|using\b|static_assert\b|struct\b|namespace\b|friend\b)|operator\s*[-+*/<>=!&|]"
)
_OPERATORS = {
    "+": "-", "-": "+", "*": "/", "/": "*",
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "&&": "||", "||": "&&", "&": "|", "|": "&", "^": "|", "<<": ">>", ">>": "<<",
    "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=",
}  # fmt: skip
_OPERATOR = re.compile(r"(?<=[\w)\]}]) (\+=|-=|\*=|/=|<=|>=|==|!=|&&|\|\||<<|>>|[-+*/<>&|^]) (?=[\w({!~-])")
_SIGN = re.compile(r"(?:^|[(\[,{=?:<*/+&|]|\breturn)\s*([-!])(?=[\w(])")
_NUMBER = re.compile(r"(?<![\w.])(\d+\.\d*(?:e[-+]?\d+)?|\d+e[-+]?\d+|\d+)(f|u)?(?![\w.])")
_FIELD = re.compile(r"(?<=[\w)\]]\.)([A-Za-z_]\w*)\b(?!\s*\()")
_NAME = re.compile(r"(?<![\w.:])([A-Za-z_]\w*)\b")
_FUNCTIONS = {"min": "max", "max": "min", "cos": "sin", "sin": "cos", "floor": "ceil"}
_SELECT = re.compile(r"\bselect\(([^(),]+|[^(),]*\([^()]*\)[^(),]*), ([^(),]+|[^(),]*\([^()]*\)[^(),]*), ")


def _blanked(text: str) -> str:
    """The text with blanks for what is no code, so that places stay."""
    return _NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def cpp_mistakes(file: str, text: str) -> list[Mistake]:
    """All mistakes that can be planted in a header, in the order of their places."""
    found: list[Mistake] = []
    start = 0
    for number, line in enumerate(_blanked(text).split("\n"), 1):
        if not _DECLARATION.search(line):
            for begin, old, new, kind in _in_line(line, text):
                found.append(Mistake(file, number, start + begin, old, new, kind))
        start += len(line) + 1
    return sorted(set(found), key=lambda m: (m.start, m.old, m.new))


def _in_line(line: str, text: str) -> Iterator[tuple[int, str, str, str]]:
    for match in _OPERATOR.finditer(line):
        yield match.start(1), match[1], _OPERATORS[match[1]], "operator"
    for match in _SIGN.finditer(line):
        yield match.start(1), match[1], "", "sign or not left out"
    for match in _NUMBER.finditer(line):
        other = other_number(match[1])
        if other is not None:
            yield match.start(1), match[1], other, "constant"
    for match in _FIELD.finditer(line):
        other = PARTNER.get(match[1])
        if other and re.search(rf"\b{other}\b", text):
            yield match.start(1), match[1], other, "name"
    for match in _NAME.finditer(line):
        name = match[1]
        is_call = line[match.end() : match.end() + 1] == "("
        other = FUNCTIONS.get(name) and _FUNCTIONS.get(name) if is_call else PARTNER.get(name)
        declared = re.match(r"[;,)]|\s*[=;{(]", line[match.end() :]) and re.search(
            r"[\w>&*] $", line[: match.start()]
        )
        if other and (is_call or re.search(rf"(?<![\w.]){other}\b", text)) and not (declared and not is_call):
            yield match.start(1), name, other, "function" if is_call else "name"
    for match in _SELECT.finditer(line):
        condition = match[1].strip()
        yield match.start(1), match[1], f"!({condition})", "condition"
