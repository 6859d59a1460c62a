"""Names that stand for things of the same kind: one written for the other is a mistake that still runs."""

from __future__ import annotations

import re

PAIRS = (
    ("width", "height"),
    ("fx", "fy"),
    ("cx", "cy"),
    ("rows", "columns"),
    ("x", "y"),
    ("y", "z"),
    ("u", "v"),
    ("a", "b"),
    ("c", "d"),
    ("p", "q"),
    ("i", "j"),
    ("xx", "yy"),
    ("xy", "xz"),
    ("m1", "m2"),
    ("g0", "g1"),
    ("row0", "row1"),
    ("l11", "l22"),
    ("first", "second"),
    ("first", "last"),
    ("left", "right"),
    ("low", "high"),
    ("lower", "upper"),
    ("start", "stop"),
    ("start", "end"),
    ("begin", "end"),
    ("before", "after"),
    ("near", "far"),
    ("mean", "variance"),
    ("mean", "std"),
    ("means", "scales"),
    ("smallest", "largest"),
    ("size", "count"),
    ("num_before", "num_after"),
    ("old", "new"),
    ("train", "test"),
    ("image", "target"),
    ("gradient", "value"),
    ("step", "steps"),
)

PARTNER: dict[str, str] = {}
for _a, _b in PAIRS:
    PARTNER.setdefault(_a, _b)
    PARTNER.setdefault(_b, _a)

FUNCTIONS: dict[str, str] = {}
for _a, _b in (
    ("min", "max"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("minimum", "maximum"),
    ("clamp_min", "clamp_max"),
    ("floor", "ceil"),
    ("any", "all"),
    ("sum", "mean"),
    ("cos", "sin"),
    ("exp", "expm1"),
    ("log", "log1p"),
    ("logical_and", "logical_or"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
):
    FUNCTIONS[_a], FUNCTIONS[_b] = _b, _a


def other_number(literal: str) -> str | None:
    """A number that differs a little: 2 for 1, 0.855 for 0.95, 0.0001 for 1e-06; None for what is no plain
    decimal number."""
    try:
        if literal.isdigit():
            return str(int(literal) + 1)
        value = float(literal)
    except ValueError:
        return None
    if value == 0:
        return "0.1"
    return repr(float(f"{100 * value if value <= 1e-3 else 0.9 * value:.6g}"))


def other_magnitude(literal: str) -> str | None:
    """Ten times the number; None for what is no decimal number."""
    try:
        value = float(literal)
    except ValueError:
        return None
    if value == 0:
        return None
    return str(10 * int(value)) if re.fullmatch(r"[\d_]+", literal) else repr(float(f"{10 * value:.6g}"))
