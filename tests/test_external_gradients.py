"""Gradients that come from elsewhere reach the image as they are, or clipped pixel by pixel."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.external_gradients import clipped, clipped_pixels, with_gradient


def test_a_gradient_arrives_as_it_is() -> None:
    image, given = torch.rand(4, 5, 3, requires_grad=True), torch.randn(4, 5, 3)
    with_gradient(image, given).backward()
    assert torch.equal(image.grad, given)
    with pytest.raises(ValueError, match=r"\[4, 5\] of an image \[4, 5, 3\]"):
        with_gradient(image, given[..., 0])


def test_pixels_are_clipped_by_their_largest_channel() -> None:
    gradient = torch.randn(6, 7, 3, generator=torch.Generator().manual_seed(0))
    gradient[0] = 0.0
    gradient[1] *= 0.01
    for most in (0.05, 1.0):
        ours = clipped_pixels(gradient, most)
        for pixel, found in zip(gradient.reshape(-1, 3).tolist(), ours.reshape(-1, 3).tolist(), strict=True):
            factor = min(min(1.0, most / abs(g)) if g else 1.0 for g in pixel)
            assert found == pytest.approx([factor * g for g in pixel], rel=1e-6)
        assert ours.abs().max() <= most * (1 + 1e-6)


def test_clipping_concerns_what_flows_through_the_image() -> None:
    scene = torch.ones(2, 2, 3, requires_grad=True)
    image = 2 * scene
    clipped(image, 0.5)
    (image * torch.tensor([4.0, 2.0, 0.0])).sum().backward()
    assert scene.grad.reshape(-1, 3).unique(dim=0).tolist() == [[1.0, 0.5, 0.0]]
