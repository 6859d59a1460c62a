"""How much a change of the photographs pulls at each Gaussian of a scene (QUEEN, Girish et al. 2024).

Where a photograph C took the place of P, the loss of a rendering I has changed by |I - C|^2 - |I - P|^2. The
derivative of that by I is 2 (P - C), whatever is rendered. So one backward pass with this tells how the
gradients of the projected centres have changed, and no loss has to be computed, nor twice.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from gsplat_core.render.scene import Scene, render
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

CELLS = 28
"""Along the width of an image, in which pixels move or do not: cells of 48 pixels in QUEEN's videos."""
_COVERED = 0.5


def pulls(
    scene: Gaussians,
    cameras: Iterable[Camera],
    before: Iterable[Tensor],
    now: Iterable[Tensor],
    settings: RenderSettings = USUAL,
) -> Tensor:
    """[N] the sums over the views of |dL / dx|, x the projected centre in units of half the image, L the mean
    squared error of the photograph of now minus that of the one before.

    Args:
        scene: of the frame before.
        before, now: [H, W, 3] of each view, float32 in [0, 1].

    Raises:
        ValueError: there are not as many photographs as cameras.
    """
    leaf = scene.with_fields({**scene.detached().params, "means": scene.means.detach().requires_grad_()})
    total = torch.zeros_like(scene.means[:, 0])
    with torch.enable_grad():
        for camera, p, c in zip(cameras, before, now, strict=True):
            rendered = render(leaf, camera, settings)
            upstream = (2 / p.numel()) * (p - c).to(rendered.colors)[None]
            (gradient,) = torch.autograd.grad(rendered.colors, rendered.meta["means2d"], upstream)
            half = gradient.new_tensor([camera.width / 2, camera.height / 2])
            total += (gradient.reshape(-1, 2) * half).norm(dim=-1)
    return total


@torch.no_grad()
def moving_pixels(scene: Scene, camera: Camera, settings: RenderSettings = USUAL) -> Tensor:
    """[H, W] bool: the cells of an image in which Gaussians that move cover a pixel by half or more.

    Args:
        scene: of these Gaussians alone.
    """
    alphas = render(scene, camera, settings).alphas[0, ..., 0]
    size = max(camera.width // CELLS, 1)
    cells = max_pool2d((alphas > _COVERED).float()[None, None], size, ceil_mode=True)
    spread = interpolate(cells, scale_factor=size)[0, 0, : camera.height, : camera.width]
    return spread > 0
