"""Gradients of images that come from elsewhere, such as from a diffusion model that judges a rendering.

image = render(scene, camera).colors
clipped(image)
with_gradient(image, gradient_of(image.detach())).backward()
"""

from __future__ import annotations

import torch
from torch import Tensor

CLIP = 0.05


def with_gradient(image: Tensor, gradient: Tensor) -> Tensor:
    """A scalar whose gradient with respect to `image` is `gradient`, both [...]: to be used as a loss.

    Its value says nothing.

    Raises:
        ValueError: the shapes differ.
    """
    if gradient.shape != image.shape:
        raise ValueError(f"a gradient {list(gradient.shape)} of an image {list(image.shape)}")
    return (image * gradient.detach()).sum()


def clipped_pixels(gradient: Tensor, most: float = CLIP) -> Tensor:
    """A gradient [..., D] of which no channel of any pixel exceeds `most`; channels keep their proportions.

    Each pixel is multiplied by the least of min(1, most / |channel|) over its channels, so that single pixels
    of a noisy gradient do not outweigh all others (Dreamer XL, Miao et al. 2024).
    """
    largest = gradient.abs().amax(dim=-1, keepdim=True)
    return gradient * torch.where(largest > most, most / largest, 1.0)


def clipped(image: Tensor, most: float = CLIP) -> None:
    """Clips what flows back through an image [..., D] in this backward pass, pixel by pixel."""
    image.register_hook(lambda gradient: clipped_pixels(gradient, most))
