"""The functions of a Python file by their lines, so that what is known of a line survives edits above it."""

from __future__ import annotations

import ast
from dataclasses import dataclass

HEAD = -1  # the step of a place in a function's signature
OUTSIDE = ""  # the name of what is in no function


@dataclass(frozen=True)
class Place:
    """A statement: its function's full name and its line after the function's first, or HEAD."""

    function: str
    step: int


def places(text: str) -> dict[int, Place]:
    """The place of each line."""
    result: dict[int, Place] = {}
    _mark(ast.parse(text).body, OUTSIDE, 0, result)
    return result


def _mark(body: list[ast.stmt], function: str, first: int, result: dict[int, Place]) -> None:
    prefix = f"{function}." if function else ""
    for node in body:
        assert node.end_lineno is not None
        for line in range(node.lineno, node.end_lineno + 1):
            result[line] = Place(function, node.lineno - first if function else 0)
        match node:
            case ast.FunctionDef(name=name, body=inner) | ast.AsyncFunctionDef(name=name, body=inner):
                begin = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                for line in range(begin, inner[0].lineno):
                    result[line] = Place(prefix + name, HEAD)
                _mark(inner, prefix + name, node.lineno, result)
            case ast.ClassDef(name=name, body=inner):
                _mark_class(inner, prefix + name, result)
            case _:
                for part in ("body", "orelse", "finalbody"):
                    _mark(getattr(node, part, []), function, first, result)
                for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                    _mark(handler.body, function, first, result)


def _mark_class(body: list[ast.stmt], name: str, result: dict[int, Place]) -> None:
    inner: dict[int, Place] = {}
    _mark(body, "", 0, inner)
    for line, place in inner.items():
        result[line] = Place(f"{name}.{place.function}" if place.function else OUTSIDE, place.step)
