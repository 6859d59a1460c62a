"""Orders: which splat is in front of which."""

from __future__ import annotations

import torch
from torch import Tensor

DEPTH_BAND = 1e-5  # relative; float32 may swap the order of depths this close
RAY_DEPTH_BAND = 1e-4  # of depths along rays, which more operations lead to

LEAST_SCALE = 1e-9


def by_depth(depths: Tensor, visible: Tensor) -> Tensor:
    """Numbers of the visible splats, those of [N] with the least depth first, in their order where it is the
    same."""
    numbers = visible.nonzero()[:, 0]
    return numbers[torch.argsort(depths[numbers], stable=True)]


def swappable(depths: Tensor, touched: Tensor) -> Tensor:
    """Of splats [V] and the pixels [V, P] that they touch: where another one at nearly the same depth is."""
    gaps = (depths - depths[:, None]).abs()
    tied = ((gaps > 0) & (gaps < DEPTH_BAND * depths)).double()
    return touched & ((tied @ touched.double()) > 0)


def along_rays(means: Tensor, covars: Tensor, origins: Tensor, directions: Tensor) -> Tensor:
    """How deep [V, P], in lengths of their directions, rays [P, 3] are where they see most of Gaussians
    [V, 3], [V, 3, 3] (Radl et al., "StopThePop", 2024); 0 where that is behind their origins, and for pixels
    without a ray, whose direction is zero. What is flat counts as a little thick."""
    squared, axes = torch.linalg.eigh(covars)
    inverse = (axes / squared.clamp(min=LEAST_SCALE**2)[:, None]) @ axes.mT
    offsets = means[:, None] - origins
    towards = torch.einsum("pi,vij->vpj", directions, inverse)
    squares = (towards * directions).sum(-1)
    return torch.where(squares > 0, ((towards * offsets).sum(-1) / squares).clamp(min=0), 0.0)


def of_pixels(depths: Tensor, seen: Tensor) -> Tensor:
    """Each pixel's own order: places [V, P] of the splats in it, from front to back, by depths [V, P] of
    splats in the order of their list, which counts where depths are the same. Those that pixels do not see at
    all, by `seen` [V, P], are anywhere."""
    return torch.argsort(torch.where(seen, depths, -torch.inf), dim=0, stable=True).argsort(
        dim=0, stable=True
    )


def swappable_along_rays(depths: Tensor, touched: Tensor) -> Tensor:
    """Of depths [V, P] along the rays of pixels and which splats those touch: where another one at nearly the
    same depth is."""
    sorted_depths, order = torch.where(touched, depths, torch.inf).sort(dim=0, stable=True)
    gaps = sorted_depths[1:] - sorted_depths[:-1]
    tied = (gaps > 0) & (gaps < RAY_DEPTH_BAND * sorted_depths[1:].abs())
    none = torch.zeros_like(tied[:1])
    either = torch.cat([tied, none]) | torch.cat([none, tied])
    return touched & torch.zeros_like(either).scatter(0, order, either)
