"""The radius of older rasterizers from the covariance that a root of the conic stands for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gsplat_core.compat.radii import square_radii


def root_of_conic(covariance: np.ndarray) -> torch.Tensor:
    """[3] l11, l21, l22 of the upper triangular U with S^-1 = U^T U."""
    upper = np.linalg.cholesky(np.linalg.inv(covariance)).T
    return torch.tensor([upper[0, 0], upper[0, 1], upper[1, 1]])


@pytest.mark.parametrize("seed", range(5))
def test_three_standard_deviations_of_the_longer_axis_rounded_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angle, long, short = rng.uniform(0, np.pi), rng.uniform(3, 30), rng.uniform(0.6, 2.5)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = turn @ np.diag([long**2, short**2]) @ turn.T
    upper = root_of_conic(covariance).numpy()
    u = np.array([[upper[0], upper[1]], [0, upper[2]]])
    np.testing.assert_allclose(np.linalg.inv(u.T @ u), covariance, rtol=1e-9)
    radii = square_radii(root_of_conic(covariance)[None], torch.tensor([[5, 4]], dtype=torch.int32))
    assert radii.dtype == torch.int32
    assert radii.item() == math.ceil(3 * long)


def test_round_splats_count_as_a_little_larger() -> None:
    """As there: the difference of the variances from their mean is taken as at least sqrt(0.1)."""
    root = root_of_conic(np.eye(2) * 4.0)
    radius = square_radii(root[None], torch.ones(1, 2, dtype=torch.int32))
    assert radius.item() == math.ceil(3 * math.sqrt(4 + math.sqrt(0.1)))
    assert radius.item() > 6


def test_what_is_culled_has_none() -> None:
    shapes = torch.tensor([0.5, 0.1, 0.4]).repeat(3, 1)
    radii = torch.tensor([[3, 3], [0, 3], [0, 0]], dtype=torch.int32)
    assert square_radii(shapes, radii)[1:].tolist() == [0, 0]
    assert square_radii(shapes, radii)[0] > 0
