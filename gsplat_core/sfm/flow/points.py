"""A COLMAP model of a FlowMap, with points that neighbouring frames show at the same depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gsplat_core.scene.colmap.model import SparseModel, SparsePoints
from gsplat_core.scene.colmap.write import posed
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens
from gsplat_core.sfm.flow.flowmap import FlowMap
from gsplat_core.sfm.flow.matches import Matches

MOST = 40_000
APART = 0.05
"""Of its depth, by which the two frames of a match may disagree on where a point is."""
WORST = 3.0
"""Times the median of all errors, beyond which a match makes no point."""


def model_of(
    found: FlowMap,
    matches: Matches,
    names: Sequence[str],
    size: tuple[int, int],
    images: Sequence[Tensor],
    folder: Path,
    seed: int = 0,
) -> SparseModel:
    """Frames are images 1, 2 and so on of one camera, whose principal point is the middle. A point is the
    middle of where the two frames of a match see it, and has these as its track.

    Args:
        names: of the frames.
        size: width and height of the frames.
        images: [h, w, 3] uint8 of each frame, of any size, for colours.
        folder: that the model is for.
        seed: of which matches make points, where there are more than MOST.
    """
    unit = math.sqrt(size[0] * size[1])
    chosen, xyz = _points(found, matches, seed)
    frames, places = matches.frames[chosen], matches.places[chosen]
    pixels = (places.double() * torch.tensor(size)).numpy()
    count = len(chosen)
    ids = 1 + np.arange(count, dtype=np.int64)
    tracks = np.zeros((count, 2, 2), np.int32)
    registered = []
    for number, (name, viewmat) in enumerate(zip(names, found.viewmats, strict=True)):
        # Each sighting is a keypoint of its own.
        point, side = (frames == number).nonzero().unbind(dim=1)
        tracks[point, side] = np.stack([np.full(len(point), number + 1), np.arange(len(point))], axis=1)
        registered.append(
            replace(
                posed(number + 1, 1, name, viewmat.double().numpy()),
                keypoints=pixels[point, side],
                point_ids=ids[point.numpy()],
            )
        )
    points = SparsePoints(
        ids=ids,
        xyz=xyz.double().numpy(),
        rgb=_colours(images, frames[:, 0], places[:, 0]),
        errors=(unit * found.errors[chosen]).double().numpy(),
        track_starts=2 * np.arange(count + 1, dtype=np.int64),
        tracks=tracks.reshape(-1, 2),
    )
    params = [unit * found.focal, size[0] / 2, size[1] / 2]
    lens = Lens.from_params(LENS_MODEL_BY_NAME["SIMPLE_PINHOLE"], *size, params)
    return SparseModel(folder, {1: lens}, registered, points)


def _points(found: FlowMap, matches: Matches, seed: int) -> tuple[Tensor, Tensor]:
    """The rows of the matches that make points, and the points [P, 3] in the world."""
    here, there = (_lifted(found, matches, side) for side in (0, 1))
    depths = found.depths(matches.frames[:, 0], matches.places[:, 0])
    good = (found.errors <= WORST * found.errors.median()) & ((here - there).norm(dim=-1) <= APART * depths)
    neighbours = matches.frames.diff(dim=1)[:, 0] == 1
    rows = (good & neighbours).nonzero()[:, 0]
    if len(rows) > MOST:
        random = torch.Generator().manual_seed(seed)
        rows = rows[torch.randperm(len(rows), generator=random)[:MOST].sort().values]
    return rows, ((here + there) / 2)[rows]


def _lifted(found: FlowMap, matches: Matches, side: int) -> Tensor:
    """[M, 3] where in the world one side of each match sees it."""
    frames, places = matches.frames[:, side], matches.places[:, side]
    depths = found.depths(frames, places)
    flat = (places - 0.5) * torch.tensor(found.extent) / found.focal
    local = torch.cat([flat, torch.ones(len(flat), 1)], dim=1) * depths[:, None]
    R, t = found.rotations[frames], found.translations[frames]
    return (R.mT @ (local - t)[..., None])[..., 0]


def _colours(images: Sequence[Tensor], frames: Tensor, places: Tensor) -> np.ndarray:
    """[P, 3] uint8 of the nearest pixels."""
    found = np.zeros((len(frames), 3), np.uint8)
    for number, image in enumerate(images):
        rows = (frames == number).nonzero()[:, 0]
        height, width = image.shape[:2]
        x = (places[rows, 0] * width).long().clamp(0, width - 1)
        y = (places[rows, 1] * height).long().clamp(0, height - 1)
        found[rows.numpy()] = image[y, x].numpy()
    return found
