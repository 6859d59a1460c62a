"""File formats by the ending of the file's name. To add one: write its module, and its line here."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gsplat_core import primitive as primitives
from gsplat_core.errors import DataError, UnsuitableSceneError, UsageError
from gsplat_core.io import compressed_ply, gltf, gsz, html, ksplat, ply, sog, splat, spz
from gsplat_core.io.content import must_be_splats, recognise
from gsplat_core.io.format import DataWarning, Format
from gsplat_core.io.options import check_options
from gsplat_core.io.pieces import Pieces
from gsplat_core.io.usable import describe_unusable, find_unusable, usable_pieces
from gsplat_core.scene.gaussians import Gaussians

LARGEST_POSITION = 1e30
LARGEST_COLOR = 1e6  # of SH coefficients
SMALLEST_SCALE = -80.0  # exp(-80) is still a normal float32

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
    html.FORMAT,
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
    return max(matching, key=_length)


def _length(known: Format) -> int:
    return len(known.ending)


def format_of_file(path: str | os.PathLike[str]) -> Format:
    """The format to read a file with: the one of its content, else the one that its name calls for.

    Raises:
        DataError: the content is recognised, and is no splats, or not what the name's ending promises.
        UsageError: the ending is unknown or that of a format that cannot be read, and so is the content.
    """
    content = recognise(path)
    if content is None:
        known = format_of(path)
        if known.load is None:
            raise UsageError(
                f"{os.fspath(path)}: {known.title} ({known.ending}) cannot be read by this version."
            )
        return known
    must_be_splats(path, content)
    found = next(known for known in FORMATS if known.ending == content.ending)
    called = max((known for known in FORMATS if known.matches(path)), key=_length, default=found)
    if called.family != found.family:
        raise DataError(
            path, f"this is {content.title}, although its name ends with {called.ending}",
            remedy=f"Rename it so that it ends with {found.ending}.",
        )  # fmt: skip
    return found


def load(
    path: str | os.PathLike[str],
    *,
    strict: bool = False,
    antialiased: bool | None = None,
    pixel_order: bool | None = None,
    unscented: bool | None = None,
    **options: Any,
) -> Gaussians:
    """Reads a scene, of whichever format the content is; where that has no signature, the name's ending says.

    Args:
        path: the file.
        strict: raise where otherwise unusable splats are dropped or repaired with a `DataWarning`.
        antialiased: whether the scene is to be drawn antialiased, where the file does not say so.
        pixel_order: whether it is to be drawn in the order of each pixel's own (docs/orders.md).
        unscented: whether its splats are to be those of the unscented transform (docs/cameras.md).
        options: what the format's `load` offers.

    Returns:
        The scene in float32 on the CPU; fields that are no part of a Gaussian are in `extras`.

    Raises:
        DataError: the file is missing, damaged or something else; says where and what helps.
        UsageError: the ending is unknown, the format cannot be read, or has no such option.
    """
    known = format_of_file(path)
    assert known.load is not None
    check_options(known.load, options, f"reading {known.ending}")
    gaussians = known.load(Path(path), strict=strict, **options)
    return _as_told(gaussians, antialiased, pixel_order, unscented)


def load_pieces(
    path: str | os.PathLike[str],
    *,
    antialiased: bool | None = None,
    pixel_order: bool | None = None,
    unscented: bool | None = None,
    **options: Any,
) -> Pieces:
    """The same piece by piece: of a file that can be read so, no more than a piece is ever in memory. Splats
    that are dropped or repaired are told when all pieces were read.

    Raises:
        DataError, UsageError: as for `load`; of what is damaged behind the beginning, while pieces are read.
    """
    known = format_of_file(path)
    if known.load_pieces is not None:
        check_options(known.load_pieces, options, f"reading {known.ending}")
        pieces = known.load_pieces(Path(path), **options)
        if pieces is not None:
            return usable_pieces(pieces, path).mapped(
                lambda piece: _as_told(piece, antialiased, pixel_order, unscented)
            )
    return Pieces.of(
        load(path, antialiased=antialiased, pixel_order=pixel_order, unscented=unscented, **options)
    )


def _as_told(
    gaussians: Gaussians, antialiased: bool | None, pixel_order: bool | None, unscented: bool | None
) -> Gaussians:
    """The scene, to be drawn as its reader was told."""
    told = {"antialiased": antialiased, "pixel_order": pixel_order, "unscented": unscented}
    facts = {name: value for name, value in told.items() if value is not None}
    return gaussians.with_metadata(**facts) if facts else gaussians


def save(path: str | os.PathLike[str], gaussians: Gaussians, **options: Any) -> None:
    """Writes a scene; the name's ending says in which format. The file appears whole or not at all.

    A primitive that plain Gaussians look exactly like is written as these (`Format.of_what`).
    What the format has no place for is left out with a `DataWarning`: SH coefficients beyond its degree, and
    `extras`, and metadata.

    Args:
        path: the file; an existing one is replaced.
        gaussians: the scene.
        options: what the format's `save` offers.

    Raises:
        ResourceError: the disk is full, the folder is missing or must not be written to.
        UsageError: the ending is unknown, the format cannot be written, or has no such option or value.
        UnsuitableSceneError: the format cannot hold this scene. No lossy format holds numbers that are not
            finite.
    """
    known = format_of(path)
    if known.save is None:
        raise UsageError(
            f"{os.fspath(path)}: {known.title} ({known.ending}) cannot be written by this version."
        )
    check_options(known.save, options, f"writing {known.ending}")
    known.save(Path(path), _fitting(known, path, gaussians), **options)


def fitting_pieces(known: Format, path: str | os.PathLike[str], pieces: Pieces) -> Pieces:
    """What of a scene the format can hold, as for `save`.

    Args:
        pieces: as `Format.of_what` makes them, without splats that cannot be rendered.

    Raises:
        UnsuitableSceneError: as for `save`; of rows, while they come.
    """

    def fitting() -> Iterator[Gaussians]:
        wild = 0
        for piece in pieces.open():
            scene, num = _held(known, path, piece, proven=True)
            wild += num
            yield scene
        _tell_wild(path, wild)

    template, _ = _held(known, path, pieces.template)
    _tell_left_out(known, pieces.template)
    return dataclasses.replace(pieces, template=template, open=fitting)


def _clamped(gaussians: Gaussians) -> tuple[Gaussians, int]:
    """The scene without numbers so large that a format's arithmetic overflows, which no image needs; and of
    how many splats colours were cut."""
    wild = (torch.cat([gaussians.sh0, gaussians.shN], dim=1).abs() > LARGEST_COLOR).flatten(1).any(dim=1)
    thin = (gaussians.scales < SMALLEST_SCALE) & gaussians.scales.isfinite()
    clamped = dataclasses.replace(
        gaussians,
        sh0=gaussians.sh0.clamp(-LARGEST_COLOR, LARGEST_COLOR),
        shN=gaussians.shN.clamp(-LARGEST_COLOR, LARGEST_COLOR),
        scales=gaussians.scales.masked_fill(thin, SMALLEST_SCALE),
    )
    return clamped, int(wild.sum())


def _tell_wild(path: str | os.PathLike[str], num: int) -> None:
    if num:
        message = f"{os.fspath(path)}: colours of {num:,} splats were cut at +-{LARGEST_COLOR:g}"
        warnings.warn(message, DataWarning, stacklevel=4)


_LOST = {
    "antialiased": "the mark that the scene is to be drawn antialiased (it will look thicker from afar)",
    "eps2d": "the variance of its screen filter",
    "pixel_order": "the mark that the scene is to be drawn in the order of each pixel's own",
    "unscented": "the mark that its splats are those of the unscented transform",
    "ray_step": "the distance between samples of rays that are cast through it",
    "offset": "the offset to the original coordinates",
}


def _fitting(known: Format, path: str | os.PathLike[str], gaussians: Gaussians) -> Gaussians:
    """What of a scene the format can hold."""
    gaussians = known.of_what(gaussians)
    fitting, wild = _held(known, path, gaussians)
    _tell_wild(path, wild)
    _tell_left_out(known, gaussians)
    return fitting


def _held(
    known: Format, path: str | os.PathLike[str], gaussians: Gaussians, proven: bool = False
) -> tuple[Gaussians, int]:
    """The same silently, and of how many splats colours were cut.

    Args:
        gaussians: as `Format.of_what` makes them.
        proven: all of them can be rendered.
    """
    gaussians = gaussians.to(dtype=torch.float32)
    if known.lossless:
        return gaussians, 0
    if not _further(known, gaussians):
        gaussians.require_plain(path, known.title)
    drop = {} if proven else find_unusable(gaussians)[0]
    if bool((far := gaussians.means.abs().amax(dim=1) > LARGEST_POSITION).any()):
        drop |= {f"position beyond {LARGEST_POSITION:g}": far}
    if drop:
        raise UnsuitableSceneError(
            path, f"{known.title} cannot hold the scene: {describe_unusable(drop, {})}",
            remedy="Take these out first (gsplat_core.io.usable.find_unusable), or write a .ply.",
        )  # fmt: skip
    held = {name: gaussians.extras[name] for name in _places(known, gaussians)}
    if gaussians.sh_degree > known.max_sh_degree:
        gaussians = gaussians.with_sh_degree(known.max_sh_degree)
    metadata = gaussians.metadata.without(_lost(known, gaussians))
    gaussians, wild = _clamped(gaussians)
    return dataclasses.replace(gaussians, extras=held, metadata=metadata), wild


def _tell_left_out(known: Format, gaussians: Gaussians) -> None:
    if known.lossless:
        return
    held = _places(known, gaussians)
    left_out = [f"the field {name!r}" for name in gaussians.extras if name not in held]
    if gaussians.sh_degree > known.max_sh_degree:
        left_out.append(f"spherical harmonics beyond degree {known.max_sh_degree}")
    left_out += [_LOST[name] for name in _lost(known, gaussians)]
    if left_out:
        message = f"{known.title} has no place for {', '.join(left_out)}"
        warnings.warn(message, DataWarning, stacklevel=4)


def _further(known: Format, gaussians: Gaussians) -> bool:
    """Whether the format holds more of the scene's primitive than plain Gaussians."""
    any_axes = known.any_axes and primitives.get(gaussians.primitive).any_axes
    return any_axes or gaussians.primitive in known.primitives


def _places(known: Format, gaussians: Gaussians) -> list[str]:
    """The fields of `extras` that the format can hold."""
    carried = {field.name for field in gaussians.schema.carried} if _further(known, gaussians) else set()
    return [name for name in gaussians.extras if name in known.extras | carried]


def _lost(known: Format, gaussians: Gaussians) -> list[str]:
    """The metadata that the format cannot hold."""
    return sorted(gaussians.metadata.known().keys() - known.metadata)
