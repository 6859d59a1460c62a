"""Small images first (Chen et al. 2025, "DashGaussian", section 4.1).

What a photograph holds beyond a resolution is the part of its spectrum beyond the corresponding frequency.
The schedule gives each band of the spectrum time in proportion to the logarithm of what has been learnt when
it comes, so that coarse structure is fitted on small, cheap images and fine structure on large ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from gsplat_core.ranges import COUNT, INTERVAL, Range, check_ranges
from gsplat_core.scene.dataset import View
from trainers.spectra import Spectrum

_LEVELS = 32


@dataclass(frozen=True)
class ResolutionConfig:
    """Args:
        until: the step at which images have reached their full size.
        every: the size changes at multiples of this.
        largest: images are never smaller than by this factor.
        shortest: no side becomes shorter than this many pixels. In fewer, next to nothing says where
            Gaussians belong, and a step's time is that of the Gaussians anyway.
        energy: at the smallest size, an image holds at least its spectrum's sum divided by this.

    Raises:
        ValueError: a value outside its range.
    """

    until: Annotated[int, INTERVAL] = 27_000
    every: Annotated[int, INTERVAL] = 100
    largest: Annotated[float, Range(1, 1e6)] = 8.0
    shortest: Annotated[int, COUNT] = 50
    energy: Annotated[float, Range(1, 1e12, "least")] = 4.0

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> ResolutionConfig:
        """The same schedule for a run `factor` times as long."""
        return replace(
            self, until=max(round(self.until * factor), 1), every=max(min(round(self.every * factor), 100), 1)
        )


class ResolutionSchedule:
    """The whole-numbered factor by which images are shrunk at a step.

    Args:
        config: settings.
        views: the training views.
    """

    def __init__(self, config: ResolutionConfig, views: Sequence[View]) -> None:
        self.config = config
        sides = [min(view.camera.height, view.camera.width) for view in views]
        self._factors, self._steps = self._levels([Spectrum.of(view.image()) for view in views], sides)

    def _levels(self, spectra: Sequence[Spectrum], sides: Sequence[int]) -> tuple[list[float], list[float]]:
        """Factors of the levels, falling to 1, and the steps at which they are reached.

        Args:
            sides: of each photograph, the shorter one in pixels.
        """
        c = self.config
        smallest = min(
            spectrum.factor_holding(spectrum.held(1) / c.energy, self._largest(side))
            for spectrum, side in zip(spectra, sides, strict=True)
        )
        mean = Spectrum.mean(spectra)
        least, all_of_it = mean.held(smallest), mean.held(1)
        if not all_of_it > least:
            return [1.0], [0.0]
        factors, steps = [], []
        for level in range(_LEVELS):
            energy = least + (all_of_it - least) * level / (_LEVELS - 1)
            factors.append(mean.factor_holding(energy, smallest) if level < _LEVELS - 1 else 1.0)
            steps.append(c.until * math.log(energy / least) / math.log(all_of_it / least))
        return factors, steps

    def _largest(self, side: int) -> float:
        return max(min(self.config.largest, side / self.config.shortest), 1.0)

    def __call__(self, step: int) -> int:
        """The factor at a step; 1 from `until` on. Between levels the number of pixels grows linearly."""
        step = step // self.config.every * self.config.every
        if step >= self.config.until:
            return 1
        pixels = np.interp(step, self._steps, [1 / factor**2 for factor in self._factors])
        return max(math.floor(1 / math.sqrt(float(pixels)) + 1e-9), 1)
