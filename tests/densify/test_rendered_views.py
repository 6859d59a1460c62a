"""The scene seen from the training cameras: what strategies are shown is what the rasterizer draws there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gsplat_core.densify.rendered_views import RenderedViews
from gsplat_core.render.settings import RenderSettings
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View

WIDTH, HEIGHT, FX, FY, CX, CY = 40, 24, 30.0, 36.0, 18.0, 13.0


def view(near: float = 0.01, mask: Tensor | None = None) -> View:
    K = np.array([[FX, 0, CX], [0, FY, CY], [0, 0, 1]])
    image = np.full((HEIGHT, WIDTH, 3), 51, np.uint8)
    camera = Camera(np.eye(4), K, WIDTH, HEIGHT, near=near)
    return View(camera, lambda: image, None if mask is None else mask.numpy)


def scene(*means: tuple[float, float, float], opacity: float = 6.0, scale: float = 0.05) -> dict[str, Tensor]:
    """Small white Gaussians."""
    n = len(means)
    return {
        "means": torch.tensor(means),
        "quats": torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        "scales": torch.full((n, 3), scale).log(),
        "opacities": torch.full((n,), opacity),
        "sh0": torch.full((n, 1, 3), 0.5 / 0.28209479177387814),
        "shN": torch.zeros(n, 0, 3),
    }


def at_pixel(x: float, y: float, depth: float) -> tuple[float, float, float]:
    return ((x - CX) / FX * depth, (y - CY) / FY * depth, depth)


def test_images_show_gaussians_where_the_camera_sees_them() -> None:
    views = RenderedViews([view()], sh_degree=0)
    image = views.image(scene(at_pixel(33.5, 20.5, 2.0)), 0)
    assert image.shape == (HEIGHT, WIDTH, 3)
    brightest = int(image.sum(dim=-1).argmax())
    assert divmod(brightest, WIDTH) == (20, 33)
    assert image[20, 33].min() > 0.9
    assert image[5, 5].max() == 0
    torch.testing.assert_close(views.photograph(0), torch.full((HEIGHT, WIDTH, 3), 0.2))


def test_the_background_is_behind_the_scene_only() -> None:
    background = torch.tensor([[0.25, 0.5, 1.0]])
    image = RenderedViews([view()], sh_degree=0, background=background).image(
        scene(at_pixel(20.5, 10.5, 2.0)), 0
    )
    torch.testing.assert_close(image[0, 0], background[0])
    assert image[10, 20, 0] > 0.9


def test_what_is_masked_out_is_black() -> None:
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[:, :20] = True
    views = RenderedViews([view(mask=mask)], sh_degree=0, background=torch.ones(1, 3))
    image = views.image(scene(at_pixel(5.5, 5.5, 2.0)), 0)
    assert bool((image[~mask] == 0).all())
    assert image[mask].min() > 0.9


def test_depths_are_along_the_viewing_axis() -> None:
    depths, alphas = RenderedViews([view()], sh_degree=0).depth(scene(at_pixel(30.5, 4.5, 3.0), scale=0.3), 0)
    assert depths.shape == alphas.shape == (HEIGHT, WIDTH)
    assert depths[4, 30] == pytest.approx(3.0, rel=1e-4)
    assert alphas[4, 30] > 0.9


def test_nothing_nearer_than_the_cameras_limit_is_drawn() -> None:
    near, far = RenderedViews([view(near=1.5)], sh_degree=0), RenderedViews([view(near=2.5)], sh_degree=0)
    params = scene(at_pixel(20.5, 12.5, 2.0))
    assert near.image(params, 0).max() > 0.9
    assert far.image(params, 0).max() == 0
    assert near.shares(params, 0).weights[0] > 0
    assert far.shares(params, 0).weights[0] == 0


@pytest.mark.parametrize("antialiased", [False, True])
def test_shares_add_up_to_the_opacity_of_the_image(antialiased: bool) -> None:
    params = scene(at_pixel(33.5, 20.5, 2.0), at_pixel(33.5, 20.5, 4.0), at_pixel(8.5, 3.5, 3.0), opacity=0.5)
    params["means"] = torch.cat([params["means"], torch.tensor([[0.0, 0.0, -3.0]])])
    for name in ("quats", "scales", "opacities", "sh0", "shN"):
        params[name] = torch.cat([params[name], params[name][:1]])
    views = RenderedViews([view()], sh_degree=0, settings=RenderSettings(antialiased=antialiased))
    _, alphas = views.depth(params, 0)
    shares = views.shares(params, 0)
    assert float(shares.weights.sum()) == pytest.approx(float(alphas.sum()), rel=1e-5)
    assert bool((shares.largest[:3] <= shares.weights[:3]).all())
    assert bool((shares.pixels[:3] >= 1).all())
    assert shares.weights[3] == shares.radii[3] == 0
    torch.testing.assert_close(shares.depths[:3], torch.tensor([2.0, 4.0, 3.0]))
    weighted = views.weighted_shares(params, 0, torch.ones(HEIGHT, WIDTH))
    torch.testing.assert_close(weighted, shares.weights)


def test_weighted_shares_count_pixels_by_their_importance_where_the_photograph_counts() -> None:
    params = scene(at_pixel(33.5, 20.5, 2.0), at_pixel(8.5, 3.5, 3.0))
    importance = torch.zeros(HEIGHT, WIDTH)
    importance[:, 20:] = 2.0
    whole = RenderedViews([view()], sh_degree=0)
    weights = whole.shares(params, 0).weights
    found = whole.weighted_shares(params, 0, importance)
    torch.testing.assert_close(found, torch.stack([2 * weights[0], torch.tensor(0.0)]))
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[:, :20] = True
    masked = RenderedViews([view(mask=mask)], sh_degree=0)
    assert masked.weighted_shares(params, 0, importance).eq(0).all()


def test_points_are_those_that_the_view_sees() -> None:
    points = torch.arange(12.0).reshape(4, 3)
    views = RenderedViews(
        [view(), view()], points=points, sightings=[torch.tensor([0, 2]), torch.tensor([3])]
    )
    rows, seen = views.points_seen(1)
    assert rows.tolist() == [3]
    assert torch.equal(seen, points[3:])
    assert len(views) == 2
    assert RenderedViews([view()]).points_seen(0)[1].shape == (0, 3)


def test_looking_gives_no_gradients() -> None:
    """Although sums are gradients, those of the scene are the training's own."""
    views = RenderedViews([view()], sh_degree=0)
    params = {name: value.requires_grad_() for name, value in scene(at_pixel(20.5, 10.5, 2.0)).items()}
    importance = torch.ones(HEIGHT, WIDTH)
    looked = [views.image(params, 0), *views.depth(params, 0), views.weighted_shares(params, 0, importance)]
    assert not any(tensor.requires_grad for tensor in looked)
    assert all(value.grad is None for value in params.values())
