"""Export that is checked: the file is read back before it takes its name."""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from gsplat_core import primitive as primitives
from gsplat_core.errors import DataError, NumericalError, ResourceError, UnsuitableSceneError
from gsplat_core.expansion import ExpansionError
from gsplat_core.io.atomic import atomic_folder, atomic_path
from gsplat_core.io.format import DataWarning, Format
from gsplat_core.io.options import check_options, options_of
from gsplat_core.io.pieces import Pieces
from gsplat_core.io.registry import fitting_pieces, format_of, load, save
from gsplat_core.io.usable import describe_unusable, find_unusable, unusable_shared
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.original_coordinates import original_positions

T = TypeVar("T")


def export_verified(path: str | os.PathLike[str], gaussians: Gaussians, **options: Any) -> Gaussians:
    """Like `save`, and proves that the file can be read: bit for bit where the format keeps every bit
    (positions in original coordinates to the last of theirs), and as many usable splats of the same SH degree
    everywhere. An existing file is replaced only after the proof.

    Returns:
        The scene as the file holds it, for lossy formats in another order; how good it is shows in its
        images.

    Raises:
        NumericalError: splats of the scene are not finite; counted per reason. Nothing is written.
        ResourceError: the file cannot be written, or what is read back differs (a fault of disk or memory).
        UsageError, UnsuitableSceneError: as for `save`.
    """
    known = format_of(path)
    gaussians = known.of_what(gaussians.detached()).to(dtype=torch.float32)
    _prove(gaussians, path)
    if options.get("extras") is False:  # the one option that leaves something of a scene out
        gaussians = gaussians.without_extras()
    with _provisional(path, known) as temporary:
        try:
            save(temporary, gaussians, **options)
        except UnsuitableSceneError as error:  # of which the user knows another name
            raise UnsuitableSceneError(path, error.problem, error.place, error.remedy) from None
        read, different = _read_back(temporary, known, options), []
        if known.lossless:
            original = options.get("coordinates") == "original"
            different = _differences(gaussians, read, original)
        elif (read.num, read.sh_degree) != (gaussians.num, min(gaussians.sh_degree, known.max_sh_degree)):
            different = ["the number of splats or coefficients"]
        if different:
            raise ResourceError(
                f"{os.fspath(path)}: what was read back differs in {', '.join(different)}; the disk or the "
                "memory is faulty. The file was not kept, what was there before is unchanged."
            )
    return read


def export_pieces(path: str | os.PathLike[str], pieces: Pieces, **options: Any) -> int:
    """The same for a scene that comes piece by piece. Where the format takes it so, no more of it is ever in
    memory than `Format.save_pieces` says; what is read back of a lossless one is compared by checksums of
    every field.

    Returns:
        How many splats were written.

    Raises:
        NumericalError, ResourceError, UsageError, UnsuitableSceneError: as for `export_verified`; and
            whatever comes with the pieces. Nothing is written then.
    """
    known = format_of(path)
    # Rows that become several Gaussians each are more than the pieces announce.
    more = not known.lossless and primitives.get(pieces.template.primitive).splats > 1
    if more or not takes_pieces(known, options):
        return export_verified(path, pieces.whole(), **options).num
    assert known.save_pieces is not None
    check_options(known.save_pieces, options, f"writing {known.ending}")
    ready = pieces.mapped(lambda piece: known.of_what(piece.detached()).to(dtype=torch.float32))
    proven = replace(ready, open=lambda: _proven(ready, path))
    written, read = Checksums(), Checksums()
    if known.lossless:
        fitting = replace(proven, open=lambda: written.of(proven.open()))
    else:
        fitting = fitting_pieces(known, path, proven)
    with atomic_path(path) as temporary:
        with open(temporary, "w+b") as file:
            num = known.save_pieces(file, Path(path), fitting, **options)
        again, back = _pieces_back(temporary, known, options), 0
        try:
            for piece in read.of(again.open()) if known.lossless else again.open():
                if unusable := find_unusable(piece)[0]:
                    raise DataError(path, describe_unusable(unusable, {}))
                back += piece.num
        except DataError as error:
            raise _unreadable(error) from error
        if (back, again.template.sh_degree) != (num, fitting.template.sh_degree) or read != written:
            raise ResourceError(
                f"{os.fspath(path)}: what was read back differs; the disk or the memory is faulty. The file "
                "was not kept, what was there before is unchanged."
            )
    return num


