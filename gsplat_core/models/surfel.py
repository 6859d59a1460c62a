"""Surfels: flat Gaussians, discs that pixels see where their rays meet them (2DGS, Huang et al. 2024).

The parameters are those of the plain Gaussian, of whose scales the third one does not matter: the third axis
is the normal (csrc/math/response/surfel.h).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.scene.gaussians import Gaussians


def started(scene: Gaussians, seed: int) -> Gaussians:
    """Discs that face in random directions, as published: were they all parallel, as Gaussians of a new scene
    are, cameras in their plane would see none of them, and no gradient would turn them."""
    random = torch.Generator().manual_seed(seed)
    quats = torch.nn.functional.normalize(torch.randn(scene.num, 4, generator=random), dim=1)
    return dataclasses.replace(scene, quats=quats.to(scene.quats))


@register("2dgs", started=started)
def surfel(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    return gaussian(params, context)._replace(response="surfel")
