"""Responses: what is left of a splat's opacity at a distance from its centre.

q [V, P] is the squared Mahalanobis distance of V splats from P pixel centres, and `extras` [V, E] are what a
splat has of the response's own parameters; alpha = opacity * response. A response is 1 at the centre and
falls with q.
"""

from __future__ import annotations

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


RESPONSES = {"gaussian": Response(gaussian), "generalized": Response(generalized, extras=((1.2, 4.0),))}
