"""COLMAP's tracks as matches: where photographs show the same point. Neither poses nor lenses of the model
are used."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap import SparseModel
from gsplat_core.sfm.flow.matches import Matches

FEWEST = 20
"""Points that two photographs share, for them to count as a pair."""
MANY = 200
"""The same of photographs that are far apart in order: where a way comes back to what was seen before."""
SHARE_OF_OTHERS = 4
"""Neighbours have so many times as many matches as other pairs, so that poses are linked by them."""


def matches_of_tracks(
    model: SparseModel, names: Sequence[str], reach: int, most: int, seed: int = 0
) -> Matches:
    """Matches of photographs up to `reach` apart in order, and of others that have many in common.

    Args:
        model: with keypoints that name their points.
        names: of the frames, in order.
        most: matches of two neighbours, chosen at random.

    Raises:
        DataError: a photograph is not in the model.
    """
    images = {image.name: image for image in model.images}
    missing = [name for name in names if name not in images]
    if missing:
        raise DataError(model.folder, f"{len(missing)} frames are not in the model, such as {missing[0]!r}")
    seen = []
    for name in names:
        image = images[name]
        size = np.array([model.lenses[image.camera_id].width, model.lenses[image.camera_id].height])
        known = np.flatnonzero(image.point_ids >= 0)
        ids, first = np.unique(image.point_ids[known], return_index=True)
        seen.append((ids, image.keypoints[known[first]] / size))
    shared = {
        (i, j): np.intersect1d(seen[i][0], seen[j][0], assume_unique=True, return_indices=True)[1:]
        for i, j in combinations(range(len(names)), 2)
    }
    random = np.random.default_rng(seed)
    parts = []
    for (i, j), (here, there) in shared.items():
        if len(here) < (FEWEST if j - i <= reach else MANY):
            continue
        rows = random.permutation(len(here))[: most if j - i == 1 else most // SHARE_OF_OTHERS]
        places = [torch.from_numpy(seen[frame][1][side[rows]]) for frame, side in ((i, here), (j, there))]
        parts.append(Matches.between(i, j, *places))
    return Matches.joined(parts)
