"""What makes the image out of blended features, where the colours that Gaussians have are not all of it
(`gsplat_core/models/sundae.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.render.drawing import Rendered
from gsplat_core.render.meta import Meta

FEATURES = "head"
"""What the features are called while they are drawn."""


class Head(NamedTuple):
    """Features of the Gaussians, and what becomes of them in the image."""

    features: Tensor  # [N, F] blended as colours are
    mix: Callable[[Tensor, Tensor], Tensor]
    """From the blended colours and features [C, H, W, 3 + F], on black, and alphas [C, H, W, 1], to the image
    [C, H, W, 3] on black."""


def mixed(rendered: Rendered, head: Head, background: Tensor | None) -> Rendered:
    """What was drawn on black, with the image that the head makes of it, before a background [C, 3]."""
    meta = Meta(rendered.meta)
    features = dict(meta["features"])
    blended = torch.cat([rendered.colors, features.pop(FEATURES)], dim=-1)
    meta["features"] = features
    if not features:
        del meta["features"]
    image = head.mix(blended, rendered.alphas)
    if background is not None:
        image = image + (1 - rendered.alphas) * background[:, None, None]
    channels = torch.cat([image, rendered.channels[..., rendered.colors.shape[-1] :]], dim=-1)
    return replace(rendered, channels=channels, meta=meta)
