"""Niantic's .spz: about 26 bytes per Gaussian with SH of degree 3.

Versions 1 to 3 are one gzip member: a header of 16 bytes, then one block per attribute. Version 4 has a plain
header of 32 bytes, a table of sizes and one Zstandard frame per attribute. The attributes, in this order:

    positions   3 int24 fixed-point numbers with `fractional bits` (12); version 1: 3 float16
    alphas      uint8, 255 sigmoid(logit)
    colors      3 uint8, 255 (0.15 sh0 + 1/2): +-3.33 in sh0
    scales      3 uint8, 16 (log scale + 10): standard deviations from e^-10 to e^5.94
    rotations   from version 3 on smallest three of (x, y, z, w): 2 bits which is the largest, then sign and
                9 bits of magnitude, 511 sqrt(2) |q|, for each other component. Before: 3 uint8,
                127.5 q + 127.5, of x, y, z with w >= 0
    sh          uint8, 128 v + 128, on [-1, 1), coefficient by coefficient with r, g, b together; rounded to
                fewer bits, which compress better and readers need not know

Axes: the specification's frame is "RUB" (x right, y up, z back), which is COLMAP's turned by 180 degrees
about x. Some programs, splat-transform and SuperSplat among them, store the axes of the PLY as they are, and
nothing in the file tells, except for a rarely written extension record, which is obeyed. Hence the option
`axes`: "rub" (the default) or "ply".

The reference rounds SH coefficients to 5 bits for degree 1 and 4 beyond. That costs well-trained scenes
decibels, so the default here is 6 bits for all, of which the file is larger by two fifths; nothing else in it
costs more than hundredths.

Version 3 is what most viewers read (Spark has no 4); the PlayCanvas engine wants 4. Splats are written in
Morton order, which compresses better. The specification is the reference code, github.com/nianticlabs/spz.
"""

from __future__ import annotations

import itertools
import math
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch

from gsplat_core.errors import DataError, UnsuitableSceneError
from gsplat_core.expansion import check_density
from gsplat_core.io.arrays import Arrays, blocks, empty_arrays, gaussians_of, in_blocks, map_ahead
from gsplat_core.io.atomic import atomic_file
from gsplat_core.io.axes import SIGNS, half_turn
from gsplat_core.io.deflate import gzip_stream
from gsplat_core.io.format import DataWarning, Format
from gsplat_core.io.options import check_range
from gsplat_core.io.pieces import PIECE, Pieces
from gsplat_core.io.quantize import LOGITS, alpha_bytes, bytes_of
from gsplat_core.io.smallest_three import join, split
from gsplat_core.io.source import Source, read_whole
from gsplat_core.io.usable import keep_usable
from gsplat_core.morton import morton_order
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import MAX_DEGREE, num_coefficients

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Axes = Literal["rub", "ply"]

MAGIC = b"NGSP"
FRACTIONAL_BITS = 12
ZSTD_LEVEL, ZSTD_FAST = 9, 1
_TRIED = 1 << 15
SH1_BITS, SH_BITS = 6, 6
MAX_COEFFICIENTS = num_coefficients(MAX_DEGREE) - 1
_HEADER = "<4sIIBBBB"  # magic, version, count, SH degree, fractional bits, flags, reserved or streams
_ANTIALIASED, _EXTENDED, _SPARK_LOD = 0x1, 0x2, 0x80
_COORDINATES = 0xADBE0003
_RUB, _RDF = 4, 6
_ROOT_2 = np.float32(2**0.5)


