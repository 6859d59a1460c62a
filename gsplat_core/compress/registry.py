"""Codecs by name. To add one: write its file, and its lines here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.compress import anchors, eagles, forest, further, grid, residual, scalar, vq
from gsplat_core.compress.codec import Codec, Coder
from gsplat_core.compress.container import Container
from gsplat_core.compress.latents import rows_before
from gsplat_core.errors import DataError, UnsuitableSceneError, UsageError
from gsplat_core.labels import LABEL, labelled, labels_of
from gsplat_core.ops.context_coder import decode_table, encode_table
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.metadata import Metadata

LABELS_BELOW = 2**28
"""What the coder of tables takes."""


class Entry(NamedTuple):
    create: Callable[[float], Codec]
    """The codec with its settings coarser by a factor than by default."""
    decode: Callable[[Container], Gaussians]
    primitive: str = PLAIN
    """Of the scenes that it codes and that are trained for it; plain Gaussians are made such first."""


class Own(NamedTuple):
    primitive: str
    """The one that it codes."""
    create: Callable[[float], Coder]
    """As for `Entry`."""
    decode: Callable[[Container], Gaussians]
    learnt: bool = False
    """Whether it can be learnt with the scene, `train --compress`; else it codes finished scenes alone."""


CODECS = {
    "vq": Entry(lambda coarseness: vq.VQCodec(vq.VQConfig().coarser(coarseness)), vq.decode),
    "grid": Entry(lambda coarseness: grid.GridCodec(grid.GridConfig().coarser(coarseness)), grid.decode),
    "scalar": Entry(
        lambda coarseness: scalar.ScalarCodec(scalar.ScalarConfig().coarser(coarseness)), scalar.decode
    ),
    "eagles": Entry(
        lambda coarseness: eagles.EaglesCodec(eagles.EaglesConfig().coarser(coarseness)),
        eagles.decode,
        eagles.NAME,
    ),
}

OWN = {
    "anchors": Own(
        "scaffold",
        lambda coarseness: anchors.AnchorCodec(anchors.AnchorConfig().coarser(coarseness)),
        anchors.decode,
        learnt=True,
    ),
    "forest": Own("forest", forest.ForestCodec, forest.decode),
}
"""Codecs of primitives that have one of their own, since no other codec knows them."""


def usual_coder(primitive: str, coarseness: float = 0.25) -> Coder:
    """What codes a finished scene as it is, with fine steps: the codec of its primitive, or `scalar`."""
    known: dict[str, Entry | Own] = {**CODECS, **OWN}
    own = next((entry for entry in known.values() if entry.primitive == primitive != PLAIN), None)
    return (CODECS["scalar"] if own is None else own).create(coarseness)


def check_name(name: str) -> None:
    """Raises UsageError: no codec has this name, or it is one of a primitive's own."""
    if name in OWN:
        model = OWN[name].primitive
        if OWN[name].learnt:
            raise UsageError(
                f"The codec {name!r} is learnt with the scene: train --model {model} --compress {name}."
            )
        raise UsageError(
            f"The codec {name!r} codes finished scenes of train --model {model}: export RUN -o FILE.gsz."
        )
    if name not in CODECS:
        raise UsageError(f"There is no codec {name!r}; there are {', '.join(CODECS)}.")


def encode(codec: Coder, gaussians: Gaussians, path: str | os.PathLike[str] = "(memory)") -> Container:
    """The coded scene with its metadata, its labels and what its primitive has besides.

    Args:
        path: where it will be written, for the error.

    Raises:
        UnsuitableSceneError: its rows are of a primitive that codecs cannot hold, or its labels no labels.
    """
    if codec.name in OWN:
        try:
            container = codec.encode(gaussians)
        except UnsuitableSceneError as error:  # which does not know the path
            raise UnsuitableSceneError(path, error.problem, error.place, error.remedy) from None
    elif (own := CODECS[codec.name].primitive) != PLAIN:
        if gaussians.primitive != own:
            gaussians.require_plain(path, f"the codec {codec.name!r}")
        container = codec.encode(gaussians.with_primitive(own))
    else:
        if not further.has_place(gaussians.primitive):
            gaussians.require_plain(path, f"the codec {codec.name!r}")
        container = codec.encode(gaussians.with_primitive(PLAIN))
        further.add(container, gaussians)
    if known := gaussians.metadata.known():
        container.header["metadata"] = known
    if LABEL in gaussians.extras:
        labels = _codable(gaussians, path)
        labels = labels if container.order is None else labels[container.order]
        container.streams[LABEL] = encode_table(labels[:, None], rows_before(len(labels)))
    return container


def _codable(gaussians: Gaussians, path: str | os.PathLike[str]) -> Tensor:
    """The labels [N] int32 on the CPU, for `encode_table`."""
    labels = labels_of(gaussians)
    if labels is None or (labels.numel() and int(labels.abs().max()) >= LABELS_BELOW):
        raise UnsuitableSceneError(
            path, f"the field {LABEL!r} is not of whole numbers below {LABELS_BELOW:,}, one for each row",
            remedy="Take it out of the scene's extras, or write a .ply.",
        )  # fmt: skip
    return labels.detach().to("cpu", torch.int32)


def decode(container: Container, opened: Callable[[Path], Container] | None = None) -> Gaussians:
    """The scene of a file, whatever codec wrote it.

    Args:
        opened: opens other files, for a frame of a sequence that follows the one before it
            (`compress/residual.py`).

    Raises:
        DataError: the codec is unknown, or what it needs is missing or out of range.
    """
    name = container.text("codec")
    if name == residual.NAME:
        return residual.decode(container, opened, decode)
    if name in OWN:
        gaussians = OWN[name].decode(container)
    elif name in CODECS:
        gaussians = further.added(CODECS[name].decode(container), container)
    else:
        raise DataError(
            container.path,
            f"coded with {name!r}, which this program does not know; known are {', '.join((*CODECS, *OWN))}",
            place="header",
            remedy="Update gsplat-core.",
        )
    if LABEL in container.streams:
        labels = decode_table(container.stream(LABEL), rows_before(gaussians.num), 1)
        gaussians = labelled(gaussians, labels[:, 0])
    if "metadata" in container.header:
        try:
            gaussians.metadata = Metadata.from_known(container.inner("metadata").header)
        except ValueError as error:
            raise container.error(str(error)) from None
    return gaussians
