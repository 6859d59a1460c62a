"""A synthetic scene of splats whose cost depends on its parameters only, not on any photograph.

Its statistics are those of trained scenes: log-normal sizes of a given median, elongated in random
directions, opacities of every kind, spread evenly over image and depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST_SIGMA = 100.0  # pixels


@dataclass(frozen=True)
class Splats:
    """Projected Gaussians of one image, as the operators `bin_splats` and `composite` take them."""

    width: int
    height: int
    means2d: Tensor  # [1, N, 2] pixels
    shapes: Tensor  # [1, N, 3] l11, l21, l22: the inverse covariance is U^T U, U = [[l11, l21], [0, l22]]
    depths: Tensor  # [1, N]
    opacities: Tensor  # [1, N]
    radii: Tensor  # [1, N, 2] int32 pixels
    colors: Tensor  # [1, N, channels]

    @property
    def num(self) -> int:
        return self.depths.shape[1]


def random_splats(
    num: int, width: int, height: int, median_sigma: float = 1.5, seed: int = 0, channels: int = 3
) -> Splats:
    """Splats at random; the same for the same arguments.

    Args:
        num: how many.
        width, height: of the image in pixels.
        median_sigma: median standard deviation along the longer axis, in pixels.
        seed: of the random numbers.
        channels: of the colours; shapes and positions do not depend on how many there are.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(1, num, *shape, generator=generator)

    def normal() -> Tensor:
        return torch.randn(1, num, generator=generator)

    longer = (median_sigma * torch.exp(0.8 * normal())).clamp(max=LARGEST_SIGMA)
    shorter = longer * torch.exp(-(0.8 * normal()).abs())
    angle = uniform() * math.pi
    cos, sin = angle.cos(), angle.sin()
    xx = (cos * longer) ** 2 + (sin * shorter) ** 2 + 0.3
    yy = (sin * longer) ** 2 + (cos * shorter) ** 2 + 0.3
    xy = cos * sin * (longer**2 - shorter**2)
    # Inverse of the covariance: [[yy, -xy], [-xy, xx]] / (xx yy - xy^2).
    determinant = xx * yy - xy * xy
    l11 = (yy / determinant).sqrt()
    shapes = torch.stack([l11, -xy / determinant / l11, yy.rsqrt()], -1)
    opacities = torch.sigmoid(1.8 * normal() - 0.3).clamp(0.006, 0.99)
    # As far as alpha = opacity exp(-d^2 / 2) reaches 1/255.
    reach = (2 * torch.log(255 * opacities)).sqrt()
    radii = torch.stack([reach * xx.sqrt(), reach * yy.sqrt()], -1).ceil().int()
    return Splats(
        width=width,
        height=height,
        means2d=uniform(2) * torch.tensor([width, height]),
        shapes=shapes,
        depths=uniform() * 10 + 0.2,
        opacities=opacities,
        radii=radii,
        colors=uniform(channels),
    )
