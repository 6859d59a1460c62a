"""Scenes of anchors for the tests of their codec: with structure, as real ones have, and small."""

from __future__ import annotations

import dataclasses

import torch
from compress.scenes import scene

from gsplat_core.models.scaffold import DROPPED, SPLATS, as_dropped, started
from gsplat_core.scene.gaussians import Gaussians


def anchors(count: int = 500, seed: int = 0) -> Gaussians:
    """Features that are alike where anchors are near, offsets that are not; some splats are dropped."""
    random = torch.Generator().manual_seed(seed)
    plain = scene(count, 0, seed)
    anchored = started(plain.with_primitive("scaffold"), seed)
    num = anchored.num

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    further = {
        "features": 3 * torch.sin((anchored.means - 5) @ normal(3, 32)) + 0.3 * normal(num, 32),
        "offsets": 0.5 * normal(num, SPLATS, 3),
    }
    dropped = as_dropped(torch.rand(num, SPLATS, generator=random) > 0.3)
    return dataclasses.replace(
        anchored, further={**anchored.further, **further}, extras={**anchored.extras, DROPPED: dropped}
    )
