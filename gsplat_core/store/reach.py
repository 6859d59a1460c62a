"""How far from its centre a Gaussian can be seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.errors import UsageError
from gsplat_core.render.stages import levels
from gsplat_core.scene.gaussians import Gaussians

LEAST_ALPHA = 1 / 255
"""What is fainter is not drawn (`gsplat_core.render.stages.levels`)."""


def require_reach(name: str) -> None:
    """
    Raises:
        UsageError: where Gaussians of the primitive `name` are seen depends on the camera, they are not drawn
            as splats, or share something, so that a cell cannot tell what a camera sees.
    """
    if primitive.get(name).per_camera:
        raise UsageError(
            f"a scene of the primitive {name!r} consists of other Gaussians for each camera, so it cannot be "
            "kept by cells of space; keep it in memory."
        )
    if primitive.get(name).schema.shared:
        raise UsageError(
            f"rows of the primitive {name!r} share what decodes them, so they cannot be kept by cells of "
            "space; keep the scene in memory."
        )
    if name == "raygauss":
        raise UsageError(
            "a density that rays are cast through is not drawn as splats, so it cannot be kept by cells of "
            "space; keep it in memory."
        )


@torch.no_grad()
def reach_of(scene: Gaussians) -> Tensor:
    """[N] the distance from the centres, scene units, beyond which no camera sees anything of them, except by
    the screen's filter: the largest standard deviation times how many of them alpha 1/255 is away. Not
    negative; 0 for what is too faint to be seen.
    """
    seen = primitive.evaluate(scene)
    if seen.scales is not None:
        sigma = seen.scales.amax(dim=-1)
    else:
        assert seen.covars is not None
        covars = seen.covars
        diagonal = covars[..., (0, 3, 5)] if covars.shape[-1] == 6 else covars.diagonal(dim1=-2, dim2=-1)
        sigma = diagonal.sum(dim=-1).clamp(min=0).sqrt()
    extras = None if seen.extras is None else seen.extras[None, None]
    found = levels(seen.opacities[None, None], seen.response, extras)
    squared = 2 * (seen.opacities / LEAST_ALPHA).log() if found is None else found[0, 0]
    # A little more than that: bounds are kept in float32.
    return sigma * squared.clamp(min=0).sqrt() * (1 + 1e-5)


WIDEST = math.sqrt(2 * math.log(1 / LEAST_ALPHA))
"""Of the plain Gaussian: so many standard deviations, where it is opaque."""
