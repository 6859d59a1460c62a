"""The f-theta camera by gsplat's names: polynomials in pixels, either of which may be meant."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from splats import intrinsics
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.compat.gsplat import FThetaCameraDistortionParameters, FThetaPolynomialType
from gsplat_core.compat.gsplat import rasterization as gsplats_rasterization

on_every_backend = pytest.mark.usefixtures("backend")
# r = 50 t + 2 t^2 - 4 t^3, and the angle of a distance, about.
TO_DISTANCE = (0.0, 50.0, 2.0, -4.0, 0.0, 0.0)
TO_ANGLE = (0.0, 0.02, -1e-5, 1e-6, 0.0, 0.0)


def coefficients(to_angle: bool, **changes: Any) -> FThetaCameraDistortionParameters:
    numbers: dict[str, Any] = {
        "reference_poly": FThetaPolynomialType(0 if to_angle else 1),
        "pixeldist_to_angle_poly": TO_ANGLE if to_angle else (0.0,) * 6,
        "angle_to_pixeldist_poly": (0.0,) * 6 if to_angle else TO_DISTANCE,
        "max_angle": 1.5,
        "linear_cde": (1.02, 0.03, -0.01),
    }
    return FThetaCameraDistortionParameters(**numbers | changes)


def distance_of(angle: float, to_angle: bool) -> float:
    """By gsplat's formula, or by bisection."""
    if not to_angle:
        return sum(k * angle**i for i, k in enumerate(TO_DISTANCE))
    low, high = 0.0, 200.0
    for _ in range(60):
        middle = (low + high) / 2
        small = sum(k * middle**i for i, k in enumerate(TO_ANGLE)) < angle
        low, high = (middle, high) if small else (low, middle)
    return low


def seen(points: Tensor, render: Any = rasterization, **options: Any) -> Any:
    n = len(points)
    _, _, meta = render(
        points, torch.tensor([[1.0, 0, 0, 0]]).expand(n, 4), torch.full((n, 3), 0.01), torch.full((n,), 0.9),
        torch.rand(n, 3), torch.eye(4)[None], intrinsics(1.0, 1.0, 150.0, 140.0)[None], 300, 280,
        camera_model="ftheta", packed=False, **options,
    )  # fmt: skip
    return meta


@on_every_backend
@pytest.mark.parametrize("render", [rasterization, gsplats_rasterization])
@pytest.mark.parametrize("to_angle", [False, True])
def test_points_appear_where_gsplat_has_them(to_angle: bool, render: Any) -> None:
    """Half a pixel further than `Ks` says: these cameras alone count from the centre of the first pixel."""
    angles, sides = [0.0, 0.2, 0.7, 1.1, 1.4], [0.0, 0.3, 2.0, 4.0, 5.5]
    points = torch.tensor(
        [
            [3 * math.sin(a) * math.cos(s), 3 * math.sin(a) * math.sin(s), 3 * math.cos(a)]
            for a, s in zip(angles, sides, strict=True)
        ]
    )
    meta = seen(points, render, ftheta_coeffs=coefficients(to_angle))
    assert (meta["radii"] > 0).all()
    torch.testing.assert_close(meta["depths"][0], torch.full((5,), 3.0))
    for pixel, angle, side in zip(meta["means2d"][0].tolist(), angles, sides, strict=True):
        r = distance_of(angle, to_angle)
        x, y = r * math.cos(side), r * math.sin(side)
        expected = [150.5 + 1.02 * x + 0.03 * y, 140.5 - 0.01 * x + y]
        assert pixel == pytest.approx(expected, abs=2e-3)


@on_every_backend
@pytest.mark.parametrize("to_angle", [False, True])
def test_nothing_is_seen_beyond_the_largest_angle(to_angle: bool) -> None:
    points = torch.tensor([[math.sin(a), 0.0, math.cos(a)] for a in (1.15, 1.25)])
    meta = seen(points, ftheta_coeffs=coefficients(to_angle, max_angle=1.2))
    assert (meta["radii"][0] > 0).all(-1).tolist() == [True, False]


@pytest.mark.parametrize("with_ut", [False, True])
@pytest.mark.parametrize("to_angle", [False, True])
def test_coefficients_have_gradients(to_angle: bool, with_ut: bool) -> None:
    name = "pixeldist_to_angle_poly" if to_angle else "angle_to_pixeldist_poly"
    poly = torch.tensor(TO_ANGLE if to_angle else TO_DISTANCE, requires_grad=True)
    linear = torch.tensor([1.02, 0.03, -0.01], requires_grad=True)
    points = torch.tensor([[0.9, 0.2, 1.5], [-0.5, 0.7, 0.9]])

    def loss(poly: Tensor, linear: Tensor) -> Tensor:
        given = coefficients(to_angle, **{name: poly, "linear_cde": linear})
        found: Tensor = seen(points, ftheta_coeffs=given, with_ut=with_ut)["means2d"]
        return found.square().sum()

    loss(poly, linear).backward()
    for leaf in (poly, linear):
        assert leaf.grad is not None
        for i in range(leaf.numel()):
            step = torch.zeros_like(leaf)
            step[i] = 0.01 if leaf is linear else 0.01 / 50**i if to_angle else 0.5
            ends = [
                loss(*(x.detach() + s * step if x is leaf else x.detach() for x in (poly, linear)))
                for s in (1, -1)
            ]
            difference = float(ends[0] - ends[1]) / (2 * float(step[i]))
            assert float(leaf.grad[i]) == pytest.approx(difference, rel=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"camera_model": "fisheye"}, "'ftheta_coeffs' is for the camera model 'ftheta'"),
        ({"lens": torch.zeros(1, 10)}, "'ftheta_coeffs' says again what 'lens' says"),
        ({"ftheta_coeffs": coefficients(False, linear_cde=(1.0, 0.0))}, "must have 3 numbers linear_cde"),
        (
            {"ftheta_coeffs": coefficients(False, angle_to_pixeldist_poly=(0.0,) * 5)},
            "must have 6 numbers angle_to_pixeldist_poly",
        ),
        ({"ftheta_coeffs": coefficients(True, pixeldist_to_angle_poly=(0.0,) * 6)}, "that rises at 0"),
        ({"ftheta_coeffs": coefficients(True, max_angle=0.0)}, "a positive max_angle"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    given = {
        "means": torch.zeros(1, 3), "quats": torch.ones(1, 4), "scales": torch.ones(1, 3),
        "opacities": torch.ones(1), "colors": torch.ones(1, 3), "viewmats": torch.eye(4)[None],
        "Ks": intrinsics(1.0, 1.0, 5.0, 5.0)[None], "width": 10, "height": 10, "camera_model": "ftheta",
        "ftheta_coeffs": coefficients(False),
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        rasterization(**given | options)
