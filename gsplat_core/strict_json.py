"""JSON that every program reads: what has no number there, infinity and "not a number", becomes null."""

from __future__ import annotations

import json
import math
import os
from typing import Any

# Digits that 64 bits may have, with a sign.
_LONGEST_INTEGER = 20


def json_text(value: Any, indent: int | None = 2) -> str:
    """JSON (RFC 8259) of a tree of dictionaries, lists, texts and numbers, without a line's end.

    Args:
        indent: spaces per level; None puts everything on one line.
    """
    return json.dumps(_with_nulls(value), indent=indent, allow_nan=False)


def parse_json(content: str | bytes) -> Any:
    """The value of a JSON text, with errors of one kind for whatever is wrong with it.

    A whole number with more digits than 64 bits have becomes a float, as in other programs, perhaps infinite.

    Raises:
        ValueError: it is not UTF-8, no JSON, or nested too deeply.
    """
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        return json.loads(text, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes a JSON file, whole or not at all; see `gsplat_core.io.atomic` for the errors."""
    from gsplat_core.io.atomic import write_text  # not above: `doctor` prints JSON without the operators

    write_text(path, json_text(value) + "\n")


def _with_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nulls(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_nulls(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
