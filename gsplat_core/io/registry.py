"""File formats by the ending of the file's name. To add one: write its module, and its line here."""

from __future__ import annotations

import dataclasses
import os
import warnings
from pathlib import Path
from typing import Any

from gsplat_core.errors import UsageError
from gsplat_core.io import compressed_ply, gltf, gsz, ksplat, ply, sog, splat, spz
from gsplat_core.io.format import DataWarning, Format
from gsplat_core.io.options import check_options
from gsplat_core.io.usable import describe_unusable, find_unusable
from gsplat_core.scene.gaussians import Gaussians

FORMATS: list[Format] = [
    ply.FORMAT,
    compressed_ply.FORMAT,
    spz.FORMAT,
    sog.FORMAT,
    sog.FOLDER_FORMAT,
    splat.FORMAT,
    ksplat.FORMAT,
    gltf.FORMAT,
    gltf.TEXT_FORMAT,
    gsz.FORMAT,
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


def load(path: str | os.PathLike[str], *, strict: bool = False, **options: Any) -> Gaussians:
    """Reads a scene; the name's ending says which format it is.

    Args:
        path: the file.
        strict: raise where otherwise unusable splats are dropped or repaired with a `DataWarning`.
        options: what the format's `load` offers.

    Returns:
        The scene in float32 on the CPU; fields that are no part of a Gaussian are in `extras`.

    Raises:
        DataError: the file is missing, damaged or something else; says where and what helps.
        UsageError: the ending is unknown, the format cannot be read, or has no such option.
    """
    known = format_of(path)
    if known.load is None:
        raise UsageError(f"{os.fspath(path)}: {known.title} ({known.ending}) cannot be read by this version.")
    check_options(known.load, options, f"reading {known.ending}")
    return known.load(Path(path), strict=strict, **options)


def save(path: str | os.PathLike[str], gaussians: Gaussians, **options: Any) -> None:
    """Writes a scene; the name's ending says in which format. The file appears whole or not at all.

    What the format has no place for is left out with a `DataWarning`: SH coefficients beyond its degree, and
    `extras`, and metadata.

    Args:
        path: the file; an existing one is replaced.
        gaussians: the scene.
        options: what the format's `save` offers.

    Raises:
        ResourceError: the disk is full, the folder is missing or must not be written to.
        UsageError: the ending is unknown, the format cannot be written, or has no such option.
        ValueError: the format cannot hold this scene. No lossy format holds numbers that are not finite.
    """
    known = format_of(path)
    if known.save is None:
        raise UsageError(
            f"{os.fspath(path)}: {known.title} ({known.ending}) cannot be written by this version."
        )
    check_options(known.save, options, f"writing {known.ending}")
    known.save(Path(path), _fitting(known, path, gaussians), **options)


_LOST = {
    "antialiased": "the mark that the scene is to be drawn antialiased (it will look thicker from afar)",
    "offset": "the offset to the original coordinates",
}


def _fitting(known: Format, path: str | os.PathLike[str], gaussians: Gaussians) -> Gaussians:
    """What of a scene the format can hold."""
    if known.lossless:
        return gaussians
    drop, _ = find_unusable(gaussians)
    if drop:
        raise ValueError(f"{os.fspath(path)}: {describe_unusable(drop, {})}")
    left_out = [f"the field {name!r}" for name in gaussians.extras]
    if gaussians.sh_degree > known.max_sh_degree:
        left_out.append(f"spherical harmonics beyond degree {known.max_sh_degree}")
        gaussians = gaussians.with_sh_degree(known.max_sh_degree)
    lost = sorted(gaussians.metadata.known().keys() - known.metadata)
    left_out += [_LOST[name] for name in lost]
    if left_out:
        message = f"{known.title} has no place for {', '.join(left_out)}"
        warnings.warn(message, DataWarning, stacklevel=3)
    metadata = gaussians.metadata.without(lost)
    return dataclasses.replace(gaussians, extras={}, metadata=metadata)
