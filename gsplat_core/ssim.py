"""What SSIM (Wang et al. 2004) knows of each window of a pair of images, as maps in PyTorch.

Its mean with the gradient, in one pass, is :func:`gsplat_core.ops.l1_ssim.l1_ssim`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import pad

C1, C2 = 0.01**2, 0.03**2


def _window() -> list[float]:
    weights = [math.exp(-((i - 5) ** 2) / (2 * 1.5**2)) for i in range(11)]
    return [w / sum(weights) for w in weights]


WINDOW = _window()
"""SSIM's Gaussian window with sigma 1.5."""


@dataclass(frozen=True)
class SSIMStatistics:
    """What SSIM (Wang et al. 2004) knows of each window, [H, W, 3]: SSIM = luminance * structure."""

    mu1: Tensor
    mu2: Tensor
    luminance: Tensor
    structure: Tensor
    a: Tensor
    """mu1^2 + mu2^2 + C1"""
    b: Tensor
    """var1 + var2 + C2"""

    @property
    def ssim(self) -> Tensor:
        return self.luminance * self.structure

    def by_centre(self, image: Tensor, truth: Tensor) -> Tensor:
        """The derivative of each window's SSIM by its central pixel."""
        centre = WINDOW[5] ** 2
        of_luminance = 2 * centre * (self.mu2 - self.mu1 * self.luminance) / self.a
        of_structure = 2 * centre * ((truth - self.mu2) - self.structure * (image - self.mu1)) / self.b
        return of_luminance * self.structure + of_structure * self.luminance


def ssim_statistics(image: Tensor, truth: Tensor) -> SSIMStatistics:
    mu1, mu2 = blurred(image), blurred(truth)
    var1 = (blurred(image * image) - mu1 * mu1).clamp(min=0)
    var2 = (blurred(truth * truth) - mu2 * mu2).clamp(min=0)
    covariance = blurred(image * truth) - mu1 * mu2
    a, b = mu1 * mu1 + mu2 * mu2 + C1, var1 + var2 + C2
    return SSIMStatistics(mu1, mu2, (2 * mu1 * mu2 + C1) / a, (2 * covariance + C2) / b, a, b)


def blurred(image: Tensor, squared: bool = False) -> Tensor:
    """[H, W, 3] convolved with SSIM's window, zero outside; or with the squares of its weights.

    As sums of shifted images: several times faster than PyTorch's convolution of three channels on a CPU.
    """
    height, width, _ = image.shape
    weights = [w * w for w in WINDOW] if squared else WINDOW
    padded = pad(image, (0, 0, 5, 5, 5, 5))
    rows = weights[0] * padded[:height]
    for k in range(1, 11):
        rows.add_(padded[k : k + height], alpha=weights[k])
    result = weights[0] * rows[:, :width]
    for k in range(1, 11):
        result.add_(rows[:, k : k + width], alpha=weights[k])
    return result
