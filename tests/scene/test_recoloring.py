"""A scene whose colours changed is what its image would be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.harmonics import sh0_of
from gsplat_core.scene.recoloring import recolored

CHANGE = torch.tensor([[0.8, 0.1, 0.0, 0.05], [0.0, 1.1, 0.05, 0.0], [0.1, 0.0, 0.7, 0.1]])


@pytest.fixture(scope="module")
def camera() -> Camera:
    return Camera(np.eye(4), np.array([[40.0, 0, 20], [0, 40, 15], [0, 0, 1]]), 40, 30)


def scene(model: str = PLAIN) -> Gaussians:
    random = torch.Generator().manual_seed(0)
    num = 60
    means = torch.rand(num, 3, generator=random) * torch.tensor([4.0, 3.0, 1.0]) - torch.tensor([2, 1.5, -4])
    plain = Gaussians(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(num, 1),
        scales=torch.full((num, 3), -1.2),
        opacities=torch.full((num,), 1.0),
        sh0=sh0_of(0.4 + 0.3 * torch.rand(num, 1, 3, generator=random)),
        shN=0.05 * torch.randn(num, 8, 3, generator=random),
    ).with_primitive(model)
    for name in plain.further.keys() & {"lobe_axes", "lobe_colors"}:
        plain.further[name].copy_(0.05 * torch.randn(num, 7, 3, generator=random))
    return plain


@pytest.mark.parametrize("model", [PLAIN, "raygauss"])
def test_the_image_changes_by_the_matrix_and_by_the_column_as_far_as_it_is_covered(
    camera: Camera, model: str
) -> None:
    gaussians = scene(model)
    before, after = render(gaussians, camera), render(recolored(gaussians, CHANGE), camera)
    expected = before.colors @ CHANGE[:, :3].T + before.alphas * CHANGE[:, 3]
    assert torch.allclose(after.colors, expected, atol=1e-5)
    assert torch.equal(after.alphas, before.alphas)
    assert float((after.colors - before.colors).abs().max()) > 0.05


def test_nothing_else_changes_and_nothing_at_all_by_the_identity() -> None:
    gaussians = scene()
    same, other = recolored(gaussians, torch.eye(3, 4)), recolored(gaussians, CHANGE)
    for name, value in gaussians.params.items():
        assert torch.allclose(same.params[name], value, atol=1e-6)
        assert torch.equal(other.params[name], value) == (name not in ("sh0", "shN"))
    with pytest.raises(ValueError, match=r"\[3, 4\], got \[3, 3\]"):
        recolored(gaussians, torch.eye(3))
