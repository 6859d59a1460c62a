"""How far a step may go."""

from __future__ import annotations

import torch
from second_order.scenes import random_vector, scene
from splats import covariances

from gsplat_core.second_order.reach import Reach


def test_the_reach_shortens_long_steps_only() -> None:
    gaussians, _ = scene(num=20)
    reach, small, long = Reach(), random_vector(gaussians), random_vector(gaussians)
    small = {name: 1e-3 * gaussians.scales.exp().min() * value for name, value in small.items()}
    long = {name: 100 * value for name, value in long.items()}
    limited = {name: value.clone() for name, value in small.items()}
    reach.limit_(gaussians, limited)
    for name, value in limited.items():
        assert torch.equal(value, small[name])
    limited = {name: value.clone() for name, value in long.items()}
    reach.limit_(gaussians, limited)
    for name, value in limited.items():
        assert (value.norm() < long[name].norm()).all()
    assert torch.allclose(limited["scales"].norm(dim=1), torch.tensor(reach.scales))
    assert torch.allclose(limited["opacities"].abs(), torch.tensor(reach.opacities))
    # Along the shift, in the units of the Gaussian's covariance.
    inverse = covariances(gaussians.quats, gaussians.scales.exp()).double().inverse()
    shift = limited["means"].double()
    length = torch.einsum("ni,nij,nj->n", shift, inverse, shift).sqrt()
    assert torch.allclose(length, torch.full_like(length, reach.means), rtol=1e-3)


def test_a_quaternion_of_zeros_may_not_make_steps_infinite() -> None:
    gaussians, _ = scene(num=3)
    gaussians.quats.data[0] = 0
    step = {name: torch.zeros_like(value) for name, value in random_vector(gaussians).items()}
    step["quats"][1, 0] = 1e-3
    before = step["quats"].clone()
    Reach().limit_(gaussians, step)
    assert torch.equal(step["quats"], before)
