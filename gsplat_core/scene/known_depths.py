"""What a training knows of the depths of its photographs, and how a person is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.scene.cameras import Matrix
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.depth_alignment import Kind, Line, Sample, aligned, depths_by, errors_of, inverse
from gsplat_core.scene.depth_maps import find_depth_maps, points_seen, read_depth_maps, sparse_depths
from gsplat_core.scene.map_pixels import shrunk

Align = Literal["auto", "points", "rendering"]

MEANING: dict[Kind, str] = {
    "metric": "depths in the capture's units",
    "relative": "depths up to a factor and an offset",
    "disparity": "inverse depths up to a factor and an offset",
}
# Maps that are wrong by more than this share of what one depth for each photograph would be, say nothing.
_USELESS = 0.8


@dataclass(frozen=True, eq=False)
class KnownDepth:
    """What is known of one photograph.

    Args:
        at: [H, W] for a width and a height: q of `depth_alignment`, or a map's numbers; NaN where nothing is
            known.
        kind: of numbers that are still to be aligned; None for q.
    """

    at: Callable[[int, int], Tensor]
    kind: Kind | None = None


@dataclass(frozen=True, eq=False)
class KnownDepths:
    """Of a dataset's training views, by their numbers, of those of which something is known; and that in
    sentences."""

    of: dict[int, KnownDepth]
    told: list[str]


def of_points(dataset: Dataset) -> KnownDepths:
    """The depths of the sparse points in the photographs that show them.

    Raises:
        UsageError: there are none.
    """
    known, count = {}, 0
    for number in range(len(dataset.train)):
        pixels, depths = points_of(dataset, number)
        count += len(depths)
        if len(depths):
            known[number] = KnownDepth(_at_points(dataset, number, pixels, depths))
    if not known:
        raise UsageError("--depth sparse: no training photograph shows any 3D point; leave it out.")
    shown = f"{len(known)} of {len(dataset.train)} training photographs"
    return KnownDepths(known, [f"{count / len(known):,.0f} 3D points on average in {shown}."])


def of_files(
    folder: Path,
    dataset: Dataset,
    kind: Kind | Literal["auto"] = "auto",
    align: Align = "auto",
    scale: float | None = None,
) -> KnownDepths:
    """The depths of maps in a folder.

    Args:
        kind: what the maps' numbers are; auto: what fits the sparse points.
        align: to what numbers without units are aligned: to the sparse points of the photograph, to a
            rendering, or, auto, to points where a photograph has enough.
        scale: see `read_depth_maps`.

    Raises:
        DataError: a file cannot be used, or there is none.
        UsageError: what the numbers mean cannot be told, or no map follows the points.
    """
    views = dataset.train
    files = find_depth_maps(folder, views)
    maps = read_depth_maps(files, views, scale)
    near = views[0].camera.near
    samples = {number: _sample(values, *points_of(dataset, number)) for number, values in maps.items()}
    errors = errors_of(list(samples.values()), near)
    if kind == "auto" and errors is None:
        raise UsageError(
            f"--depth: without 3D points in the photographs, what the numbers in {folder} mean cannot be "
            "told; say it with --set depth.kind=metric (the capture's units), relative or disparity."
        )
    chosen: Kind = errors.kind if kind == "auto" and errors is not None else kind  # type: ignore[assignment]
    known: dict[int, KnownDepth] = {}
    to_scene = 0
    for number, values in maps.items():
        line: Line | None = None
        if chosen != "metric":
            line = None if align == "rendering" else aligned(samples[number], chosen, near)
            if line is None and align != "points":
                to_scene += 1
                known[number] = KnownDepth(_at_pixels(values), chosen)
            if line is None:
                continue
        known[number] = KnownDepth(_at_pixels(depths_by(values, chosen, line, near).float()))
    if not known:
        raise UsageError(
            f"--depth: no depth map in {folder} follows the 3D points; they may belong to other "
            "photographs, or be of another kind than --set depth.kind says."
        )
    without = [view.name for number, view in enumerate(views) if number not in files]
    rest = f"; {len(without)}, such as {without[0]!r}, have none" if without else ""
    found = ", as the 3D points say" if kind == "auto" else ""
    told = [
        f"{len(files)} of {len(views)} training photographs have a map in {folder}{rest}.",
        f"The maps hold {MEANING[chosen]}{found}.",
    ]
    if chosen != "metric":
        rest = f", {to_scene} to what the scene shows" if to_scene else ""
        told.append(f"{len(known) - to_scene} maps are aligned to the 3D points of their photographs{rest}.")
    if errors is not None:
        wrong = getattr(errors, chosen)
        told.append(f"Half of the 3D points are within {wrong:.1%} of what the maps say.")
        if wrong > _USELESS * errors.constant:
            told.append(
                f"warning: that is no better than one depth for each photograph ({errors.constant:.1%}): "
                "the maps may belong to other photographs, or be of another kind."
            )
    return KnownDepths(known, told)


def points_of(dataset: Dataset, number: int) -> tuple[Matrix, Matrix]:
    rows = dataset.sightings[number] if dataset.sightings else None
    return points_seen(dataset.train[number].camera, dataset.points.xyz.double().numpy(), rows)


def _sample(values: Tensor, pixels: Matrix, depths: Matrix) -> Sample:
    columns, rows = torch.from_numpy(pixels.astype(np.int64)).T
    found = values[rows, columns].double()
    known = found.isfinite()
    return Sample(found[known], torch.from_numpy(depths)[known])


def _at_pixels(values: Tensor) -> Callable[[int, int], Tensor]:
    return lambda width, height: shrunk(values, width, height)


def _at_points(dataset: Dataset, number: int, pixels: Matrix, depths: Matrix) -> Callable[[int, int], Tensor]:
    camera = dataset.train[number].camera

    def at(width: int, height: int) -> Tensor:
        return inverse(sparse_depths(pixels, depths, camera, width, height), camera.near)

    return at
