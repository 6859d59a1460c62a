"""How finely cameras sample space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from gsplat_core.render import stages
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.settings import USUAL
from gsplat_core.scene.cameras import Camera

MARGIN = 0.15
"""Of the image, on each side: places so near to it are sampled too, as in Mip-Splatting."""


@torch.no_grad()
def finest_rates(means: Tensor, cameras: Iterable[Camera]) -> Tensor:
    """[N] the most pixels per scene unit with which one of the cameras sees places [N, 3]: its focal length
    over the depth. 0 where none looks.

    The projection is that of rendering, of points: cameras of any model know what they see.
    """
    finest = torch.zeros_like(means[:, 0])
    if not len(means):
        return finest
    points = means.new_zeros(1, len(means), 6)
    opaque = means.new_ones(1, len(means))
    for camera in cameras:
        wide = Cameras.of(_enlarged(camera), means.device)
        seen = stages.project(
            means.detach()[None], None, None, points, opaque, wide.viewmats[None], wide.Ks[None],
            wide.width, wide.height, wide.applied_to(USUAL),
            lens=None if wide.lens is None else wide.lens[None], camera=wide.model,
        )  # fmt: skip
        depths = torch.ones_like(seen.depths) if camera.model == "ortho" else seen.depths
        rates = wide.Ks[0].diagonal()[:2].max() / depths[0, 0]
        finest = torch.where(seen.radii[0, 0, :, 0] > 0, torch.maximum(finest, rates), finest)
    return finest


def _enlarged(camera: Camera) -> Camera:
    width, height = (round(size * (1 + 2 * MARGIN)) for size in (camera.width, camera.height))
    K = camera.K.copy()
    K[0, 2] += (width - camera.width) / 2
    K[1, 2] += (height - camera.height) / 2
    return replace(camera, K=K, width=width, height=height)
