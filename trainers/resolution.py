"""Small images first (Chen et al. 2025, "DashGaussian", section 4.1).

What a photograph holds beyond a resolution is the part of its spectrum beyond the corresponding frequency.
The schedule gives each band of the spectrum time in proportion to the logarithm of what has been learnt when
it comes, so that coarse structure is fitted on small, cheap images and fine structure on large ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import numpy.typing as npt
from torch import Tensor

from gsplat_core.ranges import COUNT, INTERVAL, Range, check_ranges
from gsplat_core.scene.dataset import View

_LEVELS = 32
_BISECTIONS = 64

Spectrum = npt.NDArray[np.float64]


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
        spectra = [_spectrum(view.image()) for view in views]
        self._factors, self._steps = self._levels(spectra)

    def _levels(self, spectra: list[Spectrum]) -> tuple[list[float], list[float]]:
        """Factors of the levels, falling to 1, and the steps at which they are reached."""
        c = self.config

        def held(factor: float) -> float:
            return sum(_held(spectrum, factor) for spectrum in spectra) / len(spectra)

        smallest = min(_factor_holding(s, _held(s, 1) / c.energy, self._largest(s)) for s in spectra)
        least, all_of_it = held(smallest), held(1)
        if not all_of_it > least:
            return [1.0], [0.0]
        factors, steps = [], []
        for level in range(_LEVELS):
            energy = least + (all_of_it - least) * level / (_LEVELS - 1)
            mean = _bisect(held, energy, smallest) if level < _LEVELS - 1 else 1.0
            factors.append(mean)
            steps.append(c.until * math.log(energy / least) / math.log(all_of_it / least))
        return factors, steps

    def _largest(self, spectrum: Spectrum) -> float:
        return max(min(self.config.largest, min(spectrum.shape) / self.config.shortest), 1.0)

    def __call__(self, step: int) -> int:
        """The factor at a step; 1 from `until` on. Between levels the number of pixels grows linearly."""
        step = step // self.config.every * self.config.every
        if step >= self.config.until:
            return 1
        pixels = np.interp(step, self._steps, [1 / factor**2 for factor in self._factors])
        return max(math.floor(1 / math.sqrt(float(pixels)) + 1e-9), 1)


def _spectrum(image: Tensor) -> Spectrum:
    """[H, W] magnitudes of an image's frequencies, the constant one in the middle, averaged over colours."""
    planes = image.numpy().astype(np.float64) / 255
    return np.fft.fftshift(np.abs(np.fft.fft2(planes, axes=(0, 1))).mean(axis=-1))


def _held(spectrum: Spectrum, factor: float) -> float:
    """What an image shrunk by a factor still holds: the sum over the middle of the spectrum."""
    height, width = spectrum.shape
    rows, columns = max(round(height / factor), 1), max(round(width / factor), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return float(spectrum[top : top + rows, left : left + columns].sum())


def _factor_holding(spectrum: Spectrum, energy: float, largest: float) -> float:
    return _bisect(lambda factor: _held(spectrum, factor), energy, largest)


def _bisect(held: Callable[[float], float], energy: float, largest: float) -> float:
    """The factor in [1, largest] that holds an energy; what is held falls with the factor."""
    low, high = 1.0, largest
    if held(high) >= energy:
        return high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if held(middle) >= energy else (low, middle)
    return low
