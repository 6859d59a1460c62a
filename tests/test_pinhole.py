"""Cameras that the rasterizer would draw otherwise are refused, those within rounding are not."""

from __future__ import annotations

import math

import pytest
import torch

from gsplat_core.pinhole import check_cameras

K = [[50.0, 0.0, 20.0], [0.0, 60.0, 10.0], [0.0, 0.0, 1.0]]


def cameras(**changes: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Two cameras, of which the second has entries changed, such as `K01=1` or `pose33=2`."""
    viewmats, Ks = torch.eye(4).repeat(2, 1, 1), torch.tensor(K).repeat(2, 1, 1)
    for place, value in changes.items():
        matrix = Ks if place.startswith("K") else viewmats
        matrix[1, int(place[-2]), int(place[-1])] = value
    return viewmats, Ks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K00": 0.0}, "positive focal lengths"),
        ({"K11": -1.0}, "positive focal lengths"),
        ({"K01": 2e-4}, "no skew"),
        ({"K10": -2e-4}, "no skew"),
        ({"K02": math.nan}, "finite"),
        ({"K11": math.inf}, "finite"),
        ({"K20": 2e-6}, "last row"),
        ({"K21": -2e-6}, "last row"),
        ({"K22": 1.00001}, "last row"),
        ({"K22": 0.0}, "last row"),
        ({"pose30": 2e-6}, "last row"),
        ({"pose31": -2e-6}, "last row"),
        ({"pose32": 2e-6}, "last row"),
        ({"pose33": 0.99999}, "last row"),
        ({"pose03": math.nan}, "finite"),
    ],
)
def test_what_would_be_dropped_is_refused(change: dict[str, float], message: str) -> None:
    name = "Ks" if next(iter(change)).startswith("K") else "viewmats"
    with pytest.raises(ValueError, match=rf"argument '{name}' must .*{message}.*\(camera \[1\]\)"):
        check_cameras(*cameras(**change))


@pytest.mark.parametrize(
    "change", [{"K01": 4e-5}, {"K10": -4e-5}, {"K20": 5e-7}, {"pose30": -5e-7}, {"pose03": 1e6}]
)
def test_rounding_is_not(change: dict[str, float]) -> None:
    check_cameras(*cameras(**change))


@pytest.mark.parametrize(
    "change", [{"pose00": 1.02}, {"pose11": 0.9}, {"pose01": 0.02}, {"pose20": -0.02}, {"pose22": -1.1}]
)
def test_poses_that_scale_or_shear_are_refused_where_directions_matter(change: dict[str, float]) -> None:
    check_cameras(*cameras(**change))
    with pytest.raises(ValueError, match="must rotate without scaling"):
        check_cameras(*cameras(**change), rigid=True)


@pytest.mark.parametrize("change", [{"pose00": 1.004}, {"pose01": 0.009}, {"pose12": -0.009}])
def test_what_trained_poses_drift_is_not(change: dict[str, float]) -> None:
    check_cameras(*cameras(**change), rigid=True)
