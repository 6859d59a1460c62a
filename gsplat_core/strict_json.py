"""JSON that every program reads: what has no number there, infinity and "not a number", becomes null."""

from __future__ import annotations

import json
import math
import os
from typing import Any


def json_text(value: Any, indent: int | None = 2) -> str:
    """JSON (RFC 8259) of a tree of dictionaries, lists, texts and numbers, without a line's end.

    Args:
        indent: spaces per level; None puts everything on one line.
    """
    return json.dumps(_with_nulls(value), indent=indent, allow_nan=False)


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
