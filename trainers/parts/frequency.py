"""The frequency-modulated loss of GES (Hamdi et al. 2024): coarse structure first, edges later.

Part of the weight of L1 is given to the pixels of a mask M alone,

    L = (1 - w - v) L1(I, P) + w (1 - SSIM) + v L1(I M, P M),

v = 0.5 as published, with w the weight of the SSIM term. M follows the frequencies of the rendering I,
without passing a gradient on: a difference of Gaussians of the rendering's grey values, at a fifth of its
size, is brought to [0, 1]. In the first half of the run, while these Gaussians widen, M has the pixels where
that is at most 1/2; in the second half, while they narrow again, those where it is at least 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from gsplat_core.errors import UsageError
from gsplat_core.losses import as_float
from gsplat_core.ranges import BETWEEN_0_AND_1, check_ranges
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig

_SHRINK = 0.2
_NARROWEST, _WIDENING = 0.1, 0.1
"""Standard deviation of the narrower Gaussian at both ends of the run, and its change per hundredth of it, in
pixels of the shrunk image."""


@dataclass(frozen=True)
class FrequencyConfig:
    """Args:
        weight: of the masked term, taken from that of L1.

    Raises:
        ValueError: a weight outside [0, 1].
    """

    weight: Annotated[float, BETWEEN_0_AND_1] = 0.5

    def __post_init__(self) -> None:
        check_ranges(self)


class Frequency(Part):
    """`--parts frequency`."""

    settings: ClassVar[type[Any] | None] = FrequencyConfig
    first_order: ClassVar[str | None] = "knows no masked loss; leave out --parts frequency"
    neighbours: ClassVar[str | None] = "compares frequencies of whole photographs"

    def __init__(self, settings: FrequencyConfig, config: TrainConfig, views: Sequence[View]) -> None:
        if settings.weight > 1 - config.lambda_dssim:
            raise UsageError(
                f"frequency.weight is taken from that of L1, 1 - lambda_dssim = {1 - config.lambda_dssim:g}; "
                f"expected at most that, got {settings.weight:g}."
            )
        self._weight = settings.weight
        self._steps = config.steps

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        image, photograph = rendering.image[0], as_float(target.image)
        left_out = ~frequency_mask(image.detach(), step / self._steps)
        return -self._weight * ((image - photograph).abs() * left_out[..., None]).mean()


@torch.no_grad()
def frequency_mask(image: Tensor, progress: float) -> Tensor:
    """[H, W] bool, the pixels that count. All of them where the difference of Gaussians is the same
    everywhere, since that tells no frequencies apart.

    Args:
        image: [H, W, 3] the rendering.
        progress: the share of the run that is done, in [0, 1].
    """
    first_half = progress < 0.5
    sigma = _NARROWEST + _WIDENING * 100 * (progress if first_half else 1 - progress)
    grey = image.mean(dim=-1)
    height, width = grey.shape
    small = (max(int(height * _SHRINK), 1), max(int(width * _SHRINK), 1))
    shrunk = interpolate(grey[None, None], small, mode="bilinear")[0, 0]
    difference = _blurred(shrunk, sigma) - _blurred(shrunk, 2 * sigma)
    large = interpolate(difference[None, None], (height, width), mode="bilinear")[0, 0]
    above = large - large.min()
    most = above.max()
    share = above / most
    inside = 1 - share >= 0.5 if first_half else share >= 0.5
    return inside | ~(most > 0)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """[H, W] smoothed by a Gaussian of this standard deviation in pixels, with zeros around the image."""
    reach = round(3 * sigma)
    offsets = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    weights = (-0.5 * (offsets / sigma).square()).exp()
    weights = weights / weights.sum()
    for _ in range(2):  # along rows, then, transposed, along columns
        # Sums of windows and no convolution, whose rounding may depend on the number of threads.
        image = (pad(image, (reach, reach)).unfold(1, len(weights), 1) * weights).sum(dim=-1).T
    return image
