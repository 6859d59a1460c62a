"""PlayCanvas' compressed PLY (SuperSplat, splat-transform): 16 bytes per Gaussian and one per SH coefficient.

Splats are cut into chunks of 256 in file order, and a chunk's splats are coded relative to its bounds. The
elements of the file:

    chunk    min_x .. max_z, min_scale_x .. max_scale_z, min_r .. max_b       18 float32 (12 in old files)
    vertex   packed_position, packed_rotation, packed_scale, packed_color     4 uint32
    sh       f_rest_0 .. f_rest_{3K-1}                                        3K uint8, absent for degree 0

    packed_position   x, y, z in 11, 10, 11 bits from the top, on the chunk's bounds
    packed_scale      logarithms of the standard deviations, likewise
    packed_color      r, g, b = 0.5 + SH_C0 sh0 on the chunk's bounds, then alpha; 8 bits each from the top
    packed_rotation   smallest three of (w, x, y, z): 2 bits which is the largest, then 10 bits for each other
                      component on [-1/sqrt(2), 1/sqrt(2)]
    f_rest            (v / 8 + 1/2) 256 truncated, channel-major as in the uncompressed PLY, on [-4, 4]

Axes, SH basis, order of coefficients and comments are those of the uncompressed PLY. Splats are written in
Morton order, so that chunks are small. Written and read by splat-transform 3.7, which this follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from gsplat_core.errors import DataError
from gsplat_core.io.arrays import Arrays, blocks, empty_arrays, gaussians_of, in_blocks
from gsplat_core.io.atomic import atomic_file
from gsplat_core.io.format import ALL_METADATA, Format
from gsplat_core.io.pieces import PIECE, Pieces
from gsplat_core.io.ply_comments import comments_of, metadata_of
from gsplat_core.io.ply_header import PlyElement, PlyHeader, read_header
from gsplat_core.io.quantize import LOGITS, alpha_bytes, unit_codes
from gsplat_core.io.smallest_three import join, split
from gsplat_core.io.source import Source, open_regular
from gsplat_core.io.usable import keep_usable
from gsplat_core.morton import morton_order
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import SH_C0, num_coefficients, rgb_of

CHUNK = 256
LARGEST_LOG_SCALE = 20.0

_BOUNDS = [f"{end}_{name}" for end in ("min", "max") for name in "xyz"]
_BOUNDS += [f"{end}_scale_{name}" for end in ("min", "max") for name in "xyz"]
_COLOR_BOUNDS = [f"{end}_{name}" for end in ("min", "max") for name in "rgb"]
_PACKED = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]
_ROOT_2 = np.float32(2**0.5)


def load(path: Path, *, strict: bool) -> Gaussians:
    """Reads a scene.

    Raises:
        DataError: the file cannot be opened, is damaged, or is no compressed PLY; or `strict` and there are
            splats that cannot be rendered.
    """
    content = _open(path)
    return keep_usable(content.scene(slice(0, content.count)), path, strict)


def load_pieces(path: Path) -> Pieces:
    """The same piece by piece, also with splats that cannot be rendered; in memory is what the file has.

    Raises:
        DataError: as for `load`.
    """
    content = _open(path)
    return Pieces(
        content.scene(slice(0, 0)), content.count, lambda: map(content.scene, blocks(content.count, PIECE))
    )


def save(path: Path, gaussians: Gaussians) -> None:
    """Writes a scene in Morton order.

    Raises:
        ResourceError: see `gsplat_core.io.atomic`.
    """
    with atomic_file(path) as file:
        save_pieces(file, path, Pieces.single(gaussians))


def save_pieces(file: BinaryIO, path: Path, pieces: Pieces) -> int:
    """The same of a scene that comes piece by piece. In memory are its codes, and the numbers of which
    chunks have bounds.

    Args:
        file: new, open for writing.
        path: for messages.

    Returns:
        How many Gaussians these were.
    """
    coefficients = pieces.template.shN.shape[1]
    relative = {name: np.empty((pieces.most, 3), np.float32) for name in ("means", "scales", "colors")}
    alphas = np.empty(pieces.most, np.uint8)
    rotations = np.empty(pieces.most, np.uint32)
    rest = np.empty((pieces.most, 3 * coefficients), np.uint8)

    def encode(block: Arrays, place: slice) -> None:
        relative["means"][place] = block["means"]
        relative["scales"][place] = np.clip(block["scales"], -LARGEST_LOG_SCALE, LARGEST_LOG_SCALE)
        relative["colors"][place] = rgb_of(block["sh0"][:, 0])
        alphas[place] = alpha_bytes(block["opacities"])
        rotations[place] = _rotation_codes(block["quats"])
        codes = np.clip(block["shN"] * np.float32(32) + np.float32(128), 0, 255).astype(np.uint8)
        rest[place].reshape(len(codes), 3, -1)[:] = codes.transpose(0, 2, 1)

    count = pieces.encode(encode)
    order = morton_order(torch.from_numpy(relative["means"][:count])).numpy()
    bounds = np.empty((-(-count // CHUNK), 18), "<f4")
    packed = np.empty((count, 4), "<u4")

    def pack(rows: slice) -> None:
        own = order[rows]
        packed[rows, 1] = rotations[own]
        _pack(
            {name: values[own] for name, values in relative.items()}, alphas[own],
            bounds[rows.start // CHUNK : -(-rows.stop // CHUNK)], packed[rows],
        )  # fmt: skip

    in_blocks(count, pack)
    header = ["ply", "format binary_little_endian 1.0", *comments_of(pieces.template.metadata)]
    header += [f"element chunk {len(bounds)}"]
    header += [f"property float {name}" for name in [*_BOUNDS, *_COLOR_BOUNDS]]
    header += [f"element vertex {count}", *(f"property uint {name}" for name in _PACKED)]
    if coefficients:
        header += [f"element sh {count}"]
        header += [f"property uchar f_rest_{i}" for i in range(3 * coefficients)]
    file.write("\n".join([*header, "end_header\n"]).encode("ascii"))
    file.write(bounds.data)
    file.write(packed.data)
    for rows in blocks(count):
        file.write(rest.take(order[rows], axis=0).data)
    return count


def is_compressed(header: PlyHeader) -> bool:
    """Whether a PLY file is of this kind."""
    vertex = header.element("vertex")
    return vertex is not None and "packed_position" in vertex.scalars


FORMAT = Format(
    ".compressed.ply", "PlayCanvas compressed PLY", load, save, max_sh_degree=3, metadata=ALL_METADATA,
    load_pieces=load_pieces, save_pieces=save_pieces,
)  # fmt: skip


@dataclass(frozen=True)
class _Content:
    """What a file holds.

    Args:
        packed: the columns of `_PACKED`.
        bounds: [chunks, 18 or 12].
        rest: codes of coefficients [N, 3K]; None of degree 0.
        facts: metadata.
    """

    degree: int
    packed: list[np.ndarray]
    bounds: np.ndarray
    rest: np.ndarray | None
    facts: dict[str, Any]

    @property
    def count(self) -> int:
        return len(self.packed[0])

    def scene(self, rows: slice) -> Gaussians:
        """The splats from `rows.start`, where a chunk begins, to `rows.stop`, also such as cannot be
        rendered."""
        arrays = empty_arrays(rows.stop - rows.start, self.degree)
        packed = [codes[rows] for codes in self.packed]
        bounds = self.bounds[rows.start // CHUNK :]
        rest = None if self.rest is None else self.rest[rows]
        in_blocks(rows.stop - rows.start, lambda part: _decode(arrays, part, packed, bounds, rest))
        return gaussians_of(arrays).with_metadata(**self.facts)


def _open(path: Path) -> _Content:
    with open_regular(path) as file:
        header = read_header(file, path)
        vertex, chunk, degree = _elements(header, path)
        source = Source(file.read(), path, "the body")
    body = {element.name: _records(source, header, element) for element in header.elements}
    bounds = _floats(body["chunk"], [*_BOUNDS, *(n for n in _COLOR_BOUNDS if n in chunk.scalars)])
    packed = [np.ascontiguousarray(body["vertex"][name]) for name in _PACKED]
    rest = (
        body["sh"].view(np.uint8).reshape(vertex.count, 3 * num_coefficients(degree) - 3) if degree else None
    )
    return _Content(degree, packed, bounds, rest, metadata_of(header.comments, path))


def _elements(header: PlyHeader, path: Path) -> tuple[PlyElement, PlyElement, int]:
    """The elements `vertex` and `chunk`, and the SH degree; checked against each other."""
    vertex, chunk, sh = (header.element(name) for name in ("vertex", "chunk", "sh"))
    if vertex is None or not is_compressed(header):
        raise DataError(
            path, "not a compressed PLY: it has no packed_position", remedy="If it is a plain one, rename it."
        )
    if header.encoding != "binary_little_endian":
        raise DataError(path, f"a compressed PLY must be binary_little_endian, not {header.encoding}")
    if chunk is None:
        raise DataError(path, "element 'chunk' with the bounds is missing")
    for element, code, names in ((vertex, "u4", _PACKED), (chunk, "f4", _BOUNDS)):
        wrong = [name for name in names if element.scalars.get(name) != code]
        if wrong:
            kind = "uint" if code == "u4" else "float"
            raise DataError(
                path,
                f"{element.name}: expected properties {', '.join(wrong)} ({kind})",
                f"line {element.line}",
            )
    for element in header.elements:
        if element.lists:
            raise DataError(path, f"element {element.name[:40]!r} has lists", f"line {element.line}")
    if chunk.count != -(-vertex.count // CHUNK):
        raise DataError(
            path,
            f"{vertex.count:,} splats need {-(-vertex.count // CHUNK):,} chunks of {CHUNK}, "
            f"not {chunk.count:,}",
            f"line {chunk.line}",
        )
    return vertex, chunk, _sh_degree(vertex, sh, path)


def _sh_degree(vertex: PlyElement, sh: PlyElement | None, path: Path) -> int:
    if sh is None or not sh.scalars:  # some writers leave an element without properties
        return 0
    for degree in (1, 2, 3):
        names = [f"f_rest_{i}" for i in range(3 * num_coefficients(degree) - 3)]
        if sh.scalars == dict.fromkeys(names, "u1") and list(sh.scalars) == names:
            if sh.count != vertex.count:
                raise DataError(path, f"{sh.count:,} rows for {vertex.count:,} splats", f"line {sh.line}")
            return degree
    raise DataError(
        path, "element 'sh': expected 9, 24 or 45 properties f_rest_0, 1, ... (uchar)", f"line {sh.line}"
    )


def _records(source: Source, header: PlyHeader, element: PlyElement) -> np.ndarray:
    dtype = element.dtype(header.byte_order)
    if not dtype.itemsize:
        return np.empty(0, dtype)
    return source.array(dtype, (element.count,), f"{element.count:,} rows of element {element.name[:40]!r}")


def _floats(records: np.ndarray, names: list[str]) -> np.ndarray:
    return np.stack([records[name] for name in names], axis=1)


def _rotation_codes(quats: np.ndarray) -> np.ndarray:
    """Rotations [n, 4] as codes [n]."""
    largest, three = split(quats)
    a, b, c = unit_codes(three * (_ROOT_2 / 2) + np.float32(0.5), 10)
    return largest.astype(np.uint32) << 30 | a << 20 | b << 10 | c


def _pack(relative: Arrays, alphas: np.ndarray, bounds: np.ndarray, packed: np.ndarray) -> None:
    """Fills the bounds [chunks, 18] and, but for rotations, the codes [n, 4] of splats in file order.

    Args:
        relative: what is coded relative to the bounds: "means", "scales" and "colors" [n, 3].
        alphas: bytes [n].
    """
    starts = np.arange(0, len(packed), CHUNK)
    for i, values in enumerate(relative.values()):
        np.minimum.reduceat(values, starts, axis=0, out=bounds[:, 6 * i : 6 * i + 3])
        np.maximum.reduceat(values, starts, axis=0, out=bounds[:, 6 * i + 3 : 6 * i + 6])
    packed[:, 0] = _pack_three(_relative(relative["means"], bounds[:, 0:6]))
    packed[:, 2] = _pack_three(_relative(relative["scales"], bounds[:, 6:12]))
    r, g, b = unit_codes(_relative(relative["colors"], bounds[:, 12:18]), 8).T
    packed[:, 3] = r << 24 | g << 16 | b << 8 | alphas


def _relative(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Values [n, 3] on the bounds (3 minima, 3 maxima) of their chunks, 0 .. 1."""
    low, extent = bounds[:, :3], bounds[:, 3:] - bounds[:, :3]
    factor = 1 / np.where(extent > 0, extent, 1)
    low, factor = (np.repeat(x, CHUNK, axis=0)[: len(values)] for x in (low, factor))
    return (values - low) * factor


