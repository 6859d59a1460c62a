"""sequence/change.py: which Gaussians what changed in the photographs pulls at."""

from __future__ import annotations

import pytest
import torch
from splat_files import typical_scene

from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.sequence.change import CELLS, moving_pixels, pulls


@pytest.fixture
def seen() -> tuple[Gaussians, list[Camera], list[torch.Tensor], list[torch.Tensor]]:
    """A scene, two cameras, and photographs of before and of now."""
    scene = typical_scene(40, 1)
    scene.means = scene.means + torch.tensor([0.0, 0.0, 8.0])
    scene.scales = scene.scales + 2
    random = torch.Generator().manual_seed(3)
    K = torch.tensor([[40.0, 0, 16], [0, 40, 12], [0, 0, 1]]).numpy()
    cameras = []
    for number in range(2):
        pose = torch.eye(4)
        pose[0, 3] = 0.3 * number
        cameras.append(Camera(pose.numpy(), K, 32, 24, f"{number}"))
    photographs = [[torch.rand(24, 32, 3, generator=random) for _ in cameras] for _ in range(2)]
    return scene, cameras, *photographs


def test_one_backward_pass_is_the_difference_of_two_losses(seen) -> None:
    scene, cameras, before, now = seen
    expected = torch.zeros(scene.num)
    for camera, p, c in zip(cameras, before, now, strict=True):
        gradients = []
        for photograph in (c, p):
            leaf = scene.with_fields({**scene.params, "means": scene.means.clone().requires_grad_()})
            rendered = render(leaf, camera)
            loss = (rendered.colors[0] - photograph).square().mean()
            gradients.append(torch.autograd.grad(loss, rendered.meta["means2d"])[0].reshape(-1, 2))
        change = (gradients[0] - gradients[1]) * torch.tensor([camera.width / 2, camera.height / 2])
        expected += change.norm(dim=1)
    found = pulls(scene, cameras, before, now)
    assert float((expected > 0).float().mean()) > 0.5
    assert float((found - expected).abs().max() / expected.max()) < 1e-5


def test_nothing_pulls_where_nothing_changed(seen) -> None:
    scene, cameras, before, _ = seen
    assert not pulls(scene, cameras, before, before).any()
    with pytest.raises(ValueError, match="zip"):
        pulls(scene, cameras, before, before[:1])


def test_pixels_move_in_whole_cells() -> None:
    size = 4 * CELLS
    camera = Camera(
        torch.eye(4).numpy(), torch.tensor([[size, 0, 0], [0, size, 0], [0, 0, 1.0]]).numpy(), size, 54, ""
    )
    opaque = Gaussians(
        means=torch.tensor([[10.0 / size, 22.0 / size, 1.0]]), quats=torch.tensor([[1.0, 0, 0, 0]]),
        scales=torch.full((1, 3), -6.0), opacities=torch.tensor([5.0]), sh0=torch.zeros(1, 1, 3),
        shN=torch.zeros(1, 0, 3),
    )  # fmt: skip
    found = moving_pixels(opaque, camera)
    assert found.shape == (54, size)
    assert found[20:24, 8:12].all()
    cells = found[:52].reshape(13, 4, size // 4, 4).permute(0, 2, 1, 3).flatten(2)
    assert bool((cells.all(-1) == cells.any(-1)).all())
    assert int(found.sum()) <= 4 * 16
    nothing = opaque.subset(slice(0, 0))
    assert not moving_pixels(nothing, camera).any()
