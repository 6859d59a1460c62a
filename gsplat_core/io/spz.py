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
decibels, so the default here is 6 bits for all; nothing else in the file costs more than hundredths.

Version 3 is what most viewers read (Spark has no 4); the PlayCanvas engine wants 4. Splats are written in
Morton order, which compresses better. The specification is the reference code, github.com/nianticlabs/spz.
"""

from __future__ import annotations

import math
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from gsplat_core.errors import DataError, UnsuitableSceneError
from gsplat_core.expansion import check_density
from gsplat_core.io.arrays import Arrays, arrays_of, empty_arrays, gaussians_of, in_blocks
from gsplat_core.io.atomic import write_bytes
from gsplat_core.io.axes import half_turn
from gsplat_core.io.deflate import gzip_compress
from gsplat_core.io.format import DataWarning, Format
from gsplat_core.io.options import check_range
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
ZSTD_LEVEL = 9
SH_BITS = 6
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


def load(path: Path, *, strict: bool, axes: Axes = "rub", trusted: bool = False) -> Gaussians:
    """Reads a scene of any version.

    Args:
        axes: what the file's axes are, unless it says so itself; see the module.
        trusted: read it whatever it claims to hold.

    Raises:
        DataError: the file cannot be opened, is damaged, claims more than `check_density` allows, or is
            of an unknown version; or `strict` and there are splats that cannot be rendered.
    """
    data = read_whole(path)
    if data[:4] == MAGIC:
        header, blocks, system = _open_zstd(data, path, trusted)
    elif data[:2] == b"\x1f\x8b":
        header, blocks, system = _open_gzip(data, path, trusted)
    else:
        raise DataError(path, f"not an .spz file: it starts with {data[:4]!r}", "byte 0")
    if system not in (None, _RUB, _RDF):
        raise DataError(path, f"its axes are of kind {system}, not RUB (4) or RDF (6)", "extension record")
    turned = system == _RUB or (system is None and axes == "rub")
    arrays = empty_arrays(header.count, header.degree)

    def decode(rows: slice) -> None:
        block = {name: array[rows] for name, array in arrays.items()}
        _decode(block, {name: codes[rows] for name, codes in blocks.items()}, header)
        if turned:
            for name, values in half_turn(block, "x").items():
                block[name][:] = values

    in_blocks(header.count, decode)
    gaussians = gaussians_of(arrays).with_metadata(antialiased=bool(header.flags & _ANTIALIASED))
    return keep_usable(gaussians, path, strict)


def save(
    path: Path,
    gaussians: Gaussians,
    *,
    version: Literal[2, 3, 4] = 3,
    axes: Axes = "rub",
    sh1_bits: int = SH_BITS,
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
    check_range("sh1_bits", sh1_bits, 1, 8)
    check_range("sh_bits", sh_bits, 1, 8)
    if not gaussians.num:
        raise UnsuitableSceneError(
            path, "an .spz file needs at least one Gaussian, and the scene has none", remedy="Write a .ply."
        )
    steps = np.repeat(np.array([2.0**sh1_bits, 2.0**sh_bits], np.float32) / 256, [3, MAX_COEFFICIENTS - 3])
    arrays = arrays_of(gaussians)
    order = morton_order(gaussians.means).cpu().numpy()
    header = _Header(
        version,
        gaussians.num,
        gaussians.sh_degree,
        _fractional_bits(arrays["means"], path),
        _ANTIALIASED if (gaussians.metadata.antialiased if antialiased is None else antialiased) else 0,
        0,
    )
    blocks = {name: np.empty(shape, code) for name, (code, shape) in header.attributes().items()}

    def encode(rows: slice) -> None:
        block = {name: array[order[rows]] for name, array in arrays.items()}
        block = half_turn(block, "x") if axes == "rub" else block
        _encode(block, {name: codes[rows] for name, codes in blocks.items()}, header, steps)

    in_blocks(header.count, encode)
    write_bytes(path, _pack(header, blocks))


FORMAT = Format(".spz", "Niantic .spz", load, save, metadata=frozenset({"antialiased"}))


# The container


def _pack(header: _Header, blocks: dict[str, np.ndarray]) -> bytes:
    start = (MAGIC, header.version, header.count, header.degree, header.fractional_bits, header.flags)
    if header.version < 4:
        return gzip_compress(b"".join([struct.pack(_HEADER, *start, 0), *(b.data for b in blocks.values())]))
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        frames = list(pool.map(lambda b: zstd.compress(b.data.cast("B"), level=ZSTD_LEVEL), blocks.values()))
    first = struct.pack(_HEADER, *start, len(frames)) + struct.pack("<I12x", 32)
    table = b"".join(
        struct.pack("<QQ", len(frame), size) for frame, size in zip(frames, header.sizes(), strict=True)
    )
    return b"".join([first, table, *frames])


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


def _encode(arrays: Arrays, blocks: dict[str, np.ndarray], header: _Header, sh_steps: np.ndarray) -> None:
    """Fills the blocks of some splats; SH coefficients are rounded to multiples of 1 / `sh_steps` [24]."""
    fixed = np.rint(arrays["means"].astype(np.float64) * 2**header.fractional_bits).astype("<i4")
    blocks["positions"][:] = fixed.view(np.uint8).reshape(-1, 3, 4)[:, :, :3]
    blocks["alphas"][:] = alpha_bytes(arrays["opacities"])
    blocks["colors"][:] = bytes_of(arrays["sh0"][:, 0] * np.float32(0.15 * 255) + np.float32(127.5))
    blocks["scales"][:] = bytes_of((arrays["scales"] + 10) * 16)
    xyzw = arrays["quats"][:, [1, 2, 3, 0]]
    if header.version >= 3:
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
