"""gsplat_core/sequence/motion_field.py: where Gaussians go from frame to frame."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.sequence.motion_field import MotionField, MotionFieldConfig, _corners

SMALL = MotionFieldConfig(levels=4, features=2, table=512, coarsest=4, width=16)


def gaussians(num: int = 200) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(num, 3, generator=g), torch.randn(num, 4, generator=g)


def test_in_the_beginning_nothing_moves() -> None:
    means, quats = gaussians()
    moved, turned = MotionField(means, SMALL)(means, quats)
    assert torch.equal(moved, means)
    torch.testing.assert_close(turned, quats)


def test_corners_are_those_of_trilinear_interpolation() -> None:
    places = torch.rand(50, 3, generator=torch.Generator().manual_seed(1))
    places[0] = 1.0
    c = MotionFieldConfig(levels=1, table=4096, coarsest=4)
    rows, weights = _corners(places, c, 0)
    torch.testing.assert_close(weights.sum(1), torch.ones(50))
    # Of a linear function, interpolation is the function.
    axis = torch.arange(5) / 4.0
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    values = (2 * x - 3 * y + 5 * z).flatten()
    found = (values[rows] * weights).sum(1)
    torch.testing.assert_close(found, places @ torch.tensor([2.0, -3.0, 5.0]), atol=1e-5, rtol=1e-5)
    hashed, _ = _corners(places, MotionFieldConfig(levels=2, table=64, coarsest=16), 1)
    assert int(hashed.min()) >= 64
    assert int(hashed.max()) < 128
    assert len(hashed.unique()) > 50


def test_a_motion_of_a_part_is_found_and_what_is_outside_stays() -> None:
    """A half turns and moves; of what lies at the borders of the scene nothing is known."""
    means, quats = gaussians(150)
    half = torch.sigmoid(4 * means[:, :1])
    goal = means + half * torch.tensor([0.3, 0.0, -0.2])
    angle = torch.tensor(0.3)
    turn = torch.tensor([angle.cos(), 0.0, 0.0, angle.sin()])
    field = MotionField(means, SMALL)
    adam = torch.optim.Adam(field.parameters(), lr=0.02)
    inside = field.inside
    assert 0.5 < inside.double().mean() < 0.9
    turned_goal = rotation_matrices(turn) @ rotation_matrices(quats)
    right = inside & (means[:, 0] > 0.5)
    for _ in range(70):
        moved, turned = field(means, quats)
        loss = (moved - goal)[inside].square().mean()
        loss = loss + (rotation_matrices(turned) - turned_goal)[right].square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    moved, turned = field(means, quats)
    assert (moved - goal)[inside].square().mean() < 0.1 * (means - goal)[inside].square().mean()
    assert (rotation_matrices(turned) - turned_goal)[right].abs().max() < 0.15
    assert torch.equal(moved[~inside], means[~inside])
    assert torch.equal(turned[~inside], quats[~inside])


def test_units_do_not_matter_and_a_seed_decides() -> None:
    means, quats = gaussians()
    fields = [MotionField(scale * means, SMALL, seed) for scale, seed in ((1.0, 0), (8.0, 0), (1.0, 1))]
    with torch.no_grad():
        for field in fields:
            field.network[-1].weight.fill_(0.1)  # type: ignore[operator, union-attr]
    first, large, other = (
        field(scale * means, quats)[0] for scale, field in zip((1, 8, 1), fields, strict=True)
    )
    torch.testing.assert_close(large, 8 * first)
    assert not torch.equal(first, other)


def test_scenes_of_one_place_and_wrong_settings() -> None:
    means, quats = torch.zeros(3, 3), torch.ones(3, 4)
    assert MotionField(means, SMALL)(means, quats)[0].isfinite().all()
    with pytest.raises(ValueError, match="levels"):
        MotionFieldConfig(levels=0)
