"""Where steps may lead."""

from __future__ import annotations

import math

import torch
from second_order.scenes import random_vector, scene

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.visible_range import (
    LARGEST,
    LEAST_LOGIT,
    MOST_LOGIT,
    SMALLEST,
    VisibleRange,
)


def viewmat(center: list[float]) -> torch.Tensor:
    """Of a camera there that is turned by a quarter about the vertical."""
    rotation = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    matrix = torch.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ torch.tensor(center)
    return matrix[None]


def test_cameras_have_a_middle_and_a_radius() -> None:
    found = VisibleRange.of(viewmat(center) for center in ([1.0, 0, 0], [3.0, 0, 4.0], [5.0, 6, 2]))
    assert found.center == (3.0, 2.0, 2.0)
    assert math.isclose(found.radius, math.sqrt(4 + 16), rel_tol=1e-6)


def after(gaussians: Gaussians, step: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value + step[name] for name, value in gaussians.params.items()}


def test_steps_inside_stay_as_they_are() -> None:
    gaussians, _ = scene(num=20)
    step = random_vector(gaussians)
    limited = {name: value.clone() for name, value in step.items()}
    VisibleRange((0.0, 0.0, 0.0), 5.0).limit_(gaussians, limited)
    for name, value in step.items():
        assert torch.equal(limited[name], value)


def test_steps_beyond_end_at_the_bounds() -> None:
    gaussians, _ = scene(num=20)
    reached = VisibleRange((0.0, 0.0, 0.0), 5.0)
    for sign, share, logit in ((1, LARGEST, MOST_LOGIT), (-1, SMALLEST, LEAST_LOGIT)):
        step = {name: torch.zeros_like(value) for name, value in gaussians.params.items()}
        step["scales"] += sign * 100
        step["opacities"] += sign * 100
        reached.limit_(gaussians, step)
        distances = gaussians.means.norm(dim=1, keepdim=True) + 5.0
        end = after(gaussians, step)
        assert torch.allclose(end["scales"].exp(), share * distances.expand(-1, 3), rtol=1e-4)
        assert torch.allclose(end["opacities"], torch.full_like(end["opacities"], logit))


def test_what_is_outside_may_come_back_and_goes_no_farther() -> None:
    gaussians, _ = scene(num=20)
    gaussians.scales[:10] = 30.0
    gaussians.opacities[:10] = 12.0
    for sign in (1, -1):
        step = {name: torch.zeros_like(value) for name, value in gaussians.params.items()}
        step["scales"][:10] = step["opacities"][:10] = sign * 0.25
        VisibleRange((0.0, 0.0, 0.0), 1.0).limit_(gaussians, step)
        expected = 0.0 if sign > 0 else -0.25
        assert torch.equal(step["scales"][:10], torch.full_like(step["scales"][:10], expected))
        assert torch.equal(step["opacities"][:10], torch.full_like(step["opacities"][:10], expected))
