"""Dense correspondences from the depth of the scene as it is, where both views agree on it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core.densify.two_views import center, inside, project, rays
from gsplat_core.densify.views import Lens, Views


class DepthMatcher:
    """A pixel's point, at the depth rendered there, seen by the other camera, and back.

    A correspondence counts if in both views the scene is opaque at its pixel; if the point is not hidden in
    the second view (occlusion check: the depth rendered there is that of the point); and if its way back,
    with the second view's depth, ends near where it began (consistency check).

    Args:
        stride: pixels are tried on a grid with this spacing.
        min_alpha: opaque enough for a depth.
        depth_tolerance: relative difference of depths that still counts as the same surface.
        return_tolerance: how far from its start the way back may end, in pixels.
    """

    def __init__(
        self,
        stride: int = 4,
        min_alpha: float = 0.5,
        depth_tolerance: float = 0.03,
        return_tolerance: float = 1.5,
    ) -> None:
        self.stride = stride
        self.min_alpha = min_alpha
        self.depth_tolerance = depth_tolerance
        self.return_tolerance = return_tolerance

    def match(
        self, views: Views, params: Mapping[str, Tensor], first: int, second: int
    ) -> tuple[Tensor, Tensor]:
        lens, other = views.lens(first), views.lens(second)
        maps, other_maps = views.depth(params, first), views.depth(params, second)
        offset = self.stride / 2
        y, x = torch.meshgrid(
            torch.arange(offset, lens.height, self.stride),
            torch.arange(offset, lens.width, self.stride),
            indexing="ij",
        )
        start = torch.stack([x.flatten(), y.flatten()], dim=1)

        pixels, depth, good = self._seen_from(lens, maps, start, other)
        sampled, alpha = _at(other_maps, other, pixels)
        good &= alpha > self.min_alpha
        good &= (sampled - depth).abs() <= self.depth_tolerance * depth
        back, _, visible = self._seen_from(other, other_maps, pixels, lens)
        good &= visible & ((back - start).norm(dim=1) <= self.return_tolerance)
        return start[good], pixels[good]

    def _seen_from(
        self, lens: Lens, maps: tuple[Tensor, Tensor], pixels: Tensor, other: Lens
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels [M, 2] of the surface behind pixels, in the other view, with their depths [M] there and
        whether all that is defined [M]."""
        depth, alpha = _at(maps, lens, pixels)
        points = center(lens) + depth[:, None] * rays(lens, pixels)
        seen, other_depth = project(other, points)
        good = (alpha > self.min_alpha) & (other_depth > 0) & inside(other, seen) & inside(lens, pixels)
        return seen, other_depth, good


def _at(maps: tuple[Tensor, Tensor], lens: Lens, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Depth and alpha [M] at the pixels [M, 2] that lie in the image; of the border's pixels for others."""
    column = pixels[:, 0].floor().nan_to_num().clamp(0, lens.width - 1).long()
    row = pixels[:, 1].floor().nan_to_num().clamp(0, lens.height - 1).long()
    depth, alpha = (values.cpu()[row, column] for values in maps)
    return depth, alpha
