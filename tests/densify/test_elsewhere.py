"""A wall with a pattern that several cameras see: each finds in the others what it has itself at a place."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gsplat_core.densify.elsewhere import points_shown, values_there
from gsplat_core.densify.two_views import project
from gsplat_core.densify.views import Lens

WALL = 5.0
SIZE = (24, 32)


def lens_at(x: float, angle: float, model: str = "pinhole") -> Lens:
    c, s = math.cos(angle), math.sin(angle)
    viewmat = torch.eye(4)
    viewmat[:3, :3] = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    viewmat[:3, 3] = -viewmat[:3, :3] @ torch.tensor([x, 0.2, 0.0])
    K = torch.tensor([[100.0, 0.0, 64.0], [0.0, 100.0, 48.0], [0.0, 0.0, 1.0]])
    return Lens(viewmat, K, 128, 96, model=model, coefficients=(0.0,) * (4 if model == "fisheye" else 0))


def seen(lens: Lens) -> tuple[Tensor, Tensor]:
    """Depths of the wall z = WALL, and what is written on it: x + 10 y."""
    one = points_shown(lens, torch.ones(SIZE))
    start = -lens.viewmat[:3, :3].T @ lens.viewmat[:3, 3]
    depths = (WALL - start[2]) / (one - start)[:, 2]
    points = start + depths[:, None] * (one - start)
    return depths.reshape(SIZE), (points[:, 0] + 10 * points[:, 1]).reshape(SIZE)


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_others_have_the_same_at_the_same_place(model: str) -> None:
    lenses = [lens_at(0.0, 0.0, model), lens_at(0.7, 0.1, model), lens_at(-1.0, -0.2, model)]
    depths, values = zip(*map(seen, lenses), strict=True)
    points = points_shown(lenses[0], depths[0])
    torch.testing.assert_close(points[:, 2], torch.full((24 * 32,), WALL))
    found = values_there(points, lenses[1:], values[1:], depths[1:], 0.05)
    known = ~found.isnan()
    assert known.float().mean() > 0.5
    # A cell of the other photograph is not as fine as a point.
    cell = 128 / 32 / 100 * WALL * 1.3
    assert (found - values[0].flatten())[known].abs().max() < cell * 11
    for row, lens in zip(known, lenses[1:], strict=True):
        pixels, _ = project(lens, points)
        outside = ~((pixels >= 0) & (pixels < torch.tensor([128.0, 96.0]))).all(dim=1)
        assert not bool((row & outside).any())


def test_what_hides_a_place_or_is_no_surface_says_nothing_of_it() -> None:
    lenses = [lens_at(0.0, 0.0), lens_at(0.3, 0.0)]
    (depths, _), (other, values) = map(seen, lenses)
    points = points_shown(lenses[0], depths)
    for hidden in (0.5 * other, torch.zeros_like(other)):
        assert bool(values_there(points, lenses[1:], [values], [hidden], 0.05).isnan().all())
