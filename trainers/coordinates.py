"""Brings photographs into the coordinates of a scene, and exports into the original ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch

from gsplat_core.errors import UsageError
from gsplat_core.io import format_of
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.original_coordinates import rounding, with_origin_at

# What rounding of positions may cost, in standard deviations of the median Gaussian along its longest axis:
# up to the first nobody sees it, beyond the second the scene falls apart.
_UNSEEN = 0.01
_LARGEST = 0.1


def share_coordinates(dataset: Dataset, gaussians: Gaussians) -> None:
    """Moves the cameras of photographs to where the scene has its origin.

    A scene without an offset is in the original coordinates, or in the dataset's if its file could not hold
    the offset: then it lies near the dataset's origin.
    """
    offset = gaussians.metadata.offset
    if not any(offset) and dataset.offset.any() and gaussians.num:
        middle = gaussians.means.detach().cpu().double().median(dim=0).values
        if middle.norm() < (middle - torch.from_numpy(dataset.offset)).norm():
            return
    dataset.move_to(offset)


def in_coordinates(
    coordinates: Literal["run", "original"],
    output: Path,
    gaussians: Gaussians,
    options: dict[str, Any],
    warn: Callable[[str], None],
) -> tuple[Gaussians, dict[str, Any]]:
    """The scene and the options of its format with which an export has these coordinates.

    Positions in the original coordinates are 32-bit numbers where these hold them; where not, a .ply has
    64-bit ones.

    Raises:
        UsageError: the original positions are too far from the origin for the format.
    """
    if coordinates == "run":
        return gaussians, options
    if not any(gaussians.metadata.offset):
        warn("the scene has no offset: its coordinates are the original ones.")
        return gaussians, options
    known = format_of(output)
    step, share = rounding(gaussians)
    loss = (
        f"32-bit numbers move the original positions by up to {step:.2g}, {share:.0%} of the median "
        "Gaussian's size"
    )
    if share > _UNSEEN and known.ending == ".ply":
        warn(f"{loss}, so {output} has x, y and z of 64 bits, which not every viewer reads.")
        return gaussians, {**options, "coordinates": "original"}
    if share > _LARGEST:
        raise UsageError(
            f"--coordinates original: {known.title} has no room for them: {loss}. Use .ply, which gets "
            "64-bit positions, or --coordinates run; the offset is "
            f"({', '.join(f'{value:.12g}' for value in gaussians.metadata.offset)})."
        )
    if share > _UNSEEN:
        warn(f"{loss}.")
    return with_origin_at(gaussians, (0.0, 0.0, 0.0)), options
