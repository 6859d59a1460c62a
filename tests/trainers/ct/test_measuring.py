"""PSNR and SSIM of volumes and projections."""

from __future__ import annotations

import math

import pytest
import torch

from trainers.ct.measuring import projection_metrics, psnr, to_unit, volume_metrics

VALUES = torch.rand(3, 12, 13, generator=torch.Generator().manual_seed(0))


def test_psnr_is_relative_to_the_peak() -> None:
    truth = torch.zeros(10)
    assert psnr(truth + 0.1, truth, 1.0) == pytest.approx(20)
    assert psnr(truth + 0.1, truth, 10.0) == pytest.approx(40)
    assert psnr(truth, truth, 1.0) == math.inf
    assert math.isnan(psnr(truth, truth, 0.0))


def test_volumes_are_compared_at_the_largest_density() -> None:
    truth = torch.rand(11, 12, 13, generator=torch.Generator().manual_seed(0))
    found = volume_metrics(5 * (truth + 0.01), 5 * truth)
    assert found["psnr_3d"] == pytest.approx(20 * math.log10(float(truth.max()) / 0.01), abs=1e-3)
    assert 0.9 < found["ssim_3d"] < 1
    assert volume_metrics(truth, truth)["ssim_3d"] == pytest.approx(1)


def test_each_projection_by_itself_hides_its_brightness() -> None:
    found = projection_metrics(2 * VALUES + 0.3, VALUES)
    assert found["psnr_2d"] < 10
    assert found["psnr_2d_minmax"] > 100
    assert found["ssim_2d_minmax"] == pytest.approx(1, abs=1e-5)
    assert float(to_unit(7 * VALUES - 3).amax()) == 1
    assert not to_unit(torch.ones(1, 3, 3)).any()


def test_the_peak_is_that_of_all_test_projections() -> None:
    truth = torch.stack([VALUES[0], 4 * VALUES[1]])
    found = projection_metrics(truth + 0.1, truth)
    assert found["psnr_2d"] == pytest.approx(20 * math.log10(float(truth.max()) / 0.1), abs=1e-3)
