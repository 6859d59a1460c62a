"""The exponential map of SE(3): rigid, undone by its logarithm, and differentiable where one begins."""

from __future__ import annotations

import pytest
import torch

from gsplat_core import se3

TWISTS = torch.tensor(
    [
        [0.0, 0, 0, 0, 0, 0],
        [0.0, 0, 0, 1, -2, 3],
        [1e-5, -2e-5, 1e-5, 0.1, 0, 0],
        [1e-3, 1e-3, -1e-3, 0.3, -0.2, 0.1],
        [0.4, -0.7, 0.2, 1, 2, 3],
        [2.0, 1.5, -1.6, -1, 0.5, 0.2],
        [0.0, 0.0, 3.1415, 0.3, 0.2, -0.1],
    ],
    dtype=torch.float64,
)


def test_motions_are_rigid():
    motions = se3.exp(TWISTS)
    rotations = motions[:, :3, :3]
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).double().expand(7, 3, 3))
    assert bool((torch.linalg.det(rotations) > 0).all())
    assert bool((motions[:, 3] == torch.tensor([0.0, 0, 0, 1])).all())


def test_a_turn_about_an_axis_is_as_ever():
    quarter = se3.exp(torch.tensor([0.0, 0, torch.pi / 2, 0, 0, 0]))
    turned = quarter @ torch.tensor([1.0, 0, 0, 1])
    torch.testing.assert_close(turned, torch.tensor([0.0, 1, 0, 1]), atol=1e-6, rtol=0)


def test_the_same_twist_twice_is_the_double_twist():
    once = se3.exp(TWISTS)
    torch.testing.assert_close(once @ once, se3.exp(2 * TWISTS))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_log_undoes_exp(dtype, tolerance):
    motions = se3.exp(TWISTS.to(dtype))
    torch.testing.assert_close(se3.log(motions).double(), TWISTS, atol=tolerance, rtol=tolerance)


def test_hat_is_the_cross_product():
    first, second = TWISTS[4:, :3], TWISTS[4:, 3:]
    torch.testing.assert_close(
        (se3.hat(first) @ second[..., None])[..., 0], torch.linalg.cross(first, second)
    )


def test_derivatives_also_where_one_begins():
    twists = TWISTS[:6].clone().requires_grad_()
    assert torch.autograd.gradcheck(se3.exp, twists, check_forward_ad=True)
    # About motions, not matrices: what no twist reaches is not asked for.
    assert torch.autograd.gradcheck(
        lambda t: se3.log(se3.exp(t) @ se3.exp(TWISTS[:6])), twists * 0, check_forward_ad=True
    )


def test_a_turn_in_its_own_frame_leaves_a_camera_where_it_is():
    viewmat = se3.exp(TWISTS[4])
    turned = se3.exp(torch.tensor([0.3, -0.2, 0.5, 0, 0, 0], dtype=torch.float64)) @ viewmat
    torch.testing.assert_close(torch.linalg.inv(turned)[:3, 3], torch.linalg.inv(viewmat)[:3, 3])
