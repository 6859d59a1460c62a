"""Codecs by name. To add one: write its file, and its lines here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from gsplat_core.compress import grid, scalar, vq
from gsplat_core.compress.codec import Codec
from gsplat_core.compress.container import Container
from gsplat_core.errors import DataError, UsageError
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.metadata import Metadata


class Entry(NamedTuple):
    create: Callable[[float], Codec]
    """The codec with its settings coarser by a factor than by default."""
    decode: Callable[[Container], Gaussians]


CODECS = {
    "vq": Entry(lambda coarseness: vq.VQCodec(vq.VQConfig().coarser(coarseness)), vq.decode),
    "grid": Entry(lambda coarseness: grid.GridCodec(grid.GridConfig().coarser(coarseness)), grid.decode),
    "scalar": Entry(
        lambda coarseness: scalar.ScalarCodec(scalar.ScalarConfig().coarser(coarseness)), scalar.decode
    ),
}


def check_name(name: str) -> None:
    """Raises UsageError: no codec has this name."""
    if name not in CODECS:
        raise UsageError(f"There is no codec {name!r}; there are {', '.join(CODECS)}.")


def encode(codec: Codec, gaussians: Gaussians, path: str | os.PathLike[str] = "(memory)") -> Container:
    """The coded scene with its metadata.

    Args:
        path: where it will be written, for the error.

    Raises:
        UnsuitableSceneError: its rows are no plain Gaussians.
    """
    gaussians.require_plain(path, f"the codec {codec.name!r}")
    container = codec.encode(gaussians)
    if known := gaussians.metadata.known():
        container.header["metadata"] = known
    return container


def decode(container: Container) -> Gaussians:
    """The scene of a file, whatever codec wrote it.

    Raises:
        DataError: the codec is unknown, or what it needs is missing or out of range.
    """
    name = container.text("codec")
    if name not in CODECS:
        raise DataError(
            container.path,
            f"coded with {name!r}, which this program does not know; known are {', '.join(CODECS)}",
            place="header",
            remedy="Update gsplat-core.",
        )
    gaussians = CODECS[name].decode(container)
    if "metadata" in container.header:
        try:
            gaussians.metadata = Metadata.from_known(container.inner("metadata").header)
        except ValueError as error:
            raise container.error(str(error)) from None
    return gaussians
