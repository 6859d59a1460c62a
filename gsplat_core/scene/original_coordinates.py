"""A scene between its own coordinates, near the origin, and the original ones of its capture.

`Metadata.offset` tells where the origin of the scene's coordinates lies in the original ones. Sums are made
in float64; what float32 then keeps of them far from the origin is told by `rounding`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from gsplat_core.scene.gaussians import Gaussians


def original_positions(gaussians: Gaussians) -> np.ndarray:
    """[N, 3] float64: the means in the original coordinates."""
    return gaussians.means.detach().cpu().double().numpy() + np.array(gaussians.metadata.offset)


def with_origin_at(gaussians: Gaussians, offset: Sequence[float]) -> Gaussians:
    """The same scene in coordinates whose origin lies at `offset` [3] in the original ones.

    (0, 0, 0) gives the original coordinates, rounded to the means' dtype.
    """
    positions = original_positions(gaussians) - np.array(offset, np.float64)
    means = torch.from_numpy(positions).to(gaussians.means)
    return dataclasses.replace(gaussians, means=means).with_metadata(offset=tuple(map(float, offset)))


def rounding(gaussians: Gaussians) -> tuple[float, float]:
    """How far float32 moves means in the original coordinates: at most, in scene units, and as a share of the
    median Gaussian's longest axis (its standard deviation)."""
    if not gaussians.num:
        return 0.0, 0.0
    farthest = np.float32(np.abs(original_positions(gaussians)).max())
    step = float(np.spacing(farthest)) / 2
    size = float(gaussians.scales.detach().amax(dim=1).double().exp().median())
    return step, step / max(size, 1e-300)