@dataclass(frozen=True)
class _Header:
    version: int
    count: int
    degree: int
    fractional_bits: int
    flags: int
    streams: int

    def attributes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Name of every block with its element type and shape, in file order."""
        rest = num_coefficients(self.degree) - 1
        positions = ("<f2", (self.count, 3)) if self.version == 1 else ("u1", (self.count, 3, 3))
        rotations = ("<u4", (self.count,)) if self.version >= 3 else ("u1", (self.count, 3))
        blocks: dict[str, tuple[str, tuple[int, ...]]] = {
            "positions": positions,
            "alphas": ("u1", (self.count,)),
            "colors": ("u1", (self.count, 3)),
            "scales": ("u1", (self.count, 3)),
            "rotations": rotations,
        }
        return blocks | ({"sh": ("u1", (self.count, rest, 3))} if rest else {})

    def sizes(self) -> list[int]:
        """Bytes of every block."""
        return [np.dtype(code).itemsize * math.prod(shape) for code, shape in self.attributes().values()]


@dataclass(frozen=True)
class _Content:
    """What a file holds.

    Args:
        codes: every attribute by name, with the shapes of `_Header.attributes`.
        turned: its axes are RUB.
    """

    header: _Header
    codes: dict[str, np.ndarray]
    turned: bool

    def scene(self, rows: slice) -> Gaussians:
        """The splats from `rows.start` to `rows.stop`, also such as cannot be rendered."""
        arrays = empty_arrays(rows.stop - rows.start, self.header.degree)
        codes = {name: of_all[rows] for name, of_all in self.codes.items()}

        def decode(part: slice) -> None:
            block = {name: array[part] for name, array in arrays.items()}
            _decode(block, {name: own[part] for name, own in codes.items()}, self.header)
            if self.turned:
                for name, values in half_turn(block, "x").items():
                    block[name][:] = values

        in_blocks(rows.stop - rows.start, decode)
        return gaussians_of(arrays).with_metadata(antialiased=bool(self.header.flags & _ANTIALIASED))


def load(path: Path, *, strict: bool, axes: Axes = "rub", trusted: bool = False) -> Gaussians:
    """Reads a scene of any version.

    Args:
        axes: what the file's axes are, unless it says so itself; see the module.
        trusted: read it whatever it claims to hold.

    Raises:
        DataError: the file cannot be opened, is damaged, claims more than `check_density` allows, or is
            of an unknown version; or `strict` and there are splats that cannot be rendered.
    """
    content = _open(path, axes, trusted)
    return keep_usable(content.scene(slice(0, content.header.count)), path, strict)


def load_pieces(path: Path, *, axes: Axes = "rub", trusted: bool = False) -> Pieces:
    """The same piece by piece, also with splats that cannot be rendered; in memory are its codes.

    Raises:
        DataError: as for `load`.
    """
    content = _open(path, axes, trusted)
    count = content.header.count
    return Pieces(content.scene(slice(0, 0)), count, lambda: map(content.scene, blocks(count, PIECE)))


def save(
    path: Path,
    gaussians: Gaussians,
    *,
    version: Literal[2, 3, 4] = 3,
    axes: Axes = "rub",
    sh1_bits: int = SH1_BITS,
    sh_bits: int = SH_BITS,
    antialiased: bool | None = None,
) -> None:
    """Writes a scene in Morton order.

    Args:
        version: 3 is read by most viewers, 4 is newest, 2 is for old ones and has coarse rotations.
        axes: frame of the file; see the module.
        sh1_bits, sh_bits: precision of the SH coefficients of degree 1 and of higher degree, 1 to 8.
        antialiased: what the file says about it, where that is not what the scene's metadata says.

    Raises:
        ResourceError: see `gsplat_core.io.atomic`.
        UnsuitableSceneError: no Gaussians, or positions beyond 2^23 units.
        UsageError: bits out of range.
    """
    with atomic_file(path) as file:
        save_pieces(
            file, path, Pieces.single(gaussians), version=version, axes=axes, sh1_bits=sh1_bits,
            sh_bits=sh_bits, antialiased=antialiased,
        )  # fmt: skip


def save_pieces(
    file: BinaryIO,
    path: Path,
    pieces: Pieces,
    *,
    version: Literal[2, 3, 4] = 3,
    axes: Axes = "rub",
    sh1_bits: int = SH1_BITS,
    sh_bits: int = SH_BITS,
    antialiased: bool | None = None,
) -> int:
    """The same of a scene that comes piece by piece: in memory are its codes and its positions.

    Args:
        file: new, open for writing.
        path: for messages.

    Returns:
        How many Gaussians these were.

    Raises:
        UnsuitableSceneError, UsageError: as for `save`.
    """
    check_range("sh1_bits", sh1_bits, 1, 8)
    check_range("sh_bits", sh_bits, 1, 8)
    steps = np.repeat(np.array([2.0**sh1_bits, 2.0**sh_bits], np.float32) / 256, [3, MAX_COEFFICIENTS - 3])
    marked = pieces.template.metadata.antialiased if antialiased is None else antialiased
    degree, flags = pieces.template.sh_degree, _ANTIALIASED if marked else 0
    header = _Header(version, pieces.most, degree, FRACTIONAL_BITS, flags, 0)
    means = np.empty((header.count, 3), np.float32)
    codes = {
        name: np.empty(shape, code)
        for name, (code, shape) in header.attributes().items()
        if name != "positions"
    }

    def encode(block: Arrays, place: slice) -> None:
        means[place] = block["means"]
        block = half_turn(block, "x") if axes == "rub" else block
        _encode(block, {name: of_all[place] for name, of_all in codes.items()}, version, steps)

    count = pieces.encode(encode)
    if not count:
        raise UnsuitableSceneError(
            path, "an .spz file needs at least one Gaussian, and the scene has none", remedy="Write a .ply."
        )
    means = means[:count]
    header = replace(header, count=count, fractional_bits=_fractional_bits(means, path))
    signs = np.array(SIGNS["x"] if axes == "rub" else (1, 1, 1))
    order = morton_order(torch.from_numpy(means)).numpy()

    def content(name: str) -> Iterator[bytes]:
        """An attribute in the order of the file."""
        for rows in blocks(count):
            if name == "positions":
                yield _positions(means[order[rows]] * signs, header.fractional_bits).tobytes()
            else:
                yield codes[name].take(order[rows], axis=0).tobytes()

    _write(file, header, content)
    return count


FORMAT = Format(
    ".spz", "Niantic .spz", load, save, metadata=frozenset({"antialiased"}),
    load_pieces=load_pieces, save_pieces=save_pieces,
)  # fmt: skip


# The container


def _write(file: BinaryIO, header: _Header, content: Callable[[str], Iterator[bytes]]) -> None:
    """Writes the container around the content of every attribute."""
    start = (MAGIC, header.version, header.count, header.degree, header.fractional_bits, header.flags)
    names = list(header.attributes())
    if header.version < 4:
        parts = itertools.chain.from_iterable(content(name) for name in names)
        for block in gzip_stream(itertools.chain([struct.pack(_HEADER, *start, 0)], parts)):
            file.write(block)
        return
    frames = list(map_ahead(lambda name: _zstd_frame(b"".join(content(name))), names))
    file.write(struct.pack(_HEADER, *start, len(frames)) + struct.pack("<I12x", 32))
    for frame, size in zip(frames, header.sizes(), strict=True):
        file.write(struct.pack("<QQ", len(frame), size))
    for frame in frames:
        file.write(frame)


def _zstd_frame(data: bytes) -> bytes:
    """Repetitions are searched for where that pays; see `gsplat_core.io.deflate`."""
    parts = range(0, len(data), max(_TRIED, len(data) // 8))
    sample = b"".join(data[start : start + _TRIED] for start in parts)
    sizes = {level: len(zstd.compress(sample, level=level)) for level in (ZSTD_LEVEL, ZSTD_FAST)}
    return zstd.compress(data, level=min(sizes, key=sizes.__getitem__))


def _open(path: Path, axes: Axes, trusted: bool) -> _Content:
    data = read_whole(path)
    if data[:4] == MAGIC:
        header, codes, system = _open_zstd(data, path, trusted)
    elif data[:2] == b"\x1f\x8b":
        header, codes, system = _open_gzip(data, path, trusted)
    else:
        raise DataError(path, f"not an .spz file: it starts with {data[:4]!r}", "byte 0")
    if system not in (None, _RUB, _RDF):
        raise DataError(path, f"its axes are of kind {system}, not RUB (4) or RDF (6)", "extension record")
    return _Content(header, codes, system == _RUB or (system is None and axes == "rub"))


def _header(source: Source) -> _Header:
    magic, version, count, degree, bits, flags, streams = source.unpack(_HEADER[1:], "the header")
    if magic != MAGIC:
        raise DataError(source.path, f"not an .spz file: {magic!r} instead of {MAGIC!r}", "header")
    if not 1 <= version <= 4:
        raise DataError(source.path, f"version {version}; this program knows 1 to 4", "header")
    if degree > MAX_DEGREE:
        raise DataError(source.path, f"SH degree {degree}; at most {MAX_DEGREE} exists", "header")
    if bits > 23:
        raise DataError(source.path, f"{bits} fractional bits of 24-bit positions", "header")
    if flags & _SPARK_LOD:
        raise DataError(source.path, "a level-of-detail file of Spark, which is not supported", "header")
    return _Header(version, count, degree, bits, flags, streams)


def _open_gzip(data: bytes, path: Path, trusted: bool) -> tuple[_Header, dict[str, np.ndarray], int | None]:
    """Header, blocks, and the coordinate system if the file names one, of versions 1 to 3."""
    codec = zlib.decompressobj(31)
    try:
        source = Source(codec.decompress(data, 16), path, "the decompressed content")
        header = _header(source)
        if header.version == 4:
            raise DataError(path, "version 4 must not be inside gzip", "header")
        check_density(path, len(data), header.count, "header", trusted)
        size = sum(header.sizes())
        # Extension records may follow; more than this of them is not looked at.
        body = codec.decompress(codec.unconsumed_tail, size + (1 << 16))
    except zlib.error as error:
        raise DataError(path, f"damaged compressed content ({error})") from error
    source = Source(body, path, "the decompressed content after its header")
    blocks = _blocks(header, source)
    if not codec.eof and len(body) < size + (1 << 16):
        raise DataError(path, "the compressed content is cut off", f"byte {len(data)}")
    system = _coordinate_system(source) if header.flags & _EXTENDED else None
    if not header.flags & _EXTENDED and source.remaining:
        raise source.error(f"{source.remaining:,} bytes or more are too many for {header.count:,} splats")
    return header, blocks, system


def _blocks(header: _Header, source: Source) -> dict[str, np.ndarray]:
    return {
        name: source.array(code, shape, f"{name} of {header.count:,} splats")
        for name, (code, shape) in header.attributes().items()
    }


def _open_zstd(data: bytes, path: Path, trusted: bool) -> tuple[_Header, dict[str, np.ndarray], int | None]:
    """The same of version 4."""
    source = Source(data, path)
    header = _header(source)
    if header.version != 4:
        raise DataError(path, f"version {header.version} must be inside gzip", "header")
    (table,) = source.unpack("I12x", "the header")
    attributes, sizes = header.attributes(), header.sizes()
    if header.streams != len(sizes):
        raise DataError(path, f"{header.streams} streams, expected {len(sizes)}", "header")
    check_density(path, len(data), header.count, "header", trusted)
    system = None
    if header.flags & _EXTENDED:
        records = Source(source.take(max(0, table - 32), "extension records"), path, "the extension records")
        system = _coordinate_system(records)
    if not 32 <= table <= len(data):
        raise DataError(path, f"the table of sizes is at byte {table:,} of {len(data):,}", "header")
    source.position = table
    entries = [source.unpack("QQ", "the table of sizes") for _ in sizes]
    frames = []
    for (stored, size), expected, name in zip(entries, sizes, attributes, strict=True):
        if size != expected:
            raise source.error(f"{name}: {size:,} bytes announced, {header.count:,} splats have {expected:,}")
        frames.append(source.take(stored, name))
    if source.remaining:
        raise source.error(f"{source.remaining:,} bytes after the last stream")

    def decompress(name: str, frame: memoryview, size: int) -> bytes:
        codec = zstd.ZstdDecompressor()
        try:
            content = codec.decompress(frame, max_length=size + 1)
        except zstd.ZstdError as error:
            raise DataError(path, f"damaged compressed content ({error})", name) from error
        if len(content) != size or not codec.eof or codec.unused_data:
            raise DataError(path, f"the stream does not have exactly {size:,} bytes", name)
        return content

    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        contents = list(pool.map(decompress, attributes, frames, sizes))
    blocks = {
        name: np.frombuffer(content, code).reshape(shape)
        for content, (name, (code, shape)) in zip(contents, attributes.items(), strict=True)
    }
    return header, blocks, system


def _coordinate_system(records: Source) -> int | None:
    """What the extension records say about the axes; unknown records are passed over."""
    system = None
    while records.remaining >= 8:
        kind, size = records.unpack("II", "an extension record")
        payload = Source(records.take(size, "an extension record"), records.path, "an extension record")
        if kind == _COORDINATES:
            system = int.from_bytes(payload.take(1, "the coordinate system"), "little")
    return system


# The attributes


def _fractional_bits(means: np.ndarray, path: Path) -> int:
    """As many as the file can have for these positions, at most 12 as everybody writes."""
    largest = float(np.abs(means).max())
    bits = FRACTIONAL_BITS
    while bits >= 0 and round(largest * 2**bits) >= 2**23:
        bits -= 1
    if bits < 0:
        raise UnsuitableSceneError(
            path, f"positions up to {largest:g} do not fit into an .spz file, which ends at {2**23:,}",
            remedy="Move or shrink the scene, take out what lies so far away, or write a .ply.",
        )  # fmt: skip
    if bits < FRACTIONAL_BITS:
        message = f".spz: positions reach {largest:g}, so they are stored in steps of {2.0**-bits:g}"
        warnings.warn(message, DataWarning, stacklevel=3)
    return bits


def _positions(means: np.ndarray, fractional_bits: int) -> np.ndarray:
    """Centres [n, 3] as fixed-point numbers of three bytes each [n, 3, 3]."""
    fixed = np.rint(means.astype(np.float64) * 2**fractional_bits).astype("<i4")
    return fixed.view(np.uint8).reshape(-1, 3, 4)[:, :, :3]


def _encode(arrays: Arrays, blocks: dict[str, np.ndarray], version: int, sh_steps: np.ndarray) -> None:
    """Fills the blocks of some splats, but for positions; SH coefficients are rounded to multiples of
    1 / `sh_steps` [24]."""
    blocks["alphas"][:] = alpha_bytes(arrays["opacities"])
    blocks["colors"][:] = bytes_of(arrays["sh0"][:, 0] * np.float32(0.15 * 255) + np.float32(127.5))
    blocks["scales"][:] = bytes_of((arrays["scales"] + 10) * 16)
    xyzw = arrays["quats"][:, [1, 2, 3, 0]]
    if version >= 3:
        largest, three = split(xyzw)
        magnitude = np.rint(np.abs(three) * (511 * _ROOT_2)).astype(np.uint32)
        a, b, c = magnitude | (three < 0).astype(np.uint32) << 9
        blocks["rotations"][:] = largest.astype(np.uint32) << 30 | a << 20 | b << 10 | c
    else:
        sign = np.where(xyzw[:, 3:] < 0, -1, 1) / np.linalg.norm(xyzw, axis=1, keepdims=True)
        blocks["rotations"][:] = bytes_of(127.5 * (xyzw * sign)[:, :3] + 127.5)
    if "sh" in blocks:
        steps = sh_steps[: blocks["sh"].shape[1], None]
        levels = np.rint(arrays["shN"] * (128 * steps) + 128 * steps)
        blocks["sh"][:] = np.clip(levels / steps, 0, 255).astype(np.uint8)


def _decode(arrays: Arrays, blocks: dict[str, np.ndarray], header: _Header) -> None:
    """Fills the arrays of some splats."""
    if header.version == 1:
        arrays["means"][:] = blocks["positions"]
    else:
        codes = blocks["positions"]
        fixed = np.empty((*codes.shape[:2], 4), np.uint8)
        fixed[:, :, 0] = 0
        fixed[:, :, 1:] = codes  # in the upper bytes, so that the sign is where it belongs
        scale = np.float32(2.0 ** -(header.fractional_bits + 8))
        np.multiply(fixed.view("<i4")[:, :, 0], scale, out=arrays["means"], dtype=np.float32)
    arrays["opacities"][:] = LOGITS[blocks["alphas"]]
    arrays["sh0"][:, 0] = (blocks["colors"] * np.float32(1 / 255) - np.float32(0.5)) / np.float32(0.15)
    arrays["scales"][:] = blocks["scales"] * np.float32(1 / 16) - 10
    if header.version >= 3:
        packed = blocks["rotations"]
        parts = np.stack([packed >> shift & 1023 for shift in (20, 10, 0)])
        three = (parts & 511) * (1 / (511 * _ROOT_2))
        np.negative(three, out=three, where=parts > 511)
        xyzw = join(packed >> 30, three)
    else:
        xyzw = np.empty((len(arrays["means"]), 4), np.float32)
        xyzw[:, :3] = blocks["rotations"] * np.float32(1 / 127.5) - 1
        xyzw[:, 3] = np.sqrt(np.maximum(0, 1 - (xyzw[:, :3] ** 2).sum(axis=1)))
    arrays["quats"][:] = xyzw[:, [3, 0, 1, 2]]
    if "sh" in blocks:
        np.multiply(blocks["sh"], np.float32(1 / 128), out=arrays["shN"], dtype=np.float32)
        arrays["shN"] -= 1
