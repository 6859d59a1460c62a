"""Spectral pruning (SUNDAE, Yang et al. 2024): which Gaussians may go is asked of their graph alone, so that
no photograph is needed.

Every Gaussian is joined to its nearest neighbours by weights a_ij = exp(-|x_i - x_j|^2 / (2 s^2)), which are
0 beyond a distance. With D = diag(sum_j a_ij), a signal X on this graph has the low band D^-1 A X and the
high-pass response X - D^-1 A X. A share gamma of those that stay are those of the strongest response, which
differ from their surroundings, and the rest are of the low band, where neighbours can stand in for each
other.

What was published leaves open how the rest is chosen. Who goes leaves a hole where nothing near is as
opaque, so who is near decides more than how opaque a Gaussian is by itself. The measure is presence: the
opacity times the mean standard deviation of a Gaussian, divided by the low band of that, what its neighbours
are worth. Wherever one looks about the same share stays, the most present ones of each neighbourhood. A power
of the opacity (`faint`) is a further factor, so that haze, which is faint as far as it reaches, has less of a
share. Responses are weighted by presence too, as a difference that hardly shows is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from gsplat_core.activations import activate
from gsplat_core.compress.ranking import most_important
from gsplat_core.ops.neighbors import knn
from gsplat_core.ranges import NOT_NEGATIVE, POSITIVE, SHARE, Range, check_ranges

_TINY = 1e-30


@dataclass(frozen=True)
class SpectralConfig:
    """Args:
        neighbors: that each Gaussian is joined to.
        width: s, in medians of the distance between neighbours.
        reach: beyond so many s nobody is joined.
        gamma: share of those that stay which is taken of the strongest responses.
        faint: the power of the opacity by which presence is multiplied; 0 leaves faint places their share.
        positions, scales, colors: how much each signal counts, where its median response is 1.

    Raises:
        ValueError: a value outside its range.
    """

    neighbors: Annotated[int, Range(1, 64)] = 16
    width: Annotated[float, POSITIVE] = 1.0
    reach: Annotated[float, POSITIVE] = 3.0
    gamma: Annotated[float, SHARE] = 0.1
    faint: Annotated[float, NOT_NEGATIVE] = 0.5
    positions: Annotated[float, NOT_NEGATIVE] = 1.0
    scales: Annotated[float, NOT_NEGATIVE] = 1.0
    colors: Annotated[float, NOT_NEGATIVE] = 1.0

    def __post_init__(self) -> None:
        check_ranges(self)


USUAL = SpectralConfig()


@torch.no_grad()
def spectral_choice(params: Mapping[str, Tensor], count: int, config: SpectralConfig = USUAL) -> Tensor:
    """The rows of the `count` Gaussians that stay, in ascending order.

    Args:
        params: raw parameters by name, at least means, scales, opacities and sh0; means finite.
    """
    graph = _Graph.of(params["means"].detach(), config)
    scales, opacities = activate(params["scales"].detach(), params["opacities"].detach())
    presence = (opacities * scales.mean(dim=1)).double()
    presence = presence / graph.low_band(presence[:, None])[:, 0].clamp(min=_TINY)
    presence = presence * opacities.double() ** config.faint
    strongest = most_important(_response(params, graph, config) * presence, round(config.gamma * count))
    first = presence.index_fill(0, strongest, torch.inf)
    return most_important(first, count)


def _response(params: Mapping[str, Tensor], graph: _Graph, config: SpectralConfig) -> Tensor:
    """[N] the length of the high-pass response of all signals together."""
    # Sizes in their own order: which axis is called the first means nothing.
    sizes = params["scales"].detach().sort(dim=1).values
    signals = (
        (config.positions, params["means"].detach()),
        (config.scales, sizes),
        (config.colors, params["sh0"].detach()[:, 0]),
    )
    total = sizes.new_zeros(len(sizes), dtype=torch.float64)
    for weight, signal in signals:
        signal = signal.double()
        squares = (signal - graph.low_band(signal)).square().sum(dim=1)
        if len(squares):
            total += weight * squares / squares.median().clamp(min=_TINY)
    return total.sqrt()


class _Graph(NamedTuple):
    """Who is joined to whom, and the rows of D^-1 A."""

    neighbors: Tensor  # [N, K]
    weights: Tensor  # [N, K] which add up to 1, or are 0 of who is joined to nobody

    @staticmethod
    def of(means: Tensor, config: SpectralConfig) -> _Graph:
        neighbors, squares = knn(means.float().contiguous(), config.neighbors)
        distances = squares.double().sqrt()
        known = distances[distances.isfinite()]
        width = config.width * known.median().clamp(min=_TINY) if len(known) else 1.0
        ratios = distances / width
        weights = (-0.5 * ratios.square()).exp()
        weights = weights.where(ratios <= config.reach, 0.0)
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=_TINY)
        return _Graph(neighbors.clamp(min=0), weights)

    def low_band(self, signal: Tensor) -> Tensor:
        """D^-1 A X of X [N, F]. Who is joined to nobody is compared with the mean of all."""
        total = torch.zeros_like(signal)
        for neighbor, weight in zip(self.neighbors.unbind(1), self.weights.unbind(1), strict=True):
            total += weight[:, None] * signal[neighbor]
        alone = self.weights.sum(dim=1, keepdim=True) == 0
        return torch.where(alone, signal.mean(dim=0, keepdim=True), total)
