"""A frame of a sequence in a file, as what changed since the frame before (QUEEN, Girish et al. 2024).

It is a `.gsz` (`container.py`) of the codec `residual`. Beside what all have, its header has

    before            the file of the frame before: a name in the same folder, or, in a folder beside it,
                      ../FOLDER/NAME
    checksum          the CRC-32 at the end of that file
    after_key         how many such files in a row lead to one that is whole
    rows              how many Gaussians the frame before has
    quantum           scene units: shifts are multiples of it
    removed, moved    how many of the Gaussians are removed and shifted
    changed           of how many each attribute changes

and `count` is the number of Gaussians that are added, so that the size of the files bounds what they decode
to. The streams:

    removed           ascending rows of the frame before
    ancestors         ascending rows of it, one for each Gaussian that is added; these follow behind what is
                      left, in this order
    rows.moved, moved           ascending rows of all these, and [rows, 3] their shifts
    rows.NAME, latents.NAME     likewise, [rows, L] the latents of an attribute
    decoder.NAME      [L, C] its decoder, little-endian half-precision numbers

Rows are coded by their differences and the tables by mixing contexts, both predicted from the three rows
before: the rows of a file that is whole are in an order that keeps near Gaussians together, and frames keep
it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gsplat_core.compress.container import Container
from gsplat_core.compress.latents import rows_before
from gsplat_core.errors import DataError
from gsplat_core.ops.context_coder import decode_ascending, decode_table, encode_ascending, encode_table
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.sequence.residuals import LATENTS, changed

NAME = "residual"
MOST_IN_A_ROW = 10_000
_MOST_ROWS = 2**31 - 1
_BEFORE = re.compile(r"(\.\./(?!\.\.?/)[^/\\\0]+/)?[^/\\\0]+\.gsz")
_REMEDY = (
    "Keep the frames of a sequence together; `gsplat-core export` makes a file of one that stands alone."
)


@dataclass(frozen=True, eq=False)
class Residual:
    """What changes from one frame to the next.

    Args:
        removed: [R] int64, ascending rows of the frame before.
        ancestors: [A] int64, for each Gaussian that is added, ascending rows of the frame before.
        shifts: [M, 3] int32 of those that are left and those that are added, in units of `quantum`.
        latents: [M, L] int32 by attribute; none of what does not exist, such as `shN` of degree 0.
        decoders: [L, C] float16 by attribute.
        quantum: scene units.
    """

    removed: Tensor
    ancestors: Tensor
    shifts: Tensor
    latents: Mapping[str, Tensor]
    decoders: Mapping[str, Tensor]
    quantum: float

    def applied(self, before: Gaussians) -> Gaussians:
        """The frame, given the one before it."""
        stays = torch.ones(before.num, dtype=torch.bool)
        stays[self.removed] = False
        left = stays.nonzero().squeeze(1).to(before.device)
        base = before.subset(torch.cat([left, self.ancestors.to(left.device)])).detached()
        params = changed(
            base.params,
            {name: codes.to(base.means) for name, codes in self.latents.items()},
            {name: decoder.to(base.means) for name, decoder in self.decoders.items()},
            self.shifts.to(base.means) * self.quantum,
        )
        return base.with_fields(params)


def encoded(residual: Residual, scene: Gaussians, before: str, checksum: int, after_key: int) -> Container:
    """The file of a frame.

    Args:
        scene: the frame before.
        before, checksum, after_key: of its file, as the module tells.

    Raises:
        ValueError: more than `MOST_IN_A_ROW` files in a row, or a name that `before` cannot have.
    """
    if not 1 <= after_key <= MOST_IN_A_ROW or not _BEFORE.fullmatch(before):
        raise ValueError(f"{before!r}, {after_key} after a key frame, is nothing that a residual can follow")
    streams = {
        "removed": encode_ascending(residual.removed.cpu()),
        "ancestors": encode_ascending(residual.ancestors.cpu()),
    }

    def add(rows_name: str, name: str, table: Tensor) -> int:
        table = table.cpu().int()
        there = (table != 0).any(dim=1).nonzero().squeeze(1)
        if len(there):
            streams[rows_name] = encode_ascending(there)
            streams[name] = encode_table(table[there], rows_before(len(there)))
        return len(there)

    moved = add("rows.moved", "moved", residual.shifts)
    counts = {}
    for name, codes in residual.latents.items():
        counts[name] = add(f"rows.{name}", f"latents.{name}", codes)
        if counts[name]:
            numbers = residual.decoders[name].cpu().numpy().astype("<f2").tobytes()
            streams[f"decoder.{name}"] = torch.from_numpy(np.frombuffer(numbers, np.uint8).copy())
    header = {
        "codec": NAME,
        "count": len(residual.ancestors),
        "sh_degree": scene.sh_degree,
        "before": before,
        "checksum": checksum,
        "after_key": after_key,
        "rows": scene.num,
        "quantum": residual.quantum,
        "removed": len(residual.removed),
        "moved": moved,
        "changed": counts,
    }
    return Container(header, {name: stream for name, stream in streams.items() if len(stream)})


def decode(
    container: Container,
    opened: Callable[[Path], Container] | None,
    decode_key: Callable[[Container], Gaussians],
) -> Gaussians:
    """The frame in a file, of it and of those that it follows, back to one that is whole.

    Args:
        opened: opens a file; raises DataError. None: no other file may be opened.
        decode_key: decodes one that is whole.

    Raises:
        DataError: a file is missing, damaged, or another than the one that the next was coded after.
    """
    if opened is None:
        raise container.error("it follows another file, and this one alone was to be read")
    frames = [container]
    left = container.integer("after_key", 1, MOST_IN_A_ROW)
    while left:
        frame = opened(_before(frames[-1]))
        if frame.checksum != frames[-1].integer("checksum", 0, 2**32 - 1):
            raise DataError(
                frame.path, f"this is not the frame that {frames[-1].path} was coded after", remedy=_REMEDY
            )
        left -= 1
        if (frame.codec == NAME) != (left > 0) or (left and frame.header.get("after_key") != left):
            raise frames[-1].error("after_key does not say how many files lead to one that is whole")
        frames.append(frame)
    scene = decode_key(frames.pop())
    for frame in reversed(frames):
        scene = read(frame, scene).applied(scene)
    return scene


def _before(container: Container) -> Path:
    name = container.text("before")
    if not _BEFORE.fullmatch(name):
        raise container.error(f"before is {name[:80]!r}, which is no name of a frame")
    path = container.path.parent / name
    if not path.is_file():
        raise DataError(
            container.path, f"it says what changed since {path}, which is not there", remedy=_REMEDY
        )
    return path


def read(container: Container, before: Gaussians) -> Residual:
    """What the file of a frame says changes.

    Args:
        before: the frame that it follows.

    Raises:
        DataError: it does not fit that, or a stream or an entry of the header is missing or out of range.
    """
    if before.primitive != PLAIN:
        raise container.error(f"the frame before is of the primitive {before.primitive!r}")
    rows = container.integer("rows", 0, _MOST_ROWS)
    if rows != before.num or container.sh_degree != before.sh_degree:
        raise container.error(
            f"it follows {rows} Gaussians of degree {container.sh_degree}, and the frame before has "
            f"{before.num} of degree {before.sh_degree}"
        )
    removed = _rows(container, "removed", container.integer("removed", 0, rows), rows)
    left = rows - len(removed)
    ancestors = _rows(container, "ancestors", container.count, rows, distinct=False)
    total = left + len(ancestors)
    moved = container.integer("moved", 0, total)
    counts = container.inner("changed")
    latents, decoders = {}, {}
    for name, size in LATENTS.items():
        numbers = before.params[name][:1].numel() if before.num else 0
        count = counts.integer(name, 0, total) if name in counts.header else 0
        if not count:
            continue
        latents[name] = _table(container, f"rows.{name}", f"latents.{name}", count, total, size)
        decoders[name] = _decoder(container, f"decoder.{name}", size, numbers)
    return Residual(
        removed,
        ancestors,
        _table(container, "rows.moved", "moved", moved, total, 3),
        latents,
        decoders,
        container.number("quantum", 1e-30, 1e30),
    )


def _rows(container: Container, name: str, count: int, below: int, distinct: bool = True) -> Tensor:
    if not count:
        return torch.zeros(0, dtype=torch.int64)
    rows = decode_ascending(container.stream(name), count)
    steps = rows.diff()
    if int(rows[0]) < 0 or int(rows[-1]) >= below or bool((steps < (1 if distinct else 0)).any()):
        raise container.error(f"the stream {name!r} has other rows than there are")
    return rows


def _table(container: Container, rows: str, name: str, count: int, total: int, columns: int) -> Tensor:
    table = torch.zeros(total, columns, dtype=torch.int32)
    if count:
        there = _rows(container, rows, count, total)
        table[there] = decode_table(container.stream(name), rows_before(count), columns)
    return table


def _decoder(container: Container, name: str, latents: int, numbers: int) -> Tensor:
    content = bytes(container.stream(name).numpy())
    if not numbers or len(content) != 2 * latents * numbers:
        raise container.error(f"the stream {name!r} has {len(content)} bytes, not {2 * latents * numbers}")
    decoder = torch.from_numpy(np.frombuffer(content, "<f2").astype(np.float16)).reshape(latents, numbers)
    if not bool(decoder.isfinite().all()):
        raise container.error(f"the stream {name!r} has numbers that are not finite")
    return decoder
