"""What a renderer can be made of, by the names that its functions take. The list is in
``csrc/raster/variants.h``; the compiled operators tell it."""

from __future__ import annotations

import torch

from gsplat_core.ops import library as library


def _listed(kind: str) -> dict[str, int]:
    """Names, and how many numbers each has beyond those that all of its kind have."""
    entries = (line.split() for line in torch.ops.gsplat_core.variants(kind).splitlines())
    return {name: int(count) for name, count in entries}


CAMERAS: dict[str, int] = _listed("cameras")
"""Camera models, and how many coefficients each has beyond fx, fy, cx, cy: the last size of `lens`."""
