"""gsplat_core/accumulation.py: what images say about Gaussians is the derivative of rendering features."""

from __future__ import annotations

import pytest
import torch
from apps.labelled_scene import arc, labelled_scene
from torch import Tensor

from gsplat_core.accumulation import accumulate
from gsplat_core.contributions import contributions
from gsplat_core.labels import label_weights
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera

SCENE = labelled_scene(60)
CAMERAS = arc(3)


def images(channels: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(3)
    return [torch.randn(camera.height, camera.width, channels, generator=g) for camera in CAMERAS]


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference, in parts of the largest number."""
    return float((found - expected).abs().max() / expected.abs().max())


def test_sums_are_those_of_the_weights_of_each_gaussian_at_each_pixel() -> None:
    some = SCENE.subset(slice(280, 300))
    expected = torch.zeros(2, 20).double()
    for camera, image in zip(CAMERAS, images(2), strict=True):
        weights = render(some, camera, features={"each": torch.eye(20)}).meta["features"]["each"][0]
        expected += torch.einsum("hwn,hwc->cn", weights.double(), image.double())
    assert relative(accumulate(some, CAMERAS, images(2)), expected) < 1e-6


def test_images_of_ones_give_the_sums_of_the_weights() -> None:
    ones = [torch.ones(camera.height, camera.width, 1, dtype=torch.uint8) for camera in CAMERAS]
    assert relative(accumulate(SCENE, CAMERAS, ones)[0], contributions(SCENE, CAMERAS).weights) < 1e-6


def test_masks_give_the_weights_of_labels_which_need_no_channels() -> None:
    g = torch.Generator().manual_seed(4)
    masks = [torch.randint(-1, 5, (camera.height, camera.width), generator=g) for camera in CAMERAS]
    hot = [(mask[..., None] == torch.arange(5)).float() for mask in masks]
    weights = label_weights(SCENE, zip(CAMERAS, masks, strict=True), 5)
    assert relative(accumulate(SCENE, CAMERAS, hot), weights) < 1e-6


def test_it_is_linear_leaves_the_scene_alone_and_takes_any_number_of_channels() -> None:
    scene = SCENE.cloned().requires_grad_()
    many = accumulate(scene, CAMERAS, images(40))
    assert many.shape == (40, SCENE.num)
    assert many.dtype == torch.float64
    assert not many.requires_grad
    assert all(param.grad is None for param in scene.params.values())
    summed = accumulate(SCENE, CAMERAS, [image.sum(2, keepdim=True) for image in images(40)])
    assert relative(many.sum(0, keepdim=True), summed) < 1e-5


@pytest.mark.parametrize(
    ("cameras", "given", "message"),
    [
        (CAMERAS[:1], [torch.zeros(72, 95, 1)], r"expected shape \[72, 96, C\], got \[72, 95, 1\]"),
        (CAMERAS[:1], [torch.zeros(72, 96)], r"expected shape \[72, 96, C\], got \[72, 96\]"),
        (CAMERAS[:2], [torch.zeros(72, 96, 2), torch.zeros(72, 96, 1)], r"expected shape \[72, 96, 2\]"),
        (CAMERAS[:2], [torch.zeros(72, 96, 1)], "zip"),
        ([], [], "at least one view"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(cameras: list[Camera], given: list[Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        accumulate(SCENE, cameras, given)
