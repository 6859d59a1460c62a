"""Options of single formats: the keyword arguments of their `load` and `save`, by name, value and text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gsplat_core.errors import UsageError


def options_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of the options by name: bool, int, float, str, Literal, or one of these or None."""
    parameters = inspect.signature(function).parameters.values()
    types = get_type_hints(function)
    return {p.name: types[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "strict"}


def check_options(function: Callable[..., Any], given: dict[str, Any], what: str) -> None:
    """
    Raises:
        UsageError: an option that `function` does not have, or a value of another kind than it takes.
    """
    offered = options_of(function) if given else {}
    for name, value in given.items():
        kinds = _alternatives(_kind(name, offered, what))
        if value not in kinds and type(value) not in kinds:
            raise UsageError(f"{what}: {name} must be {_described(kinds)}, not {value!r}.")


def parse_options(function: Callable[..., Any], texts: Sequence[str], what: str) -> dict[str, Any]:
    """Options from texts of the form NAME=VALUE.

    Raises:
        UsageError: as for `check_options`.
    """
    offered, options = options_of(function), {}
    for text in texts:
        name, _, value = text.partition("=")
        options[name] = _parsed(value, _alternatives(_kind(name, offered, what)))
    check_options(function, options, what)
    return options


def check_range(name: str, value: float, low: float, high: float) -> None:
    """
    Raises:
        UsageError: an option whose value is not from `low` to `high`.
    """
    if not low <= value <= high:
        raise UsageError(f"{name} must be from {low:,} to {high:,}, not {value:,}.")


def _kind(name: str, offered: dict[str, Any], what: str) -> Any:
    if name not in offered:
        described = "; ".join(f"{n}={_described(_alternatives(kind))}" for n, kind in offered.items())
        raise UsageError(f"{what}: there is no option {name!r}. Options: {described or 'none'}.")
    return offered[name]


def _alternatives(kind: Any) -> list[Any]:
    """The types and single values that are allowed."""
    if get_origin(kind) in (Union, UnionType):
        return [one for part in get_args(kind) for one in _alternatives(part)]
    return list(get_args(kind)) if get_origin(kind) is Literal else [kind]


def _parsed(text: str, kinds: list[Any]) -> Any:
    """The value among the alternatives that the text stands for, or the text itself."""
    words: dict[str, Any] = {"true": True, "yes": True, "false": False, "no": False} if bool in kinds else {}
    words |= {"none": None} if NoneType in kinds else {}
    words |= {str(kind): kind for kind in kinds if not isinstance(kind, type)}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _described(kinds: list[Any]) -> str:
    names = {bool: "true|false", int: "INTEGER", float: "NUMBER", str: "TEXT", NoneType: "none"}
    return "|".join(names[kind] if isinstance(kind, type) else str(kind) for kind in kinds)
