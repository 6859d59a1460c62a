"""Places in a Python file's text, and which of its parts change nothing but words."""

from __future__ import annotations

import ast

# Calls that only tell somebody something.
_MESSAGES = frozenset(
    [
        "print",
        "warn",
        "warning",
        "note",
        "info",
        "debug",
        "error",
        "exception",
        "log",
        "rule",
        "add_row",
        "add_column",
        "add_task",
        "describe",
        "set_title",
        "set_xlabel",
        "set_ylabel",
        "legend",
        "set_major_formatter",
        "set_major_locator",
        "set_minor_locator",
        "errstate",
    ]
)
# Arguments that say how something looks or is reported, that have no other sensible value, or that only show
# on a GPU.
_WORDS = frozenset(
    [
        "device",
        "non_blocking",
        "help",
        "title",
        "label",
        "description",
        "style",
        "justify",
        "color",
        "linewidth",
        "alpha",
        "fontsize",
        "figsize",
        "dpi",
        "encoding",
        "stacklevel",
        "strict",
        "exist_ok",
        "flush",
        "indent",
        "thread_name_prefix",
        "prefix",
        "suffix",
        "remedy",
        "unit",
        "markersize",
        "marker",
        "loc",
        "bbox_to_anchor",
        "ha",
        "layout",
        "sep",
        "expand",
        "bar_width",
    ]
)

# Functions to which the order of their arguments is the same.
COMMUTATIVE = frozenset(
    ["min", "max", "minimum", "maximum", "hypot", "gcd", "equal", "array_equal", "allclose", "isclose", "dot"]
)


class Source:
    """A parsed file."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def place(self, line: int, column: int) -> int:
        """Characters before a place that `ast` tells by its line and its bytes within it."""
        text = self._lines[line - 1]
        inside = column if text.isascii() else len(text.encode()[:column].decode())
        return self._starts[line - 1] + inside

    def start(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self.place(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.place(node.end_lineno, node.end_col_offset)

    def code(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        return self.text[self.start(node) : self.end(node)]

    def line(self, place: int) -> int:
        return self.text.count("\n", 0, place) + 1


def called_name(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def only_words(node: ast.AST) -> bool:
    """Whether the part is a message, a docstring, a name for people or a check for mypy."""
    match node:
        case ast.Raise() | ast.Assert() | ast.JoinedStr():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.FunctionDef(name="__repr__" | "__str__"):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.AnnAssign(target=ast.Name(id="_STYLE")):
            return True
        case ast.keyword(arg=str(name)):
            return name in _WORDS
        case ast.Call():
            name = called_name(node)
            return name in _MESSAGES or name.endswith(("Error", "Warning")) or name in ("TypeVar", "cast")
    return False


def chosen_number(node: ast.AST) -> ast.Constant | None:
    """The number of a constant with a name of its own, such as `MOST_ROUNDS = 12`: a choice of somebody."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int() | float()) as number):
            named = len(name) > 1 and name.upper() == name and not isinstance(number.value, bool)
            return number if named else None
    return None


def behaviour(node: ast.AST) -> list[ast.AST]:
    """The parts of a node that say what happens: no annotations, decorators or base classes."""
    match node:
        case ast.FunctionDef(args=arguments, body=body) | ast.AsyncFunctionDef(args=arguments, body=body):
            defaults: list[ast.expr] = [d for d in (*arguments.defaults, *arguments.kw_defaults) if d]
            return [*defaults, *body]
        case ast.Lambda(body=value):
            return [value]
        case ast.ClassDef(body=body):
            return list(body)
        case ast.AnnAssign(value=value):
            # The default of a setting is a choice: no property tells 0.3 from 0.27.
            return [] if value is None or isinstance(value, ast.Constant) else [value]
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return []
    if chosen_number(node) is not None:
        return []
    return list(ast.iter_child_nodes(node))
