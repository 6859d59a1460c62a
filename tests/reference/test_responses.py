"""gsplat_core/reference/responses.py against closed forms, and what every response must be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gsplat_core.reference import RESPONSES

SAMPLED = [name for name, response in RESPONSES.items() if not response.integrates]


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


@pytest.mark.parametrize("response", SAMPLED)
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


def integral_of(xx: float, xy: float, yy: float, dx: Tensor, dy: Tensor) -> Tensor:
    """Of the analytic response at offsets [P], for these variances."""
    det = xx * yy - xy * xy
    conics = torch.tensor([[yy / det, -xy / det, xx / det]]).double()
    return RESPONSES["analytic"].seen(dx[None], dy[None], conics, conics.new_zeros(1, 0))[0]


@pytest.mark.parametrize(("variances", "error"), [((2.0, 0.3, 1.0), 7e-3), ((0.3, 0.1, 0.1), 0.02)])
def test_the_analytic_response_is_the_mean_over_the_pixel(
    variances: tuple[float, float, float], error: float
) -> None:
    """Nearly: the window is turned, and the sigmoid is not quite the normal distribution's function."""
    xx, xy, yy = variances
    covariance = torch.tensor([[xx, xy], [xy, yy]]).double()
    at = torch.linspace(-3, 3, 13).double()
    dx, dy = (t.flatten() for t in torch.meshgrid(at, 0.7 * at, indexing="ij"))
    at_pixel = torch.stack([dx, dy], dim=-1)
    steps = (torch.arange(40).double() + 0.5) / 40 - 0.5
    sx, sy = (t.flatten() for t in torch.meshgrid(steps, steps, indexing="ij"))
    points = torch.stack([dx[:, None] + sx, dy[:, None] + sy], dim=-1)
    q = torch.einsum("...i,ij,...j", points, covariance.inverse(), points)
    expected = torch.exp(-q / 2).mean(dim=1)
    found = integral_of(xx, xy, yy, dx, dy)
    assert (found - expected).abs().max() < error
    at_centre = torch.exp(-0.5 * torch.einsum("pi,ij,pj->p", at_pixel, covariance.inverse(), at_pixel))
    assert (at_centre - expected).abs().max() > 5 * error


def test_the_analytic_response_of_small_and_large_splats() -> None:
    """All of what is inside a pixel is in it, and a large splat is what it is at the centre."""
    centre = torch.zeros(1).double()
    assert integral_of(1e-3, 0, 4e-4, centre, centre).item() == pytest.approx(2 * math.pi * math.sqrt(4e-7))
    assert integral_of(1e6, 0, 1e6, centre, centre).item() == pytest.approx(1.00531, rel=1e-4)
    bound = RESPONSES["analytic"].reach(torch.ones(1).double(), torch.zeros(1, 0).double()).item()
    beyond = torch.tensor([1e3 * bound]).double()
    assert integral_of(1e6, 0, 1e6, beyond, 0 * beyond).item() < 1 / 255
