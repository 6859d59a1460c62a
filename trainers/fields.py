"""Plain JSON values as dataclasses, every field checked: its key, type and range (`gsplat_core.ranges`)."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Annotated, Any, Literal, TypeVar

from gsplat_core.errors import UsageError
from gsplat_core.ranges import LARGEST_INTEGER, Range, range_in, shortened

T = TypeVar("T")

# Seconds; a thousand years.
LONGEST = 3e10


def check_option(name: str, value: float | str | None, allowed: Range) -> None:
    """Raises UsageError for an option, called as its field, whose number is outside a range."""
    if isinstance(value, int | float) and value not in allowed:
        raise UsageError(f"--{name.replace('_', '-')} must be {allowed}, got {value}.")


def from_json(cls: type[T], values: Any, where: str = "") -> T:
    """Builds the dataclass `cls` from plain JSON values, checking every key, type and range.

    Raises:
        ValueError: names the offending entry by its path, for example `densify.refine_every`.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where or 'the top level'} must be an object, got {type(values).__name__}")
    hints = typing.get_type_hints(cls, include_extras=True)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"unknown entry {where}{shortened(unknown[0])}; known are {', '.join(hints)}")
    checked = {key: _checked(hints[key], value, where + key) for key, value in values.items()}
    # A class whose entries depend on each other makes them itself.
    completed = getattr(cls, "from_entries", None)
    try:
        return typing.cast(T, completed(checked)) if completed is not None else cls(**checked)
    except TypeError as error:
        raise ValueError(f"{where or 'the top level'}: an entry is missing ({error})") from None
    except ValueError as error:
        named = not where or str(error).startswith(where)
        raise ValueError(str(error) if named else f"{where}{error}") from None


def _checked(hint: Any, value: Any, where: str) -> Any:
    allowed = range_in(hint)
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type, hint), value, where + ".")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(
                f"{where} must be one of {', '.join(map(repr, arguments))}, got {shortened(value)}"
            )
        return value
    options = arguments if origin in (typing.Union, types.UnionType) else (hint,)
    options = tuple(typing.get_args(o)[0] if typing.get_origin(o) is Annotated else o for o in options)
    words = [word for o in options if typing.get_origin(o) is Literal for word in typing.get_args(o)]
    if isinstance(value, str) and value in words:
        return value
    if isinstance(value, dict):
        for option in options:
            if dataclasses.is_dataclass(option):
                return from_json(typing.cast(type, option), value, where + ".")
            if typing.get_origin(option) is dict:
                return value
    # JSON has one number type and Python's bool is an int: 3 is a float too, true is not a number.
    if type(value) is int and abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{where} must be at most {LARGEST_INTEGER:,}, got {shortened(value)}")
    if float in options and type(value) is int:
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} must be a finite number, got {value!r}")
    if type(value) not in options:
        kinds = [o for o in options if typing.get_origin(o) is not Literal]
        named = ["null" if o is type(None) else getattr(o, "__name__", str(o)) for o in kinds]
        names = " or ".join([*map(repr, words), *named])
        raise ValueError(f"{where} must be {names}, got {shortened(value)}")
    if isinstance(value, str) and "\0" in value:
        raise ValueError(f"{where} must have no character of number 0 in it, got {shortened(value)}")
    if allowed is not None and value is not None and value not in allowed:
        raise ValueError(f"{where} must be {allowed}, got {shortened(value)}")
    return value
