"""The .splat file of antimatter15's viewer: 32 bytes per Gaussian, no header, no view-dependent colour.

    0   float32   x, y, z
    12  float32   standard deviations sx, sy, sz (not logarithms)
    24  uint8     r, g, b, alpha; colour 255 (0.5 + SH_C0 sh0), clipped
    28  uint8     w, x, y, z of the unit quaternion, 128 q + 128

little-endian, in the axes of the PLY that it was made from. Records are written most important first, by
size times opacity, as viewers draw what has arrived; readers must not rely on it. Bytes are rounded here,
where the original truncates; quaternion bytes are read as (b - 128) / 128, as its viewer does.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from gsplat_core.errors import DataError, UnsuitableSceneError
from gsplat_core.io.arrays import Arrays, blocks, empty_arrays, gaussians_of, in_blocks
from gsplat_core.io.atomic import atomic_file
from gsplat_core.io.content import FIRST_BYTES, is_text
from gsplat_core.io.format import Format
from gsplat_core.io.pieces import Pieces
from gsplat_core.io.quantize import LOGITS, alpha_bytes, bytes_of
from gsplat_core.io.source import read_whole
from gsplat_core.io.usable import find_unusable, keep_usable
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import rgb_of, sh0_of

FEW_RECORDS = 16  # say nothing about a file
RECORD = np.dtype(
    [("means", "<f4", 3), ("scales", "<f4", 3), ("color", "u1", 3), ("alpha", "u1"), ("quats", "u1", 4)]
)


def load(path: Path, *, strict: bool) -> Gaussians:
    """Reads a scene; its SH degree is 0.

    Raises:
        DataError: the file cannot be opened, is not of whole records, or most of them make no sense; or
            `strict` and there are splats that cannot be rendered.
    """
    data = read_whole(path)
    if is_text(data[:FIRST_BYTES]):
        raise DataError(path, "this is a text file, not a .splat file", "byte 0")
    if len(data) % RECORD.itemsize:
        raise DataError(
            path,
            f"{len(data):,} bytes are not a multiple of {RECORD.itemsize}: cut off, or not a .splat file",
            f"byte {len(data) // RECORD.itemsize * RECORD.itemsize}",
        )
    records = np.frombuffer(data, RECORD)
    arrays = empty_arrays(len(records), 0)

    def decode(rows: slice) -> None:
        block = records[rows]
        arrays["means"][rows] = block["means"]
        with np.errstate(divide="ignore", invalid="ignore"):  # flat and damaged ones: found by keep_usable
            arrays["scales"][rows] = np.log(block["scales"])
        arrays["sh0"][rows, 0] = sh0_of(block["color"] * np.float32(1 / 255))
        arrays["opacities"][rows] = LOGITS[block["alpha"]]
        arrays["quats"][rows] = block["quats"] * np.float32(1 / 128) - 1

    in_blocks(len(records), decode)
    gaussians = gaussians_of(arrays)
    drop, _ = find_unusable(gaussians)
    unusable = int(torch.stack(list(drop.values())).any(dim=0).sum()) if drop else 0
    if unusable > max(FEW_RECORDS, len(records) / 2):
        raise DataError(
            path, f"{unusable:,} of {len(records):,} records make no sense: this is not a .splat file"
        )
    return keep_usable(gaussians, path, strict)


def save(path: Path, gaussians: Gaussians) -> None:
    """Writes a scene, most important splats first; SH beyond the constant colour is lost.

    Raises:
        ResourceError: see `gsplat_core.io.atomic`.
        UnsuitableSceneError: no Gaussians.
    """
    with atomic_file(path) as file:
        save_pieces(file, path, Pieces.single(gaussians))


def save_pieces(file: BinaryIO, path: Path, pieces: Pieces) -> int:
    """The same of a scene that comes piece by piece; in memory are its records.

    Args:
        file: new, open for writing.
        path: for messages.

    Returns:
        How many Gaussians these were.

    Raises:
        UnsuitableSceneError: as for `save`.
    """
    records = np.empty(pieces.most, RECORD)
    importance = np.empty(pieces.most, np.float32)

    def encode(block: Arrays, place: slice) -> None:
        scales, opacities, quats = (block[name] for name in ("scales", "opacities", "quats"))
        with np.errstate(over="ignore"):
            importance[place] = scales.sum(axis=1) - np.log1p(np.exp(-opacities))
        own = records[place]
        own["means"] = block["means"]
        own["scales"] = np.exp(scales)
        own["color"] = bytes_of(255 * rgb_of(block["sh0"][:, 0]))
        own["alpha"] = alpha_bytes(opacities)
        quats = quats / np.linalg.norm(quats, axis=1, keepdims=True)
        own["quats"] = bytes_of(128 * quats + 128)

    count = pieces.encode(encode)
    if not count:
        raise UnsuitableSceneError(
            path, "a .splat file needs at least one Gaussian, and the scene has none", remedy="Write a .ply."
        )
    order = np.argsort(-importance[:count], kind="stable")
    for rows in blocks(count):
        file.write(records.take(order[rows]).data)
    return count


FORMAT = Format(".splat", "antimatter15 .splat", load, save, max_sh_degree=0, save_pieces=save_pieces)
