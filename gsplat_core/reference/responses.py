"""Responses: what is left of a splat's opacity at a distance from its centre.

q [V, P] is the squared Mahalanobis distance of V splats from P pixel centres, and `extras` [V, E] are what a
splat has of the response's own parameters; alpha = opacity * response. A response is 1 at the centre and
falls with q.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MIN_ALPHA = 1 / 255  # fainter contributions are skipped


@dataclass(frozen=True)
class Response:
    """A response, and from where to where each of its parameters is usual."""

    at: Callable[[Tensor, Tensor], Tensor]
    extras: tuple[tuple[float, float], ...] = ()
    integrates = False
    along_rays = False
    margin = 0.0  # pixels around the reach from which a splat is seen, too

    def seen(self, dx: Tensor, dy: Tensor, conics: Tensor, extras: Tensor) -> Tensor:
        """At pixels [V, P] with these offsets from splats with the inverse covariances [V, 3]."""
        a, b, c = conics[:, :, None].unbind(1)
        return self.at(a * dx * dx + 2 * b * dx * dy + c * dy * dy, extras)

    def reach(self, opacities: Tensor, extras: Tensor) -> Tensor:
        """The Mahalanobis distance [...] at which splats fade to 1/255, by bisection; 0 where they are
        fainter everywhere. Opacities [...], extras [..., E]; no gradient."""
        opacities, extras = opacities.detach().flatten(), extras.detach().flatten(0, -2)
        low, high = (torch.full_like(opacities, exponent) for exponent in (-40.0, 80.0))
        for _ in range(80):
            middle = (low + high) / 2
            outside = opacities * self.at(middle.exp()[:, None], extras)[:, 0] < MIN_ALPHA
            low, high = torch.where(outside, low, middle), torch.where(outside, middle, high)
        return torch.where(opacities > MIN_ALPHA, (low / 2).exp(), 0.0)


def gaussian(q: Tensor, extras: Tensor) -> Tensor:
    """Kerbl et al. (2023), equation 4."""
    del extras
    return torch.exp(-q / 2)


def generalized(q: Tensor, extras: Tensor) -> Tensor:
    """The generalized exponential with the exponent beta, the Gaussian at beta = 2: Hamdi et al., "GES:
    Generalized Exponential Splatting for Efficient Radiance Field Rendering" (2024)."""
    (beta,) = extras.unbind(-1)
    at_centre = q < 1e-30  # where the power has no derivative
    power = (torch.where(at_centre, 1.0, q) / 2) ** (beta[:, None] / 2)
    return torch.where(at_centre, 1.0, torch.exp(-power))


@dataclass(frozen=True)
class Integral(Response):
    """A response to the pixel's window: the integral of a Gaussian over a unit square that is turned into the
    frame of its axes, with a sigmoid in place of the normal distribution's function. Liang et al.,
    "Analytic-Splatting: Anti-Aliased 3D Gaussian Splatting via Analytic Integration" (2024).

    `at` is that Gaussian, and `excess` bounds the integral by its largest value in the window times that.
    """

    sigmoid: Callable[[Tensor], Tensor] = torch.sigmoid
    excess: float = 1.0
    integrates = True
    margin = math.sqrt(0.5)  # of the centre from a corner

    def seen(self, dx: Tensor, dy: Tensor, conics: Tensor, extras: Tensor) -> Tensor:
        a, b, c = conics[:, :, None].unbind(1)
        # Where axes are equal the frame has no derivative, and none is asked for.
        turn = 0.5 * torch.atan2(-2 * b, c - a)  # of the longer axis
        cosine, sine = turn.cos(), turn.sin()
        major = a * cosine**2 + 2 * b * cosine * sine + c * sine**2  # 1 / variance
        minor = a * sine**2 - 2 * b * cosine * sine + c * cosine**2
        u, v = dx * cosine + dy * sine, dy * cosine - dx * sine
        return 2 * math.pi * self._along(u, major.rsqrt()) * self._along(v, minor.rsqrt())

    def _along(self, u: Tensor, s: Tensor) -> Tensor:
        # Differences of what lies in the tail below 0, where the sigmoid has all its digits.
        u = -u.abs()
        return s * (self.sigmoid((u + 0.5) / s) - self.sigmoid((u - 0.5) / s))

    def reach(self, opacities: Tensor, extras: Tensor) -> Tensor:
        """Of the largest value in the window."""
        return torch.where(
            opacities.flatten() > MIN_ALPHA, super().reach(self.excess * opacities, extras), 0.0
        )


@dataclass(frozen=True)
class AlongRay(Response):
    """A response to the pixel's ray, where that comes nearest to a Gaussian in the world: `at` is a function
    of the squared Mahalanobis distance there. Moenne-Loccoz et al., "3D Gaussian Ray Tracing: Fast Tracing of
    Particle Scenes" (2024), equations 9 to 11. What of it is seen lies within the reach of the splat."""

    along_rays = True


def ray_generalized(squared: Tensor, extras: Tensor) -> Tensor:
    """Moenne-Loccoz et al. (2024), equation 6, with the degree n of each Gaussian: what it is at three
    standard deviations does not depend on it."""
    (degree,) = extras.unbind(-1)
    at_centre = squared < 1e-30  # where the power has no derivative
    power = torch.where(at_centre, 1.0, squared / 9) ** (degree[:, None] / 2)
    return torch.where(at_centre, 1.0, torch.exp(-4.5 * power))


def logistic(x: Tensor) -> Tensor:
    """Liang et al. (2024), equation 9: the normal distribution's function within 4e-4."""
    return torch.sigmoid(1.6 * x + 0.07 * x**3)


RESPONSES = {
    "gaussian": Response(gaussian),
    "generalized": Response(generalized, extras=((1.2, 4.0),)),
    "analytic": Integral(gaussian, sigmoid=logistic, excess=2**0.023609),
    "ray": AlongRay(gaussian),
    "ray_generalized": AlongRay(ray_generalized, extras=((1.2, 7.5),)),
}
