"""Gradients and curvatures of the losses as functions of an image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.losses import l1_dssim
from gsplat_core.second_order.objective import L1DSSIM, HuberSSIM, of_kept
from gsplat_core.ssim import WINDOW, ssim_statistics


def images(height: int = 20, width: int = 17) -> tuple[Tensor, Tensor]:
    """A rendering and a photograph that it resembles."""
    g = torch.Generator().manual_seed(0)
    smooth = torch.rand(3, 4, 4, generator=g)
    truth = torch.nn.functional.interpolate(smooth[None], (height, width), mode="bicubic")[0].permute(1, 2, 0)
    image = 0.9 * truth + 0.03 + 0.05 * torch.randn(truth.shape, generator=g)
    return image.contiguous(), truth.clamp(0, 1).contiguous()


OBJECTIVES = {"l1_dssim": L1DSSIM(), "huber_ssim": HuberSSIM(), "ssim alone": L1DSSIM(lambda_dssim=1.0)}


@pytest.fixture(params=OBJECTIVES)
def objective(request: pytest.FixtureRequest):
    return OBJECTIVES[request.param]


def test_the_model_starts_at_the_loss(objective) -> None:
    image, truth = images()
    assert objective.model(image, truth).loss == pytest.approx(objective.loss(image, truth), rel=1e-6)


def test_photographs_may_be_bytes(objective) -> None:
    image, truth = images()
    pixels = (truth * 255).round().byte()
    assert objective.loss(image, pixels) == pytest.approx(objective.loss(image, pixels / 255), rel=1e-6)
    a, b = (objective.model(image, t) for t in (pixels, pixels / 255))
    assert torch.allclose(a.gradient, b.gradient, rtol=1e-4, atol=1e-9)


def test_curvature_is_symmetric_and_positive_with_the_diagonal_it_says(objective) -> None:
    image, truth = images()
    model = objective.model(image, truth)
    v, w = torch.randn(2, *image.shape, generator=torch.Generator().manual_seed(1))
    hv, hw = model.curvature(v), model.curvature(w)
    assert (v * hv).sum() > 0
    assert (w * hv).sum() == pytest.approx(float((v * hw).sum()), rel=1e-3)
    for place in [(0, 0, 0), (10, 8, 1), (19, 3, 2)]:
        unit = torch.zeros_like(image)
        unit[place] = 1
        assert model.curvature(unit)[place] == pytest.approx(float(model.diagonal[place]), rel=1e-3)
    constant = torch.ones_like(image)
    assert (constant * model.curvature(constant)).sum() > 0


def test_curvature_of_ssim_is_that_of_its_two_factors_with_the_other_held() -> None:
    """1 - SSIM = 1 - (1 - m^2/A) (1 - V/B), twice differentiated by the error with A, B and the
    other factor held."""
    image, truth = (tensor.double() for tensor in images())
    statistics = ssim_statistics(image, truth)
    window = torch.tensor(WINDOW, dtype=torch.float64)

    def local_mean(of: Tensor) -> Tensor:
        planes = of.permute(2, 0, 1)[:, None]
        return torch.nn.functional.conv2d(planes, torch.outer(window, window)[None, None], padding=5)[
            :, 0
        ].permute(1, 2, 0)

    def factors(error: Tensor) -> tuple[Tensor, Tensor]:
        mean = local_mean(error)
        variance = local_mean(error * error) - mean * mean
        return 1 - mean * mean / statistics.a, 1 - variance / statistics.b

    error = (image - truth).requires_grad_()
    of_mean, of_variance = factors(error)
    loss = -(of_mean * of_variance.detach() + of_mean.detach() * of_variance).mean()
    v = torch.randn(image.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(loss, error, create_graph=True)
    (expected,) = torch.autograd.grad(gradient, error, v)
    model = L1DSSIM(lambda_dssim=1.0).model(image.float(), truth.float())
    assert torch.allclose(
        model.curvature(v.float()).double(), expected, rtol=1e-3, atol=1e-3 * float(expected.std())
    )
    assert bool((of_mean > 0).all())
    assert bool((of_variance > 0).all())


def test_what_is_masked_out_is_not_there(objective) -> None:
    image, truth = images()
    mask = torch.zeros(truth.shape[:2], dtype=torch.bool)
    mask[:, :9] = True
    masked, truth = of_kept(objective, mask), truth * mask[..., None]
    model = masked.model(image, truth)
    assert masked.loss(image, truth) == pytest.approx(
        objective.loss(image * mask[..., None], truth), rel=1e-6
    )
    assert masked.gradient(image, truth)[0] == pytest.approx(model.loss, rel=1e-6)
    for of_image in (model.gradient, model.diagonal, model.curvature(torch.ones_like(image))):
        assert bool((of_image[~mask] == 0).all())
        assert bool((of_image[mask] != 0).any())
    other = torch.where(mask[..., None], image, 1 - image)
    assert torch.equal(masked.model(other, truth).gradient, model.gradient)
    v, w = torch.randn(2, *image.shape, generator=torch.Generator().manual_seed(1))
    swapped = float((v * model.curvature(w)).sum())
    assert float((w * model.curvature(v)).sum()) == pytest.approx(swapped, rel=1e-3)
    assert of_kept(objective, None) is objective


def test_a_step_of_the_model_lowers_the_loss_about_as_predicted(objective) -> None:
    image, truth = images()
    model = objective.model(image, truth)
    step = -0.3 * model.gradient / model.diagonal
    predicted = -((model.gradient * step).sum() + 0.5 * (step * model.curvature(step)).sum())
    gain = (model.loss - objective.loss(image + step, truth)) / float(predicted)
    assert predicted > 0
    assert gain > 0.4
    if isinstance(objective, L1DSSIM):  # the other one sees a fifteenth of the gradient of SSIM
        assert gain < 1.6


def test_l1_dssim_is_the_loss_that_adam_minimises() -> None:
    image, truth = images()
    leaf = image.clone().requires_grad_()
    loss = l1_dssim(leaf, truth, 0.2)
    loss.backward()
    model = L1DSSIM(0.2).model(image, truth)
    assert model.loss == float(loss.detach())
    assert torch.equal(model.gradient, leaf.grad)


def test_huber_has_its_gradient() -> None:
    image, truth = images()
    leaf = image.clone().requires_grad_()
    torch.nn.functional.huber_loss(leaf, truth, delta=0.1).backward()
    model = HuberSSIM(threshold=0.1, weight=0.0).model(image, truth)
    assert torch.allclose(model.gradient, leaf.grad)


def test_nothing_blows_up_where_the_images_are_equal(objective) -> None:
    _, truth = images()
    model = objective.model(truth, truth)
    assert model.loss == pytest.approx(0, abs=1e-6)
    for tensor in (model.gradient, model.diagonal, model.curvature(truth)):
        assert tensor.isfinite().all()
    assert model.gradient.abs().max() < 1e-3 / truth.numel() ** 0.5


def test_curvature_of_huber_is_that_of_its_squared_root() -> None:
    """Of h = r^2 without the second derivative of r: 2 r'^2, where r = sqrt(h)."""
    image = torch.tensor([0.01, 0.05, 0.0999, 0.1001, 0.2, 1.0, -0.3, -0.02]).reshape(2, 4, 1).repeat(1, 1, 3)
    truth = torch.zeros_like(image)
    model = HuberSSIM(threshold=0.1, weight=0.0).model(image, truth)
    error = image.double().requires_grad_()
    huber = torch.nn.functional.huber_loss(error, truth.double(), delta=0.1, reduction="none")
    (slope,) = torch.autograd.grad(huber.sqrt().sum(), error)
    torch.testing.assert_close(model.diagonal.double() * image.numel(), 2 * slope**2, rtol=1e-5, atol=0)
    torch.testing.assert_close(model.curvature(image), model.diagonal * image)


def test_curvature_of_the_rest_is_that_of_its_squared_root_by_the_central_pixel() -> None:
    image, truth = images()
    weight = 0.25
    with_ssim, without = (HuberSSIM(weight=w).model(image, truth).diagonal for w in (weight, 0.0))
    statistics = ssim_statistics(image, truth)
    rest = weight * (1 - statistics.ssim)
    slope = -weight * statistics.by_centre(image, truth) / (2 * rest.sqrt())
    torch.testing.assert_close((with_ssim - without) * image.numel(), 2 * slope**2, rtol=1e-3, atol=1e-5)
    of_loss = HuberSSIM(weight=weight).loss(image, truth) - HuberSSIM(weight=0.0).loss(image, truth)
    assert of_loss == pytest.approx(float(rest.mean()), rel=1e-4)