def takes_pieces(known: Format, options: Mapping[str, Any]) -> bool:
    """Whether a format is written piece by piece with these options."""
    return known.save_pieces is not None and options.keys() <= options_of(known.save_pieces).keys()


class Checksums:
    """CRC-32 of each field of a scene, over all of its pieces, wherever it was cut."""

    def __init__(self) -> None:
        self._sums: dict[str, int] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checksums) and self._sums == other._sums

    __hash__ = None  # type: ignore[assignment] # it grows

    def of(self, pieces: Iterable[Gaussians]) -> Iterator[Gaussians]:
        """The pieces as they come, which are added."""
        for piece in pieces:
            for name, tensor in piece.state_dict().items():
                if not name.startswith("metadata."):
                    flat = tensor.cpu().contiguous().flatten()
                    data = flat.view(torch.uint8).numpy().data if len(flat) else b""
                    whole = name.startswith("shared.")  # of which every piece has all
                    self._sums[name] = zlib.crc32(data, 0 if whole else self._sums.get(name, 0))
            yield piece


def _proven(pieces: Pieces, path: str | os.PathLike[str]) -> Iterator[Gaussians]:
    """The pieces, none of which has a splat that cannot be rendered."""
    for piece in pieces.open():
        _prove(piece, path)
        yield piece


def _prove(scene: Gaussians, path: str | os.PathLike[str]) -> None:
    drop, repair = find_unusable(scene)
    problem = describe_unusable(drop, repair) if drop or repair else unusable_shared(scene)
    if problem:
        raise NumericalError(f"{os.fspath(path)}: not written: {problem}.")


@contextmanager
def _provisional(path: str | os.PathLike[str], known: Format) -> Iterator[Path]:
    """Where to write first: a name of the same ending, or a folder for a format of several files."""
    if not known.folder:
        with atomic_path(path) as temporary:
            yield temporary
        return
    with atomic_folder(Path(path).parent, last=Path(path).name) as folder:
        yield folder / Path(path).name


def _read_back(path: Path, known: Format, options: dict[str, Any]) -> Gaussians:
    """The file as its reader sees it, with those of the options that concern reading too (such as axes)."""
    given = _of_reading(known.load, options)
    return _trusting(lambda **trusted: load(path, strict=True, **given, **trusted))


def _pieces_back(path: Path, known: Format, options: dict[str, Any]) -> Pieces:
    """The same piece by piece, where it can be read so."""
    if known.load_pieces is None:
        return Pieces.of(_read_back(path, known, options))
    reader, given = known.load_pieces, _of_reading(known.load_pieces, options)
    pieces = _trusting(lambda **trusted: reader(path, **given, **trusted))
    if pieces is None:
        raise ResourceError(f"{path}: what was written is read back as something else; the disk is faulty.")
    return pieces


def _of_reading(reader: Callable[..., Any] | None, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that a reader has, too."""
    offered = options_of(reader) if reader else {}
    return {name: value for name, value in options.items() if name in offered}


def _trusting(read: Callable[..., T]) -> T:
    """What `read` returns, if need be with `trusted`."""
    try:
        try:
            return read()
        except ExpansionError as error:
            warnings.warn(
                f"{error.problem}: its splats are so much alike that readers with a bound refuse it, this "
                "program too without the option trusted=true",
                DataWarning, stacklevel=4,
            )  # fmt: skip
            return read(trusted=True)
    except DataError as error:
        raise _unreadable(error) from error


def _unreadable(error: DataError) -> ResourceError:
    return ResourceError(f"what was written cannot be read back ({error}); the disk or the memory is faulty.")


def _differences(written: Gaussians, read: Gaussians, original: bool) -> list[str]:
    """Names of the fields that are not equal bit for bit (parameters as float32).

    Positions may differ by what float64 rounds in the original coordinates, if the file has these.
    """
    expected = {k: v.cpu() for k, v in written.state_dict().items()}
    found = read.state_dict()
    if original and written.num and read.num == written.num:
        step = np.spacing(np.abs(original_positions(written)).max())
        if (found["means"].double() - expected["means"].double()).abs().max() <= step:
            found["means"] = expected["means"]
    return [
        name
        for name in expected.keys() | found.keys()
        if name not in expected or name not in found or not _equal(expected[name], found[name])
    ]


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool(((a == b) | ((a != a) & (b != b))).all())