def _pack_three(relative: np.ndarray) -> np.ndarray:
    x, z = (unit_codes(relative[:, i], 11) for i in (0, 2))
    return x << 21 | unit_codes(relative[:, 1], 10) << 11 | z


def _decode(
    arrays: Arrays, rows: slice, packed: list[np.ndarray], bounds: np.ndarray, rest: np.ndarray | None
) -> None:
    """Fills the rows of the arrays."""
    position, rotation, scale, color = (codes[rows] for codes in packed)
    own = np.repeat(bounds[rows.start // CHUNK : -(-rows.stop // CHUNK)], CHUNK, axis=0)[: len(position)]
    with np.errstate(invalid="ignore", over="ignore"):  # bounds that are not finite: found by keep_usable
        _unpack_three(position, own[:, 0:6], arrays["means"][rows])
        _unpack_three(scale, own[:, 6:12], arrays["scales"][rows])
        sh0 = arrays["sh0"][rows, 0]
        for i in range(3):
            sh0[:, i] = (color >> (24 - 8 * i) & 255) * np.float32(1 / 255)
        if own.shape[1] == 18:
            sh0 *= own[:, 15:18] - own[:, 12:15]
            sh0 += own[:, 12:15]
        sh0 -= np.float32(0.5)
        sh0 *= 1 / SH_C0
    arrays["opacities"][rows] = LOGITS[color & 255]
    three = np.stack([rotation >> shift & 1023 for shift in (20, 10, 0)]) * np.float32(1 / 1023)
    three -= np.float32(0.5)
    three *= _ROOT_2
    arrays["quats"][rows] = join(rotation >> 30, three)
    if rest is not None:
        codes = rest[rows].reshape(len(position), 3, -1).transpose(0, 2, 1)
        values = codes.astype(np.float32, order="C")
        values += np.float32(0.5)
        values[codes == 0] = 0  # the two ends stand for themselves, not for the middle of their step
        values[codes == 255] = 256
        values *= np.float32(1 / 32)
        values -= np.float32(4)
        arrays["shN"][rows] = values


def _unpack_three(codes: np.ndarray, bounds: np.ndarray, out: np.ndarray) -> None:
    out[:, 0] = (codes >> 21) * np.float32(1 / 2047)
    out[:, 1] = (codes >> 11 & 1023) * np.float32(1 / 1023)
    out[:, 2] = (codes & 2047) * np.float32(1 / 2047)
    out *= bounds[:, 3:] - bounds[:, :3]
    out += bounds[:, :3]
