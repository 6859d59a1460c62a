"""Smaller images: means of what they cover, differentiable; and the same image where the size is the same."""

from __future__ import annotations

import torch

from gsplat_core.resizing import resized


def test_a_ramp_stays_a_ramp_and_the_mean_stays() -> None:
    ramp = torch.linspace(0, 1, 40)[None, :, None].expand(24, 40, 3).contiguous()
    small = resized(ramp, (12, 20))
    assert small.shape == (12, 20, 3)
    assert torch.allclose(small[:, 1:-1], (ramp[:12, 2:-2:2] + ramp[:12, 3:-2:2]) / 2, atol=1e-6)
    assert torch.allclose(small.mean(), ramp.mean(), atol=1e-3)


def test_the_same_size_is_the_same_image() -> None:
    image = torch.rand(5, 7, 2)
    assert resized(image, image.shape[:2]) is image


def test_it_is_differentiable() -> None:
    image = torch.rand(6, 8, 1, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda x: resized(x, (3, 4)), (image,))
