"""The box in which a mesh is made."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.scale import SceneScale

# The outermost points are often wrong, or of a background that no mesh is wanted of.
_OUTER = 0.005
_MARGIN = 0.1
_FEWEST = 100
# How many lengths of a scene around the cameras' ball belong to it.
_LENGTHS = 2.5

Box = npt.NDArray[np.float64]


def box_of(scene: Gaussians, points: npt.NDArray[np.float64], scale: SceneScale) -> Box:
    """[2, 3] the lower and upper corner of the box around what was photographed.

    It holds 99 % of the sparse points along each axis (of the centres of opaque Gaussians where there are few
    points) and a margin, and is not larger than the distances at which the cameras see suggest.

    Args:
        points: [P, 3] sparse points.
        scale: of the capture.
    """
    if len(points) < _FEWEST:
        opaque = torch.sigmoid(scene.opacities.detach()) > 0.5
        means = scene.means.detach()
        points = (means[opaque] if int(opaque.sum()) >= _FEWEST else means).cpu().double().numpy()
    box = np.quantile(points, [_OUTER, 1 - _OUTER], axis=0)
    box += _MARGIN * (box[1] - box[0]) * np.array([[-1.0], [1.0]])
    reach = scale.radius + _LENGTHS * scale.length
    cut = np.stack([np.maximum(box[0], scale.center - reach), np.minimum(box[1], scale.center + reach)])
    return cut if (cut[0] < cut[1]).all() else box
