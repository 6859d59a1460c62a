"""The normal equations of a pose: compared with differences of the float64 reference, with the reverse mode,
and used for what they are for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from splats import one_thread, random_scene
from torch import Tensor

from gsplat_core import reference, se3
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.poses import Exposure, PosePrior, linearize, normal_equations, pose_jacobian

DRAWN = random_scene(num=40, width=26, height=20)
SMALL = DRAWN.with_(scales=1.7 * DRAWN.tensors["scales"])


def gaussians() -> Gaussians:
    given = SMALL.tensors
    return Gaussians(
        means=given["means"],
        quats=given["quats"],
        scales=given["scales"].log(),
        opacities=torch.logit(given["opacities"]),
        sh0=given["colors"][:, :1],
        shN=given["colors"][:, 1:],
    )


CAMERA = Camera(
    SMALL.tensors["viewmats"][0].double().numpy(), SMALL.tensors["Ks"][0].double().numpy(), 26, 20
)
PHOTOGRAPH = torch.rand(20, 26, 3, generator=torch.Generator().manual_seed(1))


def reference_jacobian() -> tuple[Tensor, Tensor]:
    """The image [H, W, 3] and its derivative [H, W, 3, 6] by central differences, float64."""
    given = {name: value.double() for name, value in SMALL.tensors.items() if name != "backgrounds"}

    def image(twist: Tensor) -> Tensor:
        moved = se3.exp(twist) @ given["viewmats"]
        arguments = SMALL.arguments(given | {"viewmats": moved})
        return reference.rasterization(**arguments)[0][0]

    step = 1e-6
    with one_thread():
        ways = step * torch.eye(6, dtype=torch.float64)
        changes = [(image(way) - image(-way)) / (2 * step) for way in ways]
        return image(torch.zeros(6, dtype=torch.float64)), torch.stack(changes, dim=-1)


def test_jacobian_and_equations_are_those_of_the_reference() -> None:
    seen = pose_jacobian(gaussians(), CAMERA)
    image, jacobian = reference_jacobian()
    assert torch.allclose(seen.image.double(), image, atol=1e-5)
    difference = (seen.jacobian.double() - jacobian).norm() / jacobian.norm()
    assert difference < 1e-4
    counts = seen.alphas >= 0.5
    assert 0.2 < counts.float().mean() < 0.98
    J, r = jacobian[counts].reshape(-1, 6), (image - PHOTOGRAPH.double())[counts].reshape(-1)
    found = linearize(gaussians(), PHOTOGRAPH, CAMERA)
    assert found.cost == pytest.approx(float(r.square().sum()) / 2, rel=1e-5)
    assert torch.allclose(found.JtJ, J.T @ J, rtol=1e-4, atol=1e-4 * float((J.T @ J).abs().max()))
    assert torch.allclose(found.Jtr, J.T @ r, atol=1e-4 * float((J.T @ r).abs().max()))


@pytest.mark.parametrize("huber", [None, 0.15])
def test_their_gradient_is_that_of_the_reverse_mode(huber: float | None) -> None:
    scene, mask = gaussians(), torch.arange(26).expand(20, 26) < 17
    exposure = Exposure(0.8, 0.1)
    found = linearize(
        scene, PHOTOGRAPH, CAMERA, exposure=exposure, mask=mask, least_alpha=0.3, huber=huber,
        background=torch.tensor([[0.2, 0.4, 0.1]]),
    )  # fmt: skip
    twist = torch.zeros(6, requires_grad=True)
    still = Cameras.of(CAMERA, torch.device("cpu"))
    moved = replace(still, viewmats=se3.exp(twist) @ still.viewmats)
    rendered = render(scene, moved, background=torch.tensor([[0.2, 0.4, 0.1]]))
    counts = (rendered.alphas[0, ..., 0] >= 0.3) & mask
    residuals = (0.8 * rendered.colors[0] + 0.1 - PHOTOGRAPH)[counts]
    # With an endless delta, half the squares.
    delta = 1e3 if huber is None else huber
    cost = torch.nn.functional.huber_loss(residuals, torch.zeros_like(residuals), "sum", delta)
    cost.backward()
    assert found.cost == pytest.approx(float(cost), rel=1e-5)
    assert twist.grad is not None
    assert torch.allclose(found.Jtr.float(), twist.grad, rtol=1e-3, atol=1e-3 * float(twist.grad.abs().max()))


def test_photographs_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="image must be"):
        linearize(gaussians(), PHOTOGRAPH[:-1], CAMERA)


def test_what_is_known_before_is_a_cost() -> None:
    """Around any pose, the equations of a prior are the derivatives of its cost."""
    g = torch.Generator().manual_seed(3)
    root = torch.randn(6, 6, generator=g, dtype=torch.float64)
    mean = se3.exp(torch.randn(6, generator=g, dtype=torch.float64))
    prior = PosePrior(mean, root @ root.T)
    off = 0.7 * torch.randn(6, generator=g, dtype=torch.float64)
    assert prior.equations(mean).cost == pytest.approx(0)
    assert prior.equations(se3.exp(off) @ mean).cost == pytest.approx(
        float(off @ prior.information @ off) / 2
    )
    here = prior.equations(se3.exp(off) @ mean)
    for way in torch.eye(6, dtype=torch.float64) * 1e-5:
        there, back = (prior.equations(se3.exp(s * way) @ se3.exp(off) @ mean).cost for s in (1, -1))
        assert (there - back) / 2e-5 == pytest.approx(float(here.Jtr @ way) / 1e-5, rel=1e-5, abs=1e-6)


def test_equations_of_residuals_that_are_linear_solve_them() -> None:
    g = torch.Generator().manual_seed(4)
    J, truth = torch.randn(50, 6, generator=g), torch.randn(6, generator=g)
    found = normal_equations(J, J @ -truth)
    assert torch.allclose(torch.linalg.solve(found.JtJ, -found.Jtr).float(), truth, atol=1e-5)
