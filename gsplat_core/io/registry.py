"""File formats by the ending of the file's name. To add one: write its module, and its line here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gsplat_core.errors import UsageError
from gsplat_core.io import ply
from gsplat_core.io.format import Format
from gsplat_core.scene.gaussians import Gaussians

FORMATS: list[Format] = [
    ply.FORMAT,
    Format(".compressed.ply", "PlayCanvas compressed PLY", load=None, save=None),
]


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format that a file's name calls for.

    Raises:
        UsageError: the ending is unknown.
    """
    matching = [known for known in FORMATS if known.matches(path)]
    if not matching:
        endings = ", ".join(known.ending for known in FORMATS if known.load or known.save)
        raise UsageError(f"{os.fspath(path)}: no file format has this ending. Known are: {endings}.")
    return max(matching, key=lambda known: len(known.ending))


def load(path: str | os.PathLike[str], *, strict: bool = False) -> Gaussians:
    """Reads a scene; the name's ending says which format it is.

    Args:
        path: the file.
        strict: raise where otherwise unusable splats are dropped or repaired with a `DataWarning`.

    Returns:
        The scene in float32 on the CPU; fields that are no part of a Gaussian are in `extras`.

    Raises:
        DataError: the file is missing, damaged or something else; says where and what helps.
        UsageError: the ending is unknown, or of a format that cannot be read.
    """
    known = format_of(path)
    if known.load is None:
        raise UsageError(f"{os.fspath(path)}: {known.title} ({known.ending}) cannot be read by this version.")
    return known.load(Path(path), strict=strict)


def save(path: str | os.PathLike[str], gaussians: Gaussians, **options: Any) -> None:
    """Writes a scene; the name's ending says in which format. The file appears whole or not at all.

    Args:
        path: the file; an existing one is replaced.
        gaussians: the scene.
        options: what the format's module offers.

    Raises:
        ResourceError: the disk is full, the folder is missing or must not be written to.
        UsageError: the ending is unknown, or of a format that cannot be written.
        ValueError: the format cannot hold this scene.
    """
    known = format_of(path)
    if known.save is None:
        raise UsageError(
            f"{os.fspath(path)}: {known.title} ({known.ending}) cannot be written by this version."
        )
    known.save(Path(path), gaussians, **options)
