"""Gaussians on the rays of pixels: each is where its pixel shows it, and no pixel is without one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View
from gsplat_core.scene.pixel_aligned import blocks, pixel_aligned, pixel_rays, spacing_for

WIDTH, HEIGHT = 31, 22


def view(x=0.0, mask=None):
    viewmat = np.eye(4)
    viewmat[:3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    viewmat[:3, 3] = [x, 0.2, 1.0]
    K = np.array([[25.0, 0, 15], [0, 26.0, 11], [0, 0, 1]])
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return View(Camera(viewmat, K, WIDTH, HEIGHT), lambda: image, None if mask is None else lambda: mask)


def seen(taken, means):
    """Pixels and depths."""
    local = means.double().numpy() @ taken.camera.viewmat[:3, :3].T + taken.camera.viewmat[:3, 3]
    projected = local @ taken.camera.K.T
    return projected[:, :2] / projected[:, 2:], local[:, 2]


def test_they_are_seen_where_and_as_deep_and_as_bright_as_their_pixel() -> None:
    views = [view(), view(0.7)]
    rays = pixel_rays(views, 1)
    depths = 2 + torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    scene = pixel_aligned(rays, views, [1 / depths, 1 / depths], sh_degree=1, radius=0.5)
    assert scene.num == len(rays) == sum(rays.counts)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    first = 0
    for taken, count, fine in zip(views, rays.counts, rays.fine, strict=True):
        assert fine == WIDTH * HEIGHT
        pixels, found = seen(taken, scene.means[first : first + fine])
        np.testing.assert_allclose(pixels, np.stack([x.ravel(), y.ravel()], 1), atol=1e-3)
        np.testing.assert_allclose(found, depths.flatten(), rtol=1e-5)
        # Half a pixel wide there.
        sizes = scene.scales[first : first + fine].exp().double().numpy()
        np.testing.assert_allclose(sizes * 25 / found[:, None], 0.5, rtol=1e-4)
        colors = scene.sh0[first : first + fine, 0] * 0.28209479 + 0.5
        torch.testing.assert_close(colors, taken.image().view(-1, 3) / 255, rtol=0, atol=1e-5)
        # The copy behind is larger than the photograph, and nothing of it is before what that shows.
        pixels, found = seen(taken, scene.means[first + fine : first + count])
        assert pixels.min() < -3
        assert (pixels.max(axis=0) > (WIDTH + 3, HEIGHT + 3)).all()
        assert found.min() > float(depths.mean())
        first += count
    torch.testing.assert_close(
        rays.depths(rays.at(torch.full((len(rays),), 3.0))), torch.full((len(rays),), 3.0)
    )


def test_who_is_masked_out_has_none() -> None:
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[:, :10] = False
    taken = view(mask=mask)
    rays = pixel_rays([taken], 1)
    assert rays.fine == [HEIGHT * (WIDTH - 10)]
    assert rays.places[: rays.fine[0], 0].min() * WIDTH > 10


@pytest.mark.parametrize("most", [50, 300, 10_000])
def test_there_are_no_more_than_allowed_and_no_fewer_than_need_be(most) -> None:
    views = [view(), view(0.7)]
    spacing = spacing_for(views, most)
    assert len(pixel_rays(views, spacing)) <= blocks(views, spacing) <= most
    assert spacing == 1 or blocks(views, spacing - 1) > most
