"""Losses as functions of an image, with what a second-order method needs: gradient and curvature.

A Gauss-Newton method needs of a loss L(image) a convex quadratic that is close to it around the current
image,

    L + g^T d + d^T H d / 2,

with the exact gradient g and a positive semi-definite H that is cheap to multiply with. The scene's matrix
is then A = J^T H J with the Jacobian J of the images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gsplat_core.losses import as_float
from gsplat_core.ops.l1_ssim import l1_ssim
from gsplat_core.ssim import blurred, ssim_statistics


@dataclass(frozen=True)
class ImageModel:
    """A loss around one image [H, W, 3]."""

    loss: float
    gradient: Tensor
    """[H, W, 3]"""
    curvature: Callable[[Tensor], Tensor]
    """v -> H v, both [H, W, 3]"""
    diagonal: Tensor
    """[H, W, 3] of H, not negative"""


class Objective(Protocol):
    """A loss of an image [H, W, 3] float32 and its photograph [H, W, 3] uint8 or float32."""

    def loss(self, image: Tensor, photograph: Tensor) -> float: ...

    def gradient(self, image: Tensor, photograph: Tensor) -> tuple[float, Tensor]:
        """The loss and its gradient [H, W, 3], those of :meth:`model` without its curvature."""

    def model(self, image: Tensor, photograph: Tensor) -> ImageModel: ...


@dataclass(frozen=True)
class L1DSSIM:
    """The loss of 3D Gaussian splatting itself, :func:`gsplat_core.losses.l1_dssim`, to the last bit.

    - |e| has the curvature of the parabola that touches it at e and lies above: 1/|e| (iteratively reweighted
      least squares), limited by `smallest_error`.
    - With the window's mean m = w * e and variance V = w * e^2 - m^2 of the error e, SSIM is exactly
      (1 - m^2/A) (1 - V/B), where A = mu1^2 + mu2^2 + C1 and B = var1 + var2 + C2. With A, B and the other
      factor held fixed, 1 - SSIM is a convex quadratic in e.
    """

    lambda_dssim: float = 0.2
    smallest_error: float = 0.01

    def loss(self, image: Tensor, photograph: Tensor) -> float:
        return float(l1_ssim(image[None], photograph[None], self.lambda_dssim, False, False)[0])

    def gradient(self, image: Tensor, photograph: Tensor) -> tuple[float, Tensor]:
        loss, _, _, gradient = l1_ssim(image[None], photograph[None], self.lambda_dssim, False, True)
        return float(loss), gradient[0]

    def model(self, image: Tensor, photograph: Tensor) -> ImageModel:
        loss, gradient = self.gradient(image, photograph)
        truth = as_float(photograph)
        error = image - truth
        per_number = 1 / image.numel()
        l1 = (1 - self.lambda_dssim) * per_number / error.abs().clamp(min=self.smallest_error)

        statistics = ssim_statistics(image, truth)
        mean = blurred(error)
        variance = (blurred(error * error) - mean * mean).clamp(min=0)
        scale = 2 * self.lambda_dssim * per_number
        of_variance = scale * (1 - mean * mean / statistics.a).clamp(min=0) / statistics.b
        of_mean = scale * (1 - variance / statistics.b).clamp(min=0) / statistics.a - of_variance
        local = l1 + blurred(of_variance)
        diagonal = (local + blurred(of_mean, squared=True)).clamp(min=0)

        def curvature(v: Tensor) -> Tensor:
            return local * v + blurred(of_mean * blurred(v))

        return ImageModel(loss, gradient, curvature, diagonal)


@dataclass(frozen=True)
class HuberSSIM:
    """The objective of 3DGS-LM (Höllein et al. 2025): squares of two residuals per number of the image.

    The first is the root of Huber's function of the error, the second of ``weight * (1 - SSIM)``, of which
    it only takes the derivative by the window's central pixel, so that pixels stay independent and H is
    diagonal. Summed here and divided by the number of pixels and channels.
    """

    threshold: float = 0.1
    weight: float = 0.25

    def loss(self, image: Tensor, photograph: Tensor) -> float:
        truth = as_float(photograph)
        s = ssim_statistics(image, truth)
        structure = self.weight * (1 - s.ssim.clamp(max=1))
        return float((self._huber(image - truth) + structure).mean())

    def gradient(self, image: Tensor, photograph: Tensor) -> tuple[float, Tensor]:
        model = self.model(image, photograph)
        return model.loss, model.gradient

    def model(self, image: Tensor, photograph: Tensor) -> ImageModel:
        truth = as_float(photograph)
        error, s = image - truth, ssim_statistics(image, truth)
        size = error.abs()
        huber = self._huber(error)
        slope = error.clamp(-self.threshold, self.threshold)
        # With r = sqrt(h): r' = h' / (2 r). The curvature of r^2 without r'' is 2 r'^2 = h'^2 / (2 h).
        inside = size <= self.threshold
        of_error = torch.where(inside, torch.ones_like(huber), slope * slope / (2 * huber).clamp(min=1e-12))
        rest = self.weight * (1 - s.ssim).clamp(min=0)
        d_rest = torch.where(s.ssim < 1, -self.weight * s.by_centre(image, truth), torch.zeros_like(rest))
        of_rest = torch.where(rest > 1e-8, d_rest * d_rest / (2 * rest), torch.zeros_like(rest))
        per_number = 1 / image.numel()
        diagonal = per_number * (of_error + of_rest)
        return ImageModel(
            float((huber + rest).mean()), per_number * (slope + d_rest), lambda v: diagonal * v, diagonal
        )

    def _huber(self, error: Tensor) -> Tensor:
        size = error.abs()
        c = self.threshold
        return torch.where(size <= c, 0.5 * size * size, c * (size - 0.5 * c))


@dataclass(frozen=True)
class Masked:
    """A loss of the pixels that a mask [H, W] keeps. Others are black in the image, as in the photograph."""

    objective: Objective
    mask: Tensor

    def loss(self, image: Tensor, photograph: Tensor) -> float:
        return self.objective.loss(self._kept(image), photograph)

    def gradient(self, image: Tensor, photograph: Tensor) -> tuple[float, Tensor]:
        loss, gradient = self.objective.gradient(self._kept(image), photograph)
        return loss, self._kept(gradient)

    def model(self, image: Tensor, photograph: Tensor) -> ImageModel:
        of_all = self.objective.model(self._kept(image), photograph)
        return ImageModel(
            of_all.loss,
            self._kept(of_all.gradient),
            lambda v: self._kept(of_all.curvature(self._kept(v))),
            self._kept(of_all.diagonal),
        )

    def _kept(self, image: Tensor) -> Tensor:
        return image.where(self.mask[..., None], 0.0)


def of_kept(objective: Objective, mask: Tensor | None) -> Objective:
    """The objective of a photograph with this mask."""
    return objective if mask is None else Masked(objective, mask)
