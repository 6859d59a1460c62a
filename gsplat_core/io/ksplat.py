"""mkkellogg's .ksplat (GaussianSplats3D), reading only: sections of splats with their own compression
buckets.

    header    4096 bytes: version 0.x, sections, splats, level of compression 0 to 2, range of 8-bit SH
    sections  1024 bytes each: splats, buckets, bucket size and extent, SH degree
    data      of each section: sizes of the partly filled buckets, centres of the buckets, records of splats

A record holds the centre, standard deviations, (w, x, y, z), rgba (8 bits each) and SH coefficients. Level 0
has float32 throughout; levels 1 and 2 have centres of 16 bits relative to the centre of the splat's bucket,
and float16 numbers, at level 2 SH coefficients of 8 bits. SH coefficients come band by band, within a band
channel by channel. Full buckets come first. Axes are those of the PLY.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.io.arrays import Arrays, empty_arrays, gaussians_of
from gsplat_core.io.format import Format
from gsplat_core.io.quantize import LOGITS
from gsplat_core.io.source import Source, read_whole
from gsplat_core.io.usable import keep_usable
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients, sh0_of

MAX_SECTIONS = 1 << 16
MAX_DEGREE = 3
_HEADER, _SECTION = 4096, 1024


@dataclass(frozen=True)
class _Section:
    """What the header of a section says."""

    count: int
    capacity: int
    bucket_size: int
    buckets: int
    block: float
    center_bytes: int
    center_range: int
    full_buckets: int
    partial_buckets: int
    degree: int


def load(path: Path, *, strict: bool) -> Gaussians:
    """Reads a scene; sections of different SH degrees get the largest.

    Raises:
        DataError: the file cannot be opened or is damaged; or `strict` and there are splats that cannot be
            rendered.
    """
    source = Source(read_whole(path), path)
    # How many sections have arrived, behind their number, is for downloads; some writers leave it at 0.
    major, minor, sections, _, _, _, level = source.unpack("BB2xIIIIH2x", "the header")
    low, high = Source(source.data[36:44], path, "the header").unpack("ff", "the range of SH coefficients")
    if (major, level > 2) != (0, False) or minor < 1:
        raise DataError(
            path, f"version {major}.{minor}, level {level}: expected 0.1 and level 0 to 2", "header"
        )
    if not 0 < sections <= MAX_SECTIONS:
        raise DataError(path, f"{sections:,} sections, expected 1 to {MAX_SECTIONS:,}", "byte 4")
    source.position = 0
    source.take(_HEADER, "the header")
    headers = [_section(source, number) for number in range(sections)]
    limits = (low or -1.5, high or 1.5)
    found = [gaussians_of(_arrays(source, header, level, limits)) for header in headers]
    return keep_usable(Gaussians.merge(found), path, strict)


FORMAT = Format(".ksplat", "mkkellogg .ksplat", load, save=None)


def _section(source: Source, number: int) -> _Section:
    header = Source(source.take(_SECTION, "the header of a section"), source.path, f"section {number}")
    values = header.unpack("IIIIfH2xIIIIH", "the header of a section")
    count, capacity, size, buckets, block, center_bytes, steps, _, full, partial, degree = values
    if count > capacity or degree > MAX_DEGREE:
        raise header.error(f"{count:,} splats of at most {capacity:,}, SH degree {degree} of at most 3")
    return _Section(
        count, capacity, size, buckets, block, center_bytes, steps or 32767, full, partial, degree
    )


def _arrays(source: Source, section: _Section, level: int, limits: tuple[float, float]) -> Arrays:
    """The splats of a section."""
    rest = num_coefficients(section.degree) - 1
    half = "<f2" if level else "<f4"
    sh = {0: "<f4", 1: "<f2", 2: "u1"}[level]
    record = np.dtype(
        [
            ("center", "<u2" if level else "<f4", 3),
            ("scale", half, 3),
            ("quat", half, 4),
            ("color", "u1", 4),
            ("sh", sh, 3 * rest),
        ]
    )
    partial = source.array("<u4", (section.partial_buckets,), "sizes of the partly filled buckets")
    if section.center_bytes not in (0, 12):
        raise source.error(f"{section.center_bytes} bytes for the centre of a bucket, expected 12")
    buckets = section.buckets if section.center_bytes else 0
    centers = source.array("<f4", (buckets, 3), "centres of the buckets")
    records = source.array(record, (section.capacity,), f"{section.capacity:,} splats")[: section.count]
    arrays = empty_arrays(section.count, section.degree)
    arrays["means"][:] = records["center"]
    if level:
        if section.full_buckets + section.partial_buckets > buckets:
            raise source.error(f"{buckets:,} buckets, but more are filled")
        own = _bucket_of(source, section, partial)
        with np.errstate(over="ignore", invalid="ignore"):  # damaged extents: found by keep_usable
            arrays["means"] -= np.float32(section.center_range)
            arrays["means"] *= np.float32(section.block / 2 / section.center_range)
            arrays["means"] += centers[own]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        arrays["scales"][:] = np.log(records["scale"].astype(np.float32))
    arrays["quats"][:] = records["quat"]
    arrays["sh0"][:, 0] = sh0_of(records["color"][:, :3] * np.float32(1 / 255))
    arrays["opacities"][:] = LOGITS[records["color"][:, 3]]
    values = records["sh"].astype(np.float32)
    if level == 2:
        values = values * np.float32((limits[1] - limits[0]) / 255) + np.float32(limits[0])
    for degree in range(1, section.degree + 1):
        first, size = degree**2 - 1, 2 * degree + 1
        band = values[:, 3 * first : 3 * (first + size)].reshape(-1, 3, size)
        arrays["shN"][:, first : first + size] = band.transpose(0, 2, 1)
    return arrays


def _bucket_of(source: Source, section: _Section, partial: np.ndarray) -> np.ndarray:
    """Number of the bucket of every splat [count] int64."""
    in_full = section.full_buckets * section.bucket_size
    if in_full + int(partial.sum(dtype=np.int64)) < section.count or in_full > max(section.capacity, 0):
        raise source.error(f"the buckets hold fewer than {section.count:,} splats, or more than there are")
    full = np.arange(min(in_full, section.count)) // max(1, section.bucket_size)
    left = section.count - len(full)
    kept = np.minimum(np.cumsum(partial, dtype=np.int64), left)
    sizes = np.diff(kept, prepend=0)
    return np.concatenate([full, section.full_buckets + np.repeat(np.arange(len(partial)), sizes)])
