"""Fisheye lenses and OpenCV's distortion: what they see, where it appears, and what they do not see."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from splats import SCENES, adapted, assert_parity, extremes, intrinsics, random_scene, render_with_gradients
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.render.variants import CAMERAS

on_every_backend = pytest.mark.usefixtures("backend")
LENSES = ["fisheye", "opencv"]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("camera", LENSES)
def test_parity_in_strange_scenes(camera: str, scene: str) -> None:
    assert_parity(rasterization, adapted(SCENES[scene](), camera), 1.0, camera_model=camera)


@on_every_backend
@pytest.mark.parametrize("scene", ["random_scene", "around_the_camera", "huge"])
def test_opencv_without_coefficients_is_the_pinhole_camera(scene: str) -> None:
    given = SCENES[scene]()
    expected = render_with_gradients(rasterization, given)
    bent = given.with_(lens=torch.zeros(1, CAMERAS["opencv"]))
    found = render_with_gradients(rasterization, bent, camera_model="opencv")
    torch.testing.assert_close(found.colors, expected.colors, atol=2e-5, rtol=1e-5)
    for name, gradient in expected.gradients.items():
        size = float(gradient.abs().max())
        torch.testing.assert_close(found.gradients[name], gradient, atol=1e-4 * size, rtol=1e-3)


def seen(points: list[list[float]], camera: str, lens: list[float], focal: float = 40.0) -> dict[str, Tensor]:
    """What becomes of small Gaussians at points in camera space, in an image of 300 x 300."""
    means = torch.tensor(points)
    n = len(means)
    _, _, meta = rasterization(
        means, torch.tensor([[1.0, 0, 0, 0]]).expand(n, 4), torch.full((n, 3), 0.01), torch.full((n,), 0.9),
        torch.rand(n, 3), torch.eye(4)[None], intrinsics(focal, focal, 150, 150)[None], 300, 300,
        camera_model=camera, lens=torch.tensor([lens]),
    )  # fmt: skip
    shown = (meta["radii"][0] > 0).all(-1)
    return {"shown": shown, "pixels": meta["means2d"][0], "depths": meta["depths"][0]}


@on_every_backend
def test_a_fisheye_lens_sees_beside_and_behind_itself() -> None:
    angles = [0.0, 0.5, 1.5, math.pi / 2, 2.0, 2.9, 3.0, math.pi]
    points = [[2 * math.sin(a), 0.0, 2 * math.cos(a)] for a in angles]
    found = seen(points, "fisheye", [0.0, 0, 0, 0])
    assert found["shown"].tolist() == [True] * 6 + [False] * 2  # 170 degrees are 2.97 rad
    for i, angle in enumerate(angles[:6]):
        assert found["pixels"][i].tolist() == pytest.approx([150 + 40 * angle, 150], abs=1e-3)
        assert float(found["depths"][i]) == pytest.approx(2.0, rel=1e-6)


@on_every_backend
def test_what_a_lens_bends_back_is_not_seen() -> None:
    # 1 - 0.6 t^2 vanishes at 1.29 rad.
    points = [[math.sin(a), 0.0, math.cos(a)] for a in (1.2, 1.35, 2.5)]
    assert seen(points, "fisheye", [-0.2, 0, 0, 0])["shown"].tolist() == [True, False, False]
    # 1 - 0.9 r^2 vanishes at 1.05; 1 - 1.05 r^2 + 0.25 r^4 from 1.21 to 1.66, and rises again from there on.
    slopes = [[0.6, -0.8, 1.0], [0.72, -0.96, 1.0], [1.2, -1.6, 1.0], [4.0, -3.0, 1.0], [40.0, -30.0, 1.0]]
    one = seen(slopes, "opencv", [-0.3] + 11 * [0.0])
    assert one["shown"].tolist() == [True, False, False, False, False]
    two = seen(slopes, "opencv", [-0.35, 0.05] + 10 * [0.0], focal=10.0)
    assert two["shown"].tolist() == [True, True, False, False, False]


def test_rays_meet_what_they_appear_at() -> None:
    """By OpenCV's formula, written out for one point."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = (
        0.02, -0.01, 0.004, -0.003, 0.001, 0.01, 0.005, -0.002, 0.006, -0.001, 0.002, 0.003,
    )  # fmt: skip
    x, y = 0.5, -0.25
    r2 = x * x + y * y
    c = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    u = x * c + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + s1 * r2 + s2 * r2**2
    v = y * c + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + s3 * r2 + s4 * r2**2
    lens = [k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4]
    found = seen([[2 * x, 2 * y, 2.0]], "opencv", lens)
    assert found["pixels"][0].tolist() == pytest.approx([150 + 40 * u, 150 + 40 * v], abs=1e-3)


@on_every_backend
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("camera", CAMERAS)
def test_nothing_is_too_extreme(camera: str, mode: str) -> None:
    scene, options = adapted(extremes(), camera), {"camera_model": camera, "rasterize_mode": mode}
    found = render_with_gradients(rasterization, scene, render_mode="RGB+D", **options)
    assert found.colors.isfinite().all()
    assert found.alphas.max() > 0.1
    for name, gradient in found.gradients.items():
        assert gradient.isfinite().all(), name


@on_every_backend
@pytest.mark.parametrize("camera", LENSES)
def test_a_lens_is_found_by_its_gradient(camera: str) -> None:
    """Focal length, principal point and coefficients together, from an image with the right ones."""
    scene = adapted(random_scene(40, width=32, height=24, sh_degree=None), camera)
    target, *_ = rasterization(**scene.arguments(), camera_model=camera)
    arguments: dict[str, Any] = scene.arguments() | {"camera_model": camera}
    right, names = {name: scene.tensors[name] for name in ("Ks", "lens")}, ("Ks", "lens")
    start = {
        "Ks": right["Ks"] * torch.tensor([[1.01, 1, 1.01], [1, 0.99, 1], [1, 1, 1]]),
        "lens": 0.7 * right["lens"],
    }
    leaves = {name: start[name].clone().requires_grad_() for name in names}
    optimizer = torch.optim.Adam(
        [{"params": [leaves["Ks"]], "lr": 0.02}, {"params": [leaves["lens"]], "lr": 3e-4}], betas=(0.9, 0.99)
    )
    losses = []
    for _ in range(120):
        image, *_ = rasterization(**arguments | leaves)
        loss = (image - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        Ks = leaves["Ks"].grad
        assert Ks is not None
        Ks *= torch.tensor([[1.0, 0, 1], [0, 1, 1], [0, 0, 0]])
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]
