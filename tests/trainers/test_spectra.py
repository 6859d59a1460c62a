"""What shrunk photographs hold of their spectra, against its definition, a sum over the middle of an FFT."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from trainers.spectra import Spectrum

FACTORS = [1.0, 1.01, 1.3, 2.02, 3.7, 8.01, 30.1]  # no side halves: Python rounds these to even


def photograph(height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8))


def defined(image: torch.Tensor, factor: float) -> float:
    planes = image.numpy().astype(np.float64) / 255
    magnitudes = np.fft.fftshift(np.abs(np.fft.fft2(planes, axes=(0, 1))).mean(axis=-1))
    height, width = magnitudes.shape
    rows, columns = max(round(height / factor), 1), max(round(width / factor), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return float(magnitudes[top : top + rows, left : left + columns].sum())


@pytest.mark.parametrize("size", [(32, 48), (33, 48), (32, 47), (29, 31), (2, 2), (1, 5), (5, 1)])
def test_what_is_held_is_the_middle_of_the_spectrum(size: tuple[int, int]) -> None:
    image = photograph(*size)
    spectrum = Spectrum.of(image)
    for factor in [*FACTORS, *default_rng(0).uniform(1, 9, 40)]:
        if factor < min(size):
            assert spectrum.held(factor) == pytest.approx(defined(image, factor), rel=1e-6)


def test_the_largest_factor_is_found_that_holds_an_energy() -> None:
    spectrum = Spectrum.of(photograph(40, 30))
    for share in (0.1, 0.25, 0.7, 0.99):
        energy = share * spectrum.held(1)
        factor = spectrum.factor_holding(energy, 20.0)
        assert spectrum.held(factor) >= energy > spectrum.held(factor * (1 + 1e-9))
        assert spectrum.factor_holding(energy, 1.05) == min(factor, 1.05)
    assert spectrum.factor_holding(spectrum.held(1), 20.0) >= 1
    assert spectrum.factor_holding(2 * spectrum.held(1), 20.0) == 1


def test_a_black_photograph_may_be_as_small_as_one_likes() -> None:
    assert Spectrum.of(torch.zeros(20, 30, 3, dtype=torch.uint8)).factor_holding(0.0, 5.0) == 5


def test_the_mean_is_that_of_photographs_of_any_sizes() -> None:
    spectra = [Spectrum.of(photograph(*size)) for size in ((20, 30), (31, 17), (20, 30))]
    for factor in FACTORS[:-1]:
        each = [spectrum.held(factor) for spectrum in spectra]
        assert Spectrum.mean(spectra).held(factor) == pytest.approx(np.mean(each), rel=1e-12)
