"""Single mistakes in a Python file: a comparison, a number, a name of the same kind, a step left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from mutations.mistake import Mistake
from mutations.names import FUNCTIONS, PARTNER, other_magnitude, other_number
from mutations.python_source import COMMUTATIVE, Source, behaviour, called_name, chosen_number, only_words

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
# Where a fraction is compared with, being equal to it is chance, and the direction is the mistake.
_TURNED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", ">"),
    ast.LtE: ("<=", ">"),
    ast.Gt: (">", "<"),
    ast.GtE: (">=", "<"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}
# Methods and functions whose result is like what they are given: one can forget them.
_FORGOTTEN_METHODS = frozenset(
    [
        "detach",
        "clamp",
        "clamp_min",
        "clamp_max",
        "clone",
        "abs",
        "sqrt",
        "flip",
        "round",
        "exp",
        "log",
        "T",
        "mT",
    ]
)
_FORGOTTEN_FUNCTIONS = frozenset(["abs", "sqrt", "round", "sorted", "reversed"])


class _Finder:
    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.source = Source(text)
        self.names: list[set[str]] = []
        numbers = [(node, chosen_number(node)) for node in self.source.tree.body]
        self.fractions = {
            node.targets[0].id
            for node, number in numbers
            if number is not None and isinstance(number.value, float) and number.value not in (0.0, 1.0)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }

    def replace(self, start: int, end: int, new: str, kind: str) -> Iterator[Mistake]:
        old = self.source.text[start:end]
        if old != new:
            yield Mistake(self.file, self.source.line(start), start, old, new, kind)

    def operator(
        self, left: ast.expr, right: ast.expr, change: tuple[str, str], kind: str
    ) -> Iterator[Mistake]:
        begin, end = self.source.end(left), self.source.start(right)
        between = re.sub(r"#[^\n]*", lambda comment: " " * len(comment[0]), self.source.text[begin:end])
        pattern = r"\s+".join(re.escape(word) for word in change[0].split())
        found = re.search(pattern, between)
        if found:
            yield from self.replace(begin + found.start(), begin + found.end(), change[1], kind)

    def walk(self, node: ast.AST) -> Iterator[Mistake]:
        if only_words(node):
            return
        inner = isinstance(node, (ast.FunctionDef, ast.Lambda))
        if inner:
            self.names.append({n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | _arguments(node))
        yield from self.of(node)
        for child in behaviour(node):
            yield from self.walk(child)
        if inner:
            self.names.pop()

    def of(self, node: ast.AST) -> Iterator[Mistake]:
        match node:
            case ast.Compare(left=left, ops=operators, comparators=comparators):
                for operator, right in zip(operators, comparators, strict=True):
                    by_chance = any(_is_fraction(side, self.fractions) for side in (left, right))
                    changes = _TURNED if by_chance and type(operator) in _TURNED else _COMPARISONS
                    yield from self.operator(left, right, changes[type(operator)], "comparison")
                    left = right
            case ast.BinOp(left=left, op=operator, right=right) if not _is_text(left) and not _is_text(right):
                in_function = bool(self.names)
                if type(operator) in _ARITHMETIC and (in_function or not isinstance(operator, ast.BitOr)):
                    yield from self.operator(left, right, _ARITHMETIC[type(operator)], "arithmetic")
            case ast.BoolOp(op=operator, values=[left, right, *_]):
                change = ("and", "or") if isinstance(operator, ast.And) else ("or", "and")
                yield from self.operator(left, right, change, "and, or")
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert(), operand=operand):
                sign = re.match(r"not\s+|[-~]", self.source.code(node))
                if sign and not isinstance(operand, ast.Constant):
                    start = self.source.start(node)
                    yield from self.replace(start, start + sign.end(), "", "sign or not left out")
            case ast.Assign() if (number := chosen_number(node)) is not None:
                # No property tells 0.3 from 0.27 where either would do; 3 it should.
                other = other_magnitude(self.source.code(number))
                if other is not None:
                    yield from self.replace(
                        self.source.start(number), self.source.end(number), other, "magnitude"
                    )
            case ast.Constant(value=bool(value)):
                yield from self.replace(
                    self.source.start(node), self.source.end(node), str(not value), "constant"
                )
            case ast.Constant(value=int() | float()):
                number = other_number(self.source.code(node))
                if number is not None:
                    yield from self.replace(
                        self.source.start(node), self.source.end(node), number, "constant"
                    )
            case ast.Name(id=name, ctx=ast.Load()):
                start, end = self.source.start(node), self.source.end(node)
                if name in ("min", "max", "any", "all"):
                    yield from self.replace(start, end, FUNCTIONS[name], "function")
                elif name in PARTNER and self.names and PARTNER[name] in self.names[-1]:
                    yield from self.replace(start, end, PARTNER[name], "name")
            case ast.Attribute(attr=name, ctx=ast.Load()):
                other = FUNCTIONS.get(name) or PARTNER.get(name)
                end = self.source.end(node)
                known = name in FUNCTIONS or (other and re.search(rf"\b{other}\b", self.source.text))
                if other and known:
                    kind = "function" if name in FUNCTIONS else "name"
                    yield from self.replace(end - len(name), end, other, kind)
            case ast.Call():
                yield from self.call(node)
            case ast.IfExp(test=test) | ast.If(test=test) | ast.While(test=test):
                if isinstance(test, (ast.Name, ast.Attribute, ast.Call)):
                    start = self.source.start(test)
                    yield from self.replace(
                        start, self.source.end(test), f"not {self.source.code(test)}", "condition"
                    )
            case ast.AugAssign(target=target, op=operator, value=value):
                if type(operator) in _ARITHMETIC and not _is_text(value):
                    change = _ARITHMETIC[type(operator)]
                    yield from self.operator(target, value, (change[0] + "=", change[1] + "="), "arithmetic")
            case ast.Expr(value=ast.Call() as call) if not only_words(call):
                yield from self.replace(
                    self.source.start(node), self.source.end(node), "pass", "step left out"
                )

    def call(self, node: ast.Call) -> Iterator[Mistake]:
        source, name = self.source, called_name(node)
        match node:
            case ast.Call(func=ast.Attribute(value=value)) if name in _FORGOTTEN_METHODS:
                if not (isinstance(value, ast.Name) and value.id in ("torch", "np", "math")):
                    dot = re.compile(rf"\s*\.\s*{name}\b").search(source.text, source.end(value))
                    if dot:
                        yield from self.replace(dot.start(), source.end(node), "", "method left out")
        match node:
            case ast.Call(args=[ast.expr() as value], keywords=[]) if name in _FORGOTTEN_FUNCTIONS:
                yield from self.replace(
                    source.start(node), source.end(node), f"({source.code(value)})", "function left out"
                )
        for keyword in node.keywords:
            if keyword.arg is not None and not only_words(keyword):
                end = source.end(keyword)
                comma = re.match(r"\s*,[ ]?", source.text[end:])
                if comma or source.text[end : end + 1] == ")":
                    rest = end + (comma.end() if comma else 0)
                    yield from self.replace(source.start(keyword), rest, "", "argument left out")
        if name in COMMUTATIVE:
            return
        for a, b in zip(node.args, node.args[1:], strict=False):
            if isinstance(a, (ast.Name, ast.Attribute)) and isinstance(b, (ast.Name, ast.Attribute)):
                between = source.text[source.end(a) : source.start(b)]
                swapped = source.code(b) + between + source.code(a)
                yield from self.replace(source.start(a), source.end(b), swapped, "arguments swapped")


def _arguments(node: ast.AST) -> set[str]:
    assert isinstance(node, (ast.FunctionDef, ast.Lambda))
    return {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}


def _is_fraction(node: ast.expr, names: Collection[str]) -> bool:
    """A number that is not whole, one of the named ones, or made of such ones by arithmetic."""
    match node:
        case ast.Constant(value=float(value)):
            return not value.is_integer()
        case ast.Name(id=name):
            return name in names
        case ast.UnaryOp(operand=operand):
            return _is_fraction(operand, names)
        case ast.BinOp(left=left, op=operator, right=right):
            return isinstance(operator, ast.Div) or any(_is_fraction(side, names) for side in (left, right))
    return False


def _is_text(node: ast.expr) -> bool:
    """A string, or a sum or path that begins or ends with one: nothing is computed there."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
    )


def python_mistakes(file: str, text: str) -> list[Mistake]:
    """All mistakes that can be planted in a Python file, in the order of their places."""
    finder = _Finder(file, text)
    return sorted(set(finder.walk(finder.source.tree)), key=lambda m: (m.start, m.old, m.new))
