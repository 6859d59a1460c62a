"""The synthetic splats as a scene of Gaussians and a photograph of it, to measure whole training steps on."""

from __future__ import annotations

import torch

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh0_of
from trainers.benchmark.splats import Splats, random_splats
from trainers.views import Target

SCREEN_FILTER = 0.3  # pixels^2, added to the covariances of splats


def training_scene(
    num: int, width: int, height: int, median_sigma: float = 1.5, seed: int = 0
) -> tuple[Gaussians, Target]:
    """Gaussians of SH degree 3 whose projections are those of :func:`random_splats`, all of them visible.

    They are discs that face the image plane, so no perspective distorts their footprints. The photograph is
    noise: it gives every pixel a gradient.
    """
    splats = random_splats(num, width, height, median_sigma, seed)
    generator = torch.Generator().manual_seed(seed)
    depths, focal = splats.depths[0], float(width)
    longer, shorter, angle = _axes(splats)
    to_world = (depths / focal)[:, None]
    centre = torch.tensor([width / 2, height / 2])
    gaussians = Gaussians(
        means=torch.cat([(splats.means2d[0] - centre) * to_world, depths[:, None]], dim=1),
        quats=torch.stack([(angle / 2).cos(), torch.zeros(num), torch.zeros(num), (angle / 2).sin()], dim=1),
        scales=(torch.stack([longer, shorter, 0.1 * shorter], dim=1) * to_world).log(),
        opacities=splats.opacities[0].logit(),
        sh0=sh0_of(splats.colors[0])[:, None],
        shN=0.05 * torch.randn(num, 15, 3, generator=generator),
    )
    target = Target(
        image=torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8),
        viewmat=torch.eye(4)[None],
        K=torch.tensor([[[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]]]),
        width=width,
        height=height,
        view=0,
    )
    return gaussians, target


def _axes(splats: Splats) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Standard deviations along the axes of the splats without the screen's filter, and the first's angle."""
    l11, l21, l22 = splats.shapes[0].double().unbind(-1)
    determinant = (l11 * l22).square()
    xx = (l21.square() + l22.square()) / determinant - SCREEN_FILTER
    yy = l11.square() / determinant - SCREEN_FILTER
    xy = -l11 * l21 / determinant
    mean, radius = (xx + yy) / 2, torch.hypot((xx - yy) / 2, xy)
    axes = [(mean + sign * radius).clamp(min=1e-4).sqrt().float() for sign in (1, -1)]
    return axes[0], axes[1], (0.5 * torch.atan2(2 * xy, xx - yy)).float()
