"""Correspondences from the tracks of the reconstruction: exact, free, and where COLMAP found any."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core.densify.two_views import inside, project
from gsplat_core.densify.views import Views


class TrackMatcher:
    """Two photographs that see the same triangulated point have a correspondence.

    Pixels are the point's projections, not the keypoints: they are within the reprojection error of them, and
    they are right for images that were undistorted or shrunk since.
    """

    def match(
        self, views: Views, params: Mapping[str, Tensor], first: int, second: int
    ) -> tuple[Tensor, Tensor]:
        ids, positions = views.points_seen(first)
        common = positions[torch.isin(ids, views.points_seen(second)[0])]
        pixels = [project(views.lens(view), common) for view in (first, second)]
        good = torch.ones(len(common), dtype=torch.bool)
        for view, (pixel, depth) in zip((first, second), pixels, strict=True):
            good &= (depth > 0) & inside(views.lens(view), pixel)
        return pixels[0][0][good], pixels[1][0][good]
