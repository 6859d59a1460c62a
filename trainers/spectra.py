"""How much of a photograph's spectrum is left when it is shrunk.

An image shrunk by a factor holds the frequencies in the middle of its spectrum, a box whose sides are the
image's divided by the factor. These boxes lie inside each other. So each frequency has one factor up to which
it is held, and all that can be asked about a photograph follows from one sum per such factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Reals = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.intp]


class Spectrum:
    """The sum of the frequencies that are held, as a function of the factor: steps that fall with it.

    Args:
        factors: [B], falling: where the function steps.
        energies: [B], at least 0: what is held up to each of them and no longer beyond it.
    """

    def __init__(self, factors: Reals, energies: Reals) -> None:
        self._factors = factors
        self._energies = energies
        self._held = energies.cumsum()

    @staticmethod
    def of(image: Tensor) -> Spectrum:
        """Of an image [H, W, 3] uint8: its frequencies' magnitudes, averaged over colours.

        Single precision: a sum of hundreds of thousands of magnitudes is within a millionth of the exact one.
        """
        height, width = image.shape[:2]
        rings = _rings(height, width)
        planes = image.permute(2, 0, 1).contiguous().float() / 255
        parts = torch.view_as_real(torch.fft.rfft2(planes))
        magnitudes = (parts[..., 0].square() + parts[..., 1].square()).sqrt_().mean(dim=0).numpy()
        num = len(rings.factors)
        energies = np.bincount(rings.own.ravel(), magnitudes.ravel(), num).astype(np.float64)
        mirrored = magnitudes[:, 1 : 1 + rings.mirrored.shape[1]]
        energies += np.bincount(rings.mirrored.ravel(), mirrored.ravel(), num)
        return Spectrum(rings.factors, energies)

    @staticmethod
    def mean(spectra: Sequence[Spectrum]) -> Spectrum:
        """What is held on average, of images of any sizes shrunk by the same factor."""
        factors = np.concatenate([spectrum._factors for spectrum in spectra])
        energies = np.concatenate([spectrum._energies for spectrum in spectra]) / len(spectra)
        falling = np.argsort(-factors, kind="stable")
        return Spectrum(factors[falling], energies[falling])

    def held(self, factor: float) -> float:
        """What an image shrunk by a factor still holds."""
        steps = int(np.searchsorted(-self._factors, -factor, side="right"))
        return float(self._held[steps - 1]) if steps else 0.0

    def factor_holding(self, energy: float, largest: float) -> float:
        """The largest factor in [1, largest] that holds an energy; 1 where none does."""
        step = int(np.searchsorted(self._held, energy))
        return min(float(self._factors[step]), largest) if step < len(self._factors) else 1.0


class _Rings(NamedTuple):
    """Which frequencies of an image of one size go at which factor.

    Attributes:
        factors: [B], falling.
        own: [H, W // 2 + 1] of the frequencies that `rfft2` computes, the numbers of their factors.
        mirrored: [H, (W - 1) // 2] of those that it does not compute, beside their twins from column 1 on.
    """

    factors: Reals
    own: Ranks
    mirrored: Ranks


@lru_cache(maxsize=8)  # photographs of one camera have one size
def _rings(height: int, width: int) -> _Rings:
    rows, columns = _last_factors(height), _last_factors(width)
    factors = np.unique(np.concatenate([rows, columns]))[::-1]
    row_ranks, column_ranks = (np.searchsorted(-factors, -last) for last in (rows, columns))
    opposite_rows = row_ranks[-np.arange(height)]
    opposite_columns = column_ranks[-np.arange(1, (width - 1) // 2 + 1)]
    return _Rings(
        factors,
        np.maximum.outer(row_ranks, column_ranks[: width // 2 + 1]),
        np.maximum.outer(opposite_rows, opposite_columns),
    )


def _last_factors(side: int) -> Reals:
    """[side] of each frequency along a side, in the order of an FFT: the largest factor that holds it.

    Of n frequencies, the constant one at n // 2, what is shrunk by f holds m = round(n / f) (halves up), from
    (n - m) // 2 on.
    """
    needed = np.empty(side)
    for count in range(side, 0, -1):
        start = (side - count) // 2
        needed[start : start + count] = count
    return np.fft.ifftshift(side / (needed - 0.5))
