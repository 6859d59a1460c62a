"""The header of a PLY file: which elements the body has, and how many bytes each takes.

PLY is the polygon format of Turk (1994): an ASCII header of lines, then the elements one after another, as
ASCII lines or as packed binary numbers of either byte order. This parser takes every legal header, whatever
the order of elements and whichever line ending, and reads at most 1 MiB.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

import numpy as np

from gsplat_core.errors import DataError

MAX_HEADER = 1 << 20
MAX_LINE = 1 << 16

_SCALARS = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}
_BYTE_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass
class PlyElement:
    """One kind of record.

    Args:
        name: such as "vertex".
        count: number of records.
        line: where in the header it is declared.
        scalars: numpy type codes (such as "f4") by property name, in file order.
        lists: names of properties that are lists; such records have no fixed size.
    """

    name: str
    count: int
    line: int
    scalars: dict[str, str] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)

    def dtype(self, byte_order: str) -> np.dtype:
        """Packed record of the scalars."""
        return np.dtype([(name, byte_order + code) for name, code in self.scalars.items()])


@dataclass(frozen=True)
class PlyHeader:
    """A parsed header.

    Args:
        encoding: as in the format line.
        elements: in file order.
        comments: the text of the comment lines.
        size: bytes up to the first byte of the body.
        lines: number of header lines.
    """

    encoding: Literal["ascii", "binary_little_endian", "binary_big_endian"]
    elements: list[PlyElement]
    comments: list[str]
    size: int
    lines: int

    @property
    def byte_order(self) -> str:
        """Numpy's sign for it."""
        return _BYTE_ORDERS[self.encoding]

    def element(self, name: str) -> PlyElement | None:
        return next((element for element in self.elements if element.name == name), None)


def read_header(file: BinaryIO, path: str | os.PathLike[str]) -> PlyHeader:
    """Parses the header at the start of a file and leaves the position at the body.

    Raises:
        DataError: not a PLY file, or an illegal header; with the line number.
    """
    file.seek(0)
    text = file.read(MAX_HEADER)
    magic = re.match(rb"ply[ \t]*(\r\n|\n|\r)", text)
    if magic is None:
        raise DataError(path, f"not a PLY file: it starts with {text[:16]!r} instead of the line 'ply'")
    end_of_line = (
        b"\r" if magic[1] == b"\r" else b"\n"
    )  # a \r before \n is stripped with other trailing space
    encoding, comments = None, []
    elements: dict[str, PlyElement] = {}
    start, number = magic.end(), 1
    while True:
        number += 1
        place = f"line {number}"
        end = text.find(end_of_line, start, start + MAX_LINE)
        if end < 0:
            raise DataError(path, _no_line_end(len(text), start), place)
        words = text[start:end].decode("utf-8", "replace").split()
        start = end + 1
        match words:
            case ["end_header"]:
                break
            case ["comment" | "obj_info", *_]:
                comments.append(" ".join(words[1:]))
            case ["format", ("ascii" | "binary_little_endian" | "binary_big_endian") as word, "1.0"]:
                if encoding is not None:
                    raise DataError(path, "a second format line", place)
                encoding = word
            case ["element", name, count]:
                if name in elements:
                    raise DataError(path, f"element {name[:40]!r} is declared twice", place)
                elements[name] = element = PlyElement(name, _count(count, path, place), number)
            case ["property", *definition]:
                if not elements:
                    raise DataError(path, "a property before any element", place)
                _add_property(element, definition, path, place)
            case _:
                raise DataError(path, f"not a legal header line: {' '.join(words)[:60]!r}", place)
    if encoding is None:
        raise DataError(path, "the header has no format line", f"lines 1 to {number}")
    file.seek(start)
    return PlyHeader(encoding, list(elements.values()), comments, start, number)


def _no_line_end(available: int, start: int) -> str:
    if available - start >= MAX_LINE:
        return f"a header line of more than {MAX_LINE:,} bytes"
    if available == MAX_HEADER:
        return f"the header does not end within {MAX_HEADER:,} bytes"
    return "the file ends inside the header"


def _count(word: str, path: str | os.PathLike[str], place: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", word):
        raise DataError(path, f"{word[:40]!r} is not a possible number of elements", place)
    return int(word)


def _add_property(element: PlyElement, words: list[str], path: str | os.PathLike[str], place: str) -> None:
    name = words[-1] if words else ""
    if name in element.scalars or name in element.lists:
        raise DataError(path, f"property {name[:40]!r} is declared twice", place)
    match words:
        case [kind, _] if kind in _SCALARS:
            element.scalars[name] = _SCALARS[kind]
        case ["list", counter, kind, _] if kind in _SCALARS and counter in _SCALARS:
            element.lists.add(name)
        case _:
            raise DataError(path, f"not a legal property: {' '.join(words)[:60]!r}", place)
