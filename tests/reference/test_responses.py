"""gsplat_core/reference/responses.py against closed forms, and what every response must be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gsplat_core.reference import RESPONSES


def usual(response: str, count: int) -> Tensor:
    """Extras [count, E] from the lower ends of the usual ranges to their upper ends."""
    ranges = torch.tensor(RESPONSES[response].extras).double().reshape(-1, 2)
    at = torch.linspace(0, 1, count).double()[:, None]
    return ranges[:, 0] + at * (ranges[:, 1] - ranges[:, 0])


@pytest.mark.parametrize("response", RESPONSES)
def test_a_response_is_one_at_the_centre_and_falls_from_there(response: str) -> None:
    q = torch.linspace(0, 20, 200).double().expand(5, -1)
    values = RESPONSES[response].at(q, usual(response, 5))
    assert torch.equal(values[:, 0], torch.ones(5).double())
    assert (values.diff(dim=1) <= 0).all()
    assert (values[:, -1] < 0.1).all()


@pytest.mark.parametrize("response", RESPONSES)
def test_derivatives_agree_with_finite_differences(response: str) -> None:
    q = torch.linspace(0.1, 9, 12).double().expand(4, -1).clone().requires_grad_()
    extras = usual(response, 4).requires_grad_()
    assert torch.autograd.gradcheck(RESPONSES[response].at, (q, extras))


@pytest.mark.parametrize("response", RESPONSES)
def test_derivatives_at_the_centre_are_finite(response: str) -> None:
    q, extras = torch.zeros(4, 1).double().requires_grad_(), usual(response, 4).requires_grad_()
    RESPONSES[response].at(q, extras).sum().backward()
    for leaf in (q, extras):
        assert leaf.grad is None or leaf.grad.isfinite().all()


@pytest.mark.parametrize("response", RESPONSES)
def test_a_splat_fades_to_the_threshold_at_its_reach(response: str) -> None:
    opacities, extras = torch.linspace(0.01, 1, 7).double(), usual(response, 7)
    reach = RESPONSES[response].reach(opacities, extras)
    faded = opacities * RESPONSES[response].at(reach[:, None] ** 2, extras)[:, 0]
    assert torch.allclose(faded, torch.full((7,), 1 / 255).double(), rtol=1e-10)
    assert not RESPONSES[response].reach(opacities / 255, extras).any()


def test_the_reach_of_a_gaussian() -> None:
    opacities = torch.tensor([0.1, 0.8]).double()
    reach = RESPONSES["gaussian"].reach(opacities, opacities.new_zeros(2, 0)).tolist()
    assert reach == pytest.approx([math.sqrt(2 * math.log(255 * 0.1)), math.sqrt(2 * math.log(255 * 0.8))])


def test_a_generalized_exponential_is_the_gaussian_and_the_laplacian_among_others() -> None:
    q = torch.linspace(0, 9, 50).double().expand(2, -1)
    values = RESPONSES["generalized"].at(q, torch.tensor([[2.0], [1.0]]).double())
    assert torch.allclose(values[0], RESPONSES["gaussian"].at(q[:1], q.new_zeros(1, 0))[0])
    assert torch.allclose(values[1], torch.exp(-q[1].sqrt() / math.sqrt(2)))
