"""The PLY file of the original 3D Gaussian splatting code, which nearly every viewer and tool reads.

One element `vertex` with one row per Gaussian and the raw parameters as properties, in this order:

    x y z  nx ny nz  f_dc_0..2  f_rest_0..3K-1  opacity  scale_0..2  rot_0..3

all 32-bit floats, little-endian. K is the number of SH coefficients per channel beyond the first (0, 3, 8,
15, 24). f_rest is channel-major: f_rest_{c K + k} is coefficient k of channel c, the transpose of
`Gaussians.shN`. Opacity is a logit, scales are logarithms, rot is (w, x, y, z) of any length, and the normals
are always 0.

Fields of `Gaussians.extras` follow as further properties of their own type, named like the field, or FIELD_0,
FIELD_1, ... when a row has several numbers. The comment line `extra FIELD DTYPE SIZES...` lets them be read
back in their shape and type; other readers ignore it. Properties of other writers that are not part of a
Gaussian become extras too.

The trained fields that a primitive has beyond these follow too, named likewise (`scene/schema.py`); a comment
names the primitive. Of the usual columns those are left out that it does not read. What its rows share
follows behind them (`ply_shared`).

Comments also hold the scene's metadata (`ply_comments`). The column `filter_3D` of Mip-Splatting's files is
applied to scales and opacities (`models/mip.py`) and makes the scene an antialiased one.

Reading takes every legal variant: ASCII and both byte orders, any property order and type, any SH degree from
0 to 4, no normals, other elements around.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Container, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from torch import Tensor

from gsplat_core import primitive as primitives
from gsplat_core.errors import DataError, UnsuitableSceneError
from gsplat_core.io import compressed_ply
from gsplat_core.io.arrays import Arrays, arrays_of, blocks, empty_arrays, map_blocks
from gsplat_core.io.atomic import atomic_file
from gsplat_core.io.compressed_ply import is_compressed
from gsplat_core.io.format import ALL_METADATA, DataWarning, Format
from gsplat_core.io.pieces import PIECE, Pieces
from gsplat_core.io.ply_body import block_rows, check_size, read_columns
from gsplat_core.io.ply_comments import comments_of, metadata_of, primitive_of
from gsplat_core.io.ply_header import PlyElement, PlyHeader, read_header
from gsplat_core.io.ply_shared import (
    read_shared,
    shared_bytes,
    shared_comments,
    shared_declarations,
    shared_elements,
)
from gsplat_core.io.source import open_regular
from gsplat_core.io.usable import keep_usable
from gsplat_core.models import mip
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import MAX_DEGREE, num_coefficients
from gsplat_core.scene.metadata import Metadata
from gsplat_core.scene.origin import LARGEST_COORDINATE, far_offset
from gsplat_core.scene.original_coordinates import original_positions
from gsplat_core.scene.schema import FROZEN, PACE, PARAMETERS, Schema

_MOVED = 1 << 20  # bytes at a time
_NORMALS = ("nx", "ny", "nz")

# How a field of extras is written, and how a property without a comment is read.
_PLY_TYPES = {
    torch.bool: ("uchar", "u1"),
    torch.uint8: ("uchar", "u1"),
    torch.int8: ("char", "i1"),
    torch.int16: ("short", "i2"),
    torch.int32: ("int", "i4"),
    torch.int64: ("int", "i4"),
    torch.float16: ("float", "f4"),
    torch.bfloat16: ("float", "f4"),
    torch.float32: ("float", "f4"),
    torch.float64: ("double", "f8"),
}
_WIDER = {"u2": "i4", "u4": "i8"}  # PyTorch hardly supports these unsigned types
_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in _PLY_TYPES}


def load(path: Path, *, strict: bool) -> Gaussians:
    """Reads a scene; see the module for what is accepted.

    Splats that cannot be rendered are dropped or repaired by the rules of `gsplat_core.io.usable`, with a
    `DataWarning`; bytes after the end are only warned about.

    Raises:
        DataError: the file cannot be opened, is damaged, or is no 3DGS scene (names what it is instead); or
            `strict` and there are splats that cannot be rendered.
    """
    with open_regular(path) as file:
        header = read_header(file, path)
        if is_compressed(header):
            return compressed_ply.load(path, strict=strict)
        vertices = Vertices(file, header, path)
        return keep_usable(vertices.read(slice(0, vertices.num)), path, strict)


def load_pieces(path: Path) -> Pieces | None:
    """The scene of a binary file piece by piece, also with splats that cannot be rendered; None where only
    all rows together tell what they are: of text, and of 64-bit positions without their offset.

    Raises:
        DataError: as for `load`.
    """
    with open_regular(path) as file:
        header = read_header(file, path)
        if is_compressed(header):
            return None
        vertices = Vertices(file, header, path)
        if not vertices.separable:
            return None
        template = vertices.read(slice(0, 0))

    def pieces() -> Iterator[Gaussians]:
        with open_regular(path) as file:
            vertices = Vertices(file, read_header(file, path), path)
            for rows in blocks(vertices.num, PIECE):
                yield vertices.read(rows)

    return Pieces(template, vertices.num, pieces)


class Vertices:
    """The rows of an open file, as they are there: also such as cannot be rendered.

    Raises:
        DataError: as for `load`.
    """

    def __init__(self, file: BinaryIO, header: PlyHeader, path: Path) -> None:
        self._file, self._header, self._path = file, header, path
        self._primitive = _primitive(header, path)
        self._schema = primitives.get(self._primitive).schema
        self._vertex = vertex = _splat_element(header, self._schema, path)
        check_size(file, header, vertex, path)
        self._degree = _sh_degree(vertex, path)
        self._further = _further_fields(vertex, self._primitive, path)
        taken = {p for name, array in self._further.items() for p in _field_columns(name, array)}
        self._extras = _extra_fields(vertex, header.comments, taken, path)
        self._wide = any(vertex.scalars[name] == "f8" for name in "xyz")
        self._shared = shared_elements(header, self._schema.shared, path)
        for element, _ in self._shared.values():
            check_size(file, header, element, path, "numbers")
        self._facts = metadata_of(header.comments, path)
        self._original = self._facts.pop("original", False)

    @property
    def num(self) -> int:
        return self._vertex.count

    @property
    def separable(self) -> bool:
        """Whether rows can be read apart from each other."""
        return self._header.encoding != "ascii" and (self._original or not self._wide)

    def read(self, rows: slice) -> Gaussians:
        """The rows from `rows.start` to `rows.stop`, or all of a file that is not `separable`."""
        count, path = rows.stop - rows.start, self._path
        arrays = empty_arrays(count, self._degree)
        further = {name: _lengthened(array, count) for name, array in self._further.items()}
        extras = {name: _lengthened(array, count) for name, (array, _) in self._extras.items()}
        positions = np.empty((count if self._wide else 0, 3))
        columns = _columns(_written(arrays, self._schema))
        for name in self._schema.unused:
            arrays[name][:] = self._schema[name].blank
        for name, array in (further | extras).items():
            columns |= _field_columns(name, array)
        if self._wide:
            columns |= {"xyz"[i]: positions[:, i] for i in range(3)}
        read_columns(self._file, self._header, self._vertex, columns, path, first=rows.start)
        facts = dict(self._facts)
        if self._wide:
            offset = facts.get("offset")
            facts["offset"] = _without_offset(positions, arrays["means"], offset, self._original, path)
        fields = {
            name: torch.from_numpy(array).to(dtype=self._extras[name][1]) for name, array in extras.items()
        }
        deviations = fields.pop(mip.FILTER, None)
        if deviations is not None:
            facts = {"antialiased": True} | facts
        params = {name: torch.from_numpy(array) for name, array in (arrays | further).items()}
        shared = read_shared(self._file, self._header, self._shared, path)
        try:
            gaussians = Gaussians.of(params, self._primitive, fields, Metadata(**facts), shared)
        except ValueError as error:
            raise DataError(path, str(error), f"line {self._vertex.line}") from None
        if deviations is not None:
            gaussians = mip.applied(gaussians, deviations.reshape(count, -1)[:, 0])
        return gaussians


def save(
    path: Path,
    gaussians: Gaussians,
    *,
    extras: bool = True,
    coordinates: Literal["run", "original"] = "run",
) -> None:
    """Writes a scene, parameters as 32-bit floats.

    Args:
        extras: whether fields that are no part of a Gaussian are written too.
        coordinates: "original" adds the scene's offset to its positions and writes these as 64-bit floats,
            which readers of the usual layout alone do not understand. `load` subtracts it again, to the
            1e-16th part of the offset.

    Raises:
        ResourceError: see `gsplat_core.io.atomic`.
        UnsuitableSceneError: a field has a name that is taken or not ASCII, numbers that PLY does not have,
            or integers beyond 32 bits.
    """
    with atomic_file(path) as file:
        for block in content(path, gaussians, extras=extras, coordinates=coordinates):
            file.write(block)


def content(
    path: Path,
    gaussians: Gaussians,
    *,
    extras: bool = True,
    coordinates: Literal["run", "original"] = "run",
) -> Iterator[bytes]:
    """What `save` writes, piece by piece.

    Args:
        path: for messages.

    Raises:
        UnsuitableSceneError: as for `save`.
    """
    scene = gaussians.detached().to(dtype=torch.float32)
    if not extras:
        scene = scene.without_extras()
    layout = _Layout(path, scene, coordinates)
    yield layout.header(scene.num)
    yield from layout.records()
    yield layout.shared()


def save_pieces(file: BinaryIO, path: Path, pieces: Pieces) -> int:
    """Writes a scene that comes piece by piece: the bytes that `save` would write of all of them at once.

    Args:
        file: new, open for reading and writing.
        path: for messages.

    Returns:
        How many rows these were.

    Raises:
        UnsuitableSceneError: as for `save`.
    """
    layout = _Layout(path, pieces.template, "run")
    header = layout.header
    count, size = 0, file.write(header(pieces.most))
    for piece in pieces.open():
        for block in _Layout(path, piece, "run").records():
            file.write(block)
        count += piece.num
    file.write(layout.shared())
    file.flush()
    _replace_start(file.fileno(), size, header(count))
    return count


class _Layout:
    """How the rows of a scene are written: their columns, of which type, and what comments say of them."""

    def __init__(self, path: Path, scene: Gaussians, coordinates: Literal["run", "original"]) -> None:
        columns = _columns(_written(arrays_of(scene), scene.schema))
        # Where rows are no Gaussians for others, they need not look like such.
        normals = () if scene.schema.unused else _NORMALS
        kinds = dict.fromkeys([*list(columns)[:3], *normals, *list(columns)[3:]], ("float", "f4"))
        comments = comments_of(scene.metadata, coordinates == "original", scene.primitive)
        if coordinates == "original":
            positions = original_positions(scene)
            columns |= {"xyz"[i]: positions[:, i] for i in range(3)}
            kinds |= dict.fromkeys("xyz", _PLY_TYPES[torch.float64])
        for name, tensor in (scene.further | scene.extras).items():
            if problem := _unwritable(tensor):
                raise _unsuitable(path, scene, name, problem)
            more = _field_columns(name, _in_ply_type(tensor))
            if problem := _name_problem(more, kinds):
                raise _unsuitable(path, scene, name, problem)
            columns |= more
            kinds |= dict.fromkeys(more, _PLY_TYPES[tensor.dtype])
            if name in scene.extras:
                sizes = "".join(f" {size}" for size in tensor.shape[1:])
                comments.append(f"comment extra {name} {str(tensor.dtype).removeprefix('torch.')}{sizes}")
        comments += shared_comments(scene.shared)
        self._num, self._columns, self._kinds, self._comments = scene.num, columns, kinds, comments
        self._shared = scene.shared

    def header(self, count: int) -> bytes:
        """What stands before so many rows."""
        lines = [
            "ply",
            "format binary_little_endian 1.0",
            *self._comments,
            f"element vertex {count}",
            *(f"property {kind} {name}" for name, (kind, _) in self._kinds.items()),
            *shared_declarations(self._shared),
            "end_header\n",
        ]
        return "\n".join(lines).encode("ascii")

    def records(self) -> Iterator[bytes]:
        """The rows, some at a time."""
        dtype = np.dtype([(name, "<" + code) for name, (_, code) in self._kinds.items()])

        def block(rows: slice) -> bytes:
            table = np.zeros(rows.stop - rows.start, dtype)
            for name, column in self._columns.items():
                table[name] = column[rows]
            return table.tobytes()

        return map_blocks(self._num, block, block_rows(dtype.itemsize))

    def shared(self) -> bytes:
        """What follows the rows."""
        return shared_bytes(self._shared)


def _replace_start(file: int, size: int, start: bytes) -> None:
    """Puts other bytes, at most as many, in the place of the first `size` of a file; the rest moves up."""
    place = len(start)
    if place < size:
        while block := os.pread(file, _MOVED, size):
            os.pwrite(file, block, place)
            place, size = place + len(block), size + len(block)
        os.ftruncate(file, place)
    os.pwrite(file, start, 0)


def _without_offset(
    positions: np.ndarray,
    means: np.ndarray,
    offset: tuple[float, ...] | None,
    original: bool,
    path: Path,
) -> tuple[float, ...]:
    """Puts positions of 64 bits [N, 3] into `means`, and returns the scene's offset. What would lose its
    detail in 32 bits is moved to the origin.

    Args:
        offset: as the file says.
        original: it is in the positions.
    """
    known = np.array(offset or (0.0, 0.0, 0.0))
    shift = known
    if not original:
        usable = positions[(np.abs(positions) < LARGEST_COORDINATE).all(axis=1)]
        shift = far_offset(usable, np.zeros((0, 3))) if len(usable) else np.zeros(3)
        known = known + shift
        if shift.any():
            place = ", ".join(f"{value:.12g}" for value in shift)
            warnings.warn(
                f"{path}: the scene is far from the origin; ({place}) is subtracted from all its coordinates "
                "and kept as its offset",
                DataWarning, stacklevel=4,
            )  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):  # infinite: found later
        means[:] = positions - shift
    return tuple(known.tolist())


FORMAT = Format(
    ".ply", "3DGS PLY", load, save, lossless=True, metadata=ALL_METADATA,
    load_pieces=load_pieces, save_pieces=save_pieces,
)  # fmt: skip


def _written(arrays: Arrays, schema: Schema) -> Arrays:
    """Those of the six that a file has."""
    return {name: array for name, array in arrays.items() if name not in schema.unused}


def _columns(arrays: Arrays) -> dict[str, np.ndarray]:
    """Views [N] of the parameters by property name, in the order of the file. Serves reading and writing."""
    columns: dict[str, np.ndarray] = {}
    for name in ("means", "sh0", "shN", "opacities", "scales", "quats"):
        if name in arrays:
            columns |= _columns_of(name, arrays[name])
    return columns


def _columns_of(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    if name == "means":
        return {"xyz"[i]: array[:, i] for i in range(3)}
    if name == "opacities":
        return {"opacity": array}
    if name == "shN":
        coefficients = array.shape[1]
        return {
            f"f_rest_{c * coefficients + k}": array[:, k, c] for c in range(3) for k in range(coefficients)
        }
    prefix, numbers = {
        "sh0": ("f_dc", array[:, 0]), "scales": ("scale", array), "quats": ("rot", array)
    }[name]  # fmt: skip
    return {f"{prefix}_{i}": numbers[:, i] for i in range(numbers.shape[1])}


# Recognising a scene


_SPLAT_PROPERTIES = list(_columns(empty_arrays(0, 0)))


def _splat_element(header: PlyHeader, schema: Schema, path: Path) -> PlyElement:
    """The element that holds the Gaussians, or an error that says what the file is instead."""
    vertex = header.element("vertex")
    if vertex is None:
        names = ", ".join(element.name for element in header.elements) or "none"
        raise DataError(path, f"no element 'vertex' (its elements: {names[:200]!r})")
    place = f"line {vertex.line}"
    needed = _columns(_written(empty_arrays(0, 0), schema))
    missing = [name for name in needed if name not in vertex.scalars]
    if not missing:
        if vertex.lists:
            raise DataError(path, f"the vertices have a list property {min(vertex.lists)[:40]!r}", place)
        return vertex
    if missing == ["scale_2"]:
        raise DataError(
            path, "a 2DGS scene of flat surfels (scale_2 is missing), not one of 3D Gaussians", place
        )
    if not any(name.startswith(("f_dc_", "scale_", "rot_")) for name in vertex.scalars):
        face = header.element("face")
        kind = "a mesh" if face is not None and face.count else "a plain point cloud"
        raise DataError(
            path,
            f"{kind} with {vertex.count:,} vertices, not a trained 3DGS scene "
            f"(no {', '.join(name for name in missing if name not in 'xyz')})",
            place,
            "Its vertices can serve as initial points for a training.",
        )
    raise DataError(path, f"the properties {', '.join(missing)} are missing", place)


def _sh_degree(vertex: PlyElement, path: Path) -> int:
    rest = {name for name in vertex.scalars if name.startswith("f_rest_")}
    for degree in range(MAX_DEGREE + 1):
        if rest == {f"f_rest_{i}" for i in range(3 * num_coefficients(degree) - 3)}:
            return degree
    raise DataError(
        path,
        f"{len(rest)} properties f_rest_*: expected 0, 9, 24, 45 or 72, numbered from 0 (SH degree 0 to 4)",
        f"line {vertex.line}",
    )


# Fields beyond the six


def _primitive(header: PlyHeader, path: Path) -> str:
    """The primitive that a comment names, or an error that says that it is not known here."""
    name = primitive_of(header.comments)
    if name not in primitives.names():
        raise DataError(
            path, f"its splats are of the primitive {name[:40]!r}, which is not known here", "header",
            "Import the module that registers it, or update gsplat-core.",
        )  # fmt: skip
    return name


def _further_fields(vertex: PlyElement, primitive: str, path: Path) -> Arrays:
    """Arrays without rows for the parameters that the primitive has beyond the six."""
    arrays = {
        field.name: np.empty((0, *field.shape), np.float32)
        for field in primitives.get(primitive).schema.further
    }
    for name, array in arrays.items():
        if missing := [p for p in _field_columns(name, array) if p not in vertex.scalars]:
            raise DataError(
                path, f"the primitive {primitive!r} has {name!r}, but there is no property {missing[0]!r}",
                f"line {vertex.line}",
            )  # fmt: skip
    return arrays


def _lengthened(array: np.ndarray, count: int) -> np.ndarray:
    """A new array of such rows, so many of them."""
    return np.empty((count, *array.shape[1:]), array.dtype)


def _field_columns(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """Views [N] of a field by property name."""
    if array.ndim == 1:
        return {name: array}
    rows = array.reshape(array.shape[0], math.prod(array.shape[1:]))
    return {f"{name}_{i}": rows[:, i] for i in range(rows.shape[1])}


def _extra_fields(
    vertex: PlyElement, comments: list[str], taken: Container[str], path: Path
) -> dict[str, tuple[np.ndarray, torch.dtype | None]]:
    """Arrays without rows for all properties that are not part of a Gaussian, and the dtype to convert each
    to afterwards.

    Fields that a comment describes are put together again; every other property is a field of its own.
    """
    loose = {
        name: code
        for name, code in vertex.scalars.items()
        if name not in _SPLAT_PROPERTIES
        and name not in _NORMALS
        and name not in taken
        and not name.startswith("f_rest_")
    }
    extras: dict[str, tuple[np.ndarray, torch.dtype | None]] = {}
    for name, (dtype, shape) in _described_fields(comments).items():
        code = _PLY_TYPES[dtype][1]
        found = []
        for p in (f"{name}_{i}" for i in range(math.prod(shape))) if shape else [name]:
            if loose.get(p) != code:
                break
            found.append(p)
        if name not in PARAMETERS and len(found) == math.prod(shape):  # else it was edited since
            extras[name] = (np.empty((0, *shape), code), dtype)
            for p in found:
                del loose[p]
    for name, code in loose.items():
        if name in (*PARAMETERS, FROZEN, PACE) or name in extras:
            warnings.warn(
                f"{path}: property {name!r} is ignored: its name is taken", DataWarning, stacklevel=3
            )
        else:
            extras[name] = (np.empty(0, _WIDER.get(code, code)), None)
    return extras


def _described_fields(comments: list[str]) -> dict[str, tuple[torch.dtype, list[int]]]:
    """Dtype and row shape of each field, from the comments that `save` writes (the first one per name)."""
    fields: dict[str, tuple[torch.dtype, list[int]]] = {}
    for comment in comments:
        words = re.fullmatch(r"extra (\S+) (\w+)((?: [1-9][0-9]{0,5}){0,16})", comment)
        if words and words[2] in _DTYPES:
            fields.setdefault(words[1], (_DTYPES[words[2]], [int(size) for size in words[3].split()]))
    return fields


def _unwritable(tensor: Tensor) -> str:
    """Why PLY cannot hold the numbers of a field; empty where it can."""
    if tensor.dtype not in _PLY_TYPES:
        return f"PLY has no type for {tensor.dtype}"
    if math.prod(tensor.shape[1:]) == 0:
        return f"PLY cannot hold rows without numbers {list(tensor.shape)}"
    if tensor.dtype == torch.int64 and tensor.numel():
        smallest, largest = int(tensor.min()), int(tensor.max())
        if smallest < -(2**31) or largest >= 2**31:
            return "PLY has no integers beyond 32 bits"
    return ""


def _in_ply_type(tensor: Tensor) -> np.ndarray:
    """The values of a field in a type that PLY has."""
    tensor = tensor.cpu()
    return (tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor).numpy()


def _name_problem(properties: dict[str, np.ndarray], taken: dict[str, tuple[str, str]]) -> str:
    """What is wrong with the names of a field's properties; empty where nothing is."""
    for p in properties:
        if not p.isascii() or not p.isprintable():
            return "a PLY property needs an ASCII name"
        if p in taken or p.startswith("f_rest_") or p == mip.FILTER:
            return f"the PLY property {p!r} is taken by something else"
    return ""


def _unsuitable(path: Path, scene: Gaussians, name: str, problem: str) -> UnsuitableSceneError:
    if name in scene.further:
        return UnsuitableSceneError(
            path, f"the field {name!r} of the primitive {scene.primitive!r}: {problem}",
            remedy="Give the field another name where the primitive is registered.",
        )  # fmt: skip
    return UnsuitableSceneError(
        path, f"extras[{name!r}]: {problem}",
        remedy="Rename or convert the field, or leave all such fields out with the option extras=false.",
    )  # fmt: skip
