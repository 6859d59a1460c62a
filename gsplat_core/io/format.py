"""What a file format of splats offers. Each is one module with one `Format`, listed in the registry."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO, Protocol

from gsplat_core import primitive as primitives
from gsplat_core.io.pieces import Pieces
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import MAX_DEGREE
from gsplat_core.scene.metadata import Metadata

ALL_METADATA = frozenset(entry.name for entry in fields(Metadata))


class DataWarning(UserWarning):
    """Something is wrong with an input file but it could be used; the message says what was done."""


class Loader(Protocol):
    def __call__(self, path: Path, *, strict: bool) -> Gaussians:
        """Reads a file. Raises DataError; what can be repaired is only a DataWarning unless `strict`. May
        take options by keyword."""


class Saver(Protocol):
    def __call__(self, path: Path, gaussians: Gaussians) -> None:
        """Writes a file whole or not at all (`gsplat_core.io.atomic`). May take options by keyword."""


class PieceLoader(Protocol):
    def __call__(self, path: Path) -> Pieces | None:
        """The scene of a file piece by piece, as it is there: also with splats that cannot be rendered. None
        for a file that has to be read as a whole. Raises DataError. May take options by keyword, which are
        those of `load`."""


class PieceSaver(Protocol):
    def __call__(self, file: BinaryIO, path: Path, pieces: Pieces) -> int:
        """Writes a scene into a new file that is open for reading and writing, and says how many rows it has.
        `path` is for messages. May take options by keyword, which are among those of `save`."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Args:
        ending: how file names of this format end, with the dot. The longest matching ending decides, so
            `.compressed.ply` is not `.ply`.
        title: what people call it.
        load, save: None where this direction is not offered.
        lossless: a scene read back is equal bit for bit, `extras`, primitive and its further parameters
            included. Others hold no extras but those in `extras`, and plain Gaussians only, but for
            `any_axes`.
        max_sh_degree: highest that the format can hold.
        metadata: the entries of `Gaussians.metadata` that the format can hold.
        extras: the fields of `Gaussians.extras` that it can hold although it is not lossless.
        primitives: which it holds although it is not lossless.
        any_axes: whether it holds the primitives that are as one calls their axes, too
            (`gsplat_core.primitive.Primitive.any_axes`).
        folder: the named file is accompanied by others in its folder.
        load_pieces, save_pieces: for scenes that come piece by piece. A lossless format never has more than a
            piece in memory; others, which order splats, the bytes that they write.
    """

    ending: str
    title: str
    load: Loader | None
    save: Saver | None
    lossless: bool = False
    max_sh_degree: int = MAX_DEGREE
    metadata: frozenset[str] = frozenset()
    extras: frozenset[str] = frozenset()
    primitives: frozenset[str] = frozenset()
    any_axes: bool = False
    folder: bool = False
    load_pieces: PieceLoader | None = None
    save_pieces: PieceSaver | None = None

    @property
    def family(self) -> str:
        """What formats have in common that are often called by each other's names."""
        return {".compressed.ply": ".ply", ".gltf": ".glb"}.get(self.ending, self.ending)

    def of_what(self, gaussians: Gaussians) -> Gaussians:
        """What a file of this format is to hold of a scene: its rows, or the plain Gaussians that look like
        them (`gsplat_core.primitive.Primitive.kept`)."""
        holds = self.lossless or gaussians.primitive in self.primitives
        return gaussians if holds and primitives.get(gaussians.primitive).kept else gaussians.baked()

    def matches(self, path: str | os.PathLike[str]) -> bool:
        return os.fspath(path).lower().endswith(self.ending)

    def files(self, path: str | os.PathLike[str]) -> list[Path]:
        """The files that make up the scene at this path."""
        if not self.folder:
            return [Path(path)]
        return [
            p for p in sorted(Path(path).parent.iterdir()) if p.suffix == ".webp" or p.name == self.ending
        ]
