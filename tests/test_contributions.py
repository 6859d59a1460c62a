"""gsplat_core/contributions.py: what the forward pass measures is what the backward pass sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from splats import intrinsics, look_at, random_scene
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.contributions import Contributions, contributions
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians


def ball(num: int = 200) -> Gaussians:
    t = random_scene(num, sh_degree=1).tensors
    return Gaussians(
        means=t["means"],
        quats=t["quats"],
        scales=t["scales"].log(),
        opacities=t["opacities"].logit(),
        sh0=t["colors"][:, :1],
        shN=t["colors"][:, 1:],
    )


def camera(x: float, width: int, height: int) -> Camera:
    K = intrinsics(60, 60, width / 2, height / 2)
    return Camera(look_at((x, -0.5, -4.0)).double().numpy(), K.double().numpy(), width, height)


VIEWS = [camera(0.0, 70, 50), camera(1.0, 70, 50), camera(-2.0, 33, 90)]


def of_the_backward_pass(scene: Gaussians, view: Camera) -> tuple[Tensor, Tensor]:
    """Sums of weights and numbers of pixels, each [N]."""
    matrices = (torch.from_numpy(np.stack([matrix])).float() for matrix in (view.viewmat, view.K))
    colors, _, meta = rasterization(
        **scene.activated(), viewmats=next(matrices), Ks=next(matrices), width=view.width,
        height=view.height, sh_degree=1, statistics=True,
    )  # fmt: skip
    colors.sum().backward()
    _, weights, pixels = meta["statistics"].grad[0].unbind(-1)
    return weights, pixels


@pytest.mark.usefixtures("kernels")
def test_sums_over_views_are_those_of_the_backward_pass() -> None:
    scene = ball()
    measured = contributions(scene, VIEWS)
    weights, pixels = (
        torch.stack(x) for x in zip(*(of_the_backward_pass(scene, v) for v in VIEWS), strict=True)
    )
    assert torch.allclose(measured.weights, weights.double().sum(0), rtol=1e-5)
    assert torch.allclose(measured.largest_weights_of_a_view, weights.amax(0), rtol=1e-5)
    assert torch.equal(measured.pixels, pixels.long().sum(0))
    assert torch.equal(measured.views, (pixels > 0).sum(0))
    assert 0 < measured.views.count_nonzero() < scene.num * len(VIEWS)


@pytest.mark.usefixtures("kernels")
def test_the_largest_weight_is_that_of_the_only_gaussian_at_its_centre() -> None:
    scene = ball(1)
    scene.means.zero_()
    view = camera(0.0, 71, 51)
    x, y, depth = view.K @ view.viewmat[:3, 3]
    K = view.K.copy()
    K[:2, 2] += (35.5 - x / depth, 25.5 - y / depth)  # onto the centre of the middle pixel
    measured = contributions(scene, [Camera(view.viewmat, K, 71, 51)])
    assert torch.allclose(measured.largest_weight, scene.opacities.sigmoid(), rtol=1e-5)


@pytest.mark.usefixtures("backend")
def test_weights_do_not_exceed_the_largest_in_every_pixel() -> None:
    measured = contributions(ball(), VIEWS)
    seen = measured.views > 0
    assert (measured.weights <= measured.largest_weight * measured.pixels * (1 + 1e-5)).all()
    assert (measured.largest_weight[seen] > 1e-4 / 255).all()
    for name in vars(measured):
        assert not getattr(measured, name)[~seen].any()


@pytest.mark.usefixtures("backend")
def test_what_an_opaque_wall_hides_does_not_contribute() -> None:
    scene = ball(50)
    scene.means.mul_(0.3)
    wall = ball(1)
    wall.means.copy_(torch.tensor([[0.0, -0.4, -3.0]]))
    wall.scales.fill_(3.0)
    wall.opacities.fill_(20.0)
    measured = contributions(Gaussians.merge([wall, wall, wall, scene]), VIEWS[:1])
    assert not measured.weights[3:].any()
    assert contributions(scene, VIEWS[:1]).weights.any()


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("views", [[], VIEWS[:1]])
def test_nothing_contributes_where_nothing_is(views: list[Camera]) -> None:
    scene = ball(5)
    scene.means.add_(1000.0)
    for measured in (contributions(scene, views), contributions(scene.subset(torch.zeros(5).bool()), views)):
        assert isinstance(measured, Contributions)
        assert not measured.weights.any()
        assert not measured.views.any()


def test_the_same_bytes_for_any_number_of_threads() -> None:
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(contributions(ball(), VIEWS))
    torch.set_num_threads(before)
    for name in vars(results[0]):
        assert torch.equal(getattr(results[0], name), getattr(results[1], name))
        assert torch.equal(getattr(results[0], name), getattr(results[2], name))
