"""The fisheye camera of csrc/math/camera near the axis, where its formulas are series, and at all angles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from formulas import Formulas
from numpy.typing import NDArray
from torch import Tensor

from gsplat_core.reference import Intrinsics
from gsplat_core.reference.cameras import fisheye

Array = NDArray[np.float64]
CAMERA = [80.0, 75.0, 50.0, 30.0, 0.05, -0.02, 0.004, -0.0005]
# Of the tangent of the angle: on the axis, very near to it, and on both sides of where the series end, 1/4.
NEAR = [0.0, 1e-20, 1e-6, 1e-3, 0.1, 0.2499, 0.2501, 0.5]


def linearized(formulas: Formulas, point: Array) -> tuple[Array, list[float]]:
    """The Jacobian [2, 3] with the pixel before it, [8], and the inputs of the formula."""
    x = [*point, *np.eye(3).ravel(), 0, 0, 0, *CAMERA]
    return np.array(formulas.value("linearize of fisheye", x)), x


def by_autograd(point: Array) -> Callable[[Array], tuple[Array, Array]]:
    """The same from the reference's pixel; and how a weighted sum of them changes with the point."""

    def pixel(p: Tensor) -> Tensor:
        lens = torch.tensor(CAMERA[4:], dtype=torch.float64)[None]
        found = fisheye(p[None], Intrinsics(*torch.tensor(CAMERA[:4], dtype=torch.float64), lens, 96, 64))
        return found[0]

    def weighted(v: Array) -> tuple[Array, Array]:
        p = torch.from_numpy(point).double().requires_grad_()
        rows = [torch.autograd.grad(pixel(p)[i], p, create_graph=True)[0] for i in (0, 1)]
        all_of_it = torch.cat([pixel(p), *rows])
        gradient = torch.autograd.grad((torch.from_numpy(v) * all_of_it).sum(), p)[0]
        return all_of_it.detach().numpy(), gradient.numpy()

    return weighted


def agree(formulas: Formulas, point: Array) -> None:
    v = np.random.default_rng(0).normal(size=8)
    expected, gradient = by_autograd(point)(v)
    found, x = linearized(formulas, point)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * abs(expected).max())
    vjp = np.array(formulas.vjp("linearize of fisheye", x, v))[:3]
    np.testing.assert_allclose(vjp, gradient, rtol=1e-7, atol=1e-7 * abs(gradient).max())


@pytest.mark.parametrize("depth", [0.02, 2.5, 1e3])
@pytest.mark.parametrize("tangent", NEAR)
def test_nothing_happens_near_the_axis(formulas: Formulas, tangent: float, depth: float) -> None:
    agree(formulas, depth * np.array([0.8 * tangent, -0.6 * tangent, 1.0]))


@pytest.mark.parametrize("angle", [30, 60, 89.999, 90, 90.001, 120, 150, 169])
def test_it_is_the_same_lens_at_all_angles(formulas: Formulas, angle: float) -> None:
    t = np.radians(angle)
    agree(formulas, 3.0 * np.array([0.6 * np.sin(t), 0.8 * np.sin(t), np.cos(t)]))


def test_on_the_axis_an_ideal_lens_is_a_pinhole_camera(formulas: Formulas) -> None:
    x = [0.0, 0.0, 4.0, *np.eye(3).ravel(), 0, 0, 0, *CAMERA[:4], 0, 0, 0, 0]
    found = formulas.value("linearize of fisheye", x)
    assert found == pytest.approx([50.0, 30.0, 20.0, 0, 0, 0, 18.75, 0], abs=1e-12)
