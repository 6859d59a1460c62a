"""Gaussians whose image a small network finishes (SUNDAE, Yang et al. 2024).

A scene that was pruned hard lacks what the missing Gaussians added, most of it details that a pixel's
surroundings tell something about. Each Gaussian has a few features beside its colour, which are blended like
that, and a light convolutional network, shared by all rows and trained with them, makes the image

    C + alpha U(C, features, alpha),

where C is the image on black and U a U-Net of two levels, at a half and a quarter of the resolution. That of
the paper has 30 MB and makes the whole image out of features. Here it makes a residual, its last layer starts
at 0, and where nothing is drawn it adds nothing: so training starts exactly with plain Gaussians, the
background stays what it is, and giving up the head leaves a scene of ordinary splats.

The weights are one vector. Its length tells the width of the network, and a scene without any weights, as one
that comes from plain Gaussians, has no head.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.render.head import Head
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.schema import GAUSSIAN, Field, Shared

NAME = "sundae"
FEATURES = 4
WIDTH = 16
"""At half resolution; at a quarter there are twice as many channels."""
WIDEST = 256
"""Of the networks that a file may ask for."""

_CHANNELS = 3 + FEATURES + 1
_STRIDE = 4
"""Pixels of the image in one of the coarsest level."""


class _Layer(NamedTuple):
    """A convolution: weights [out, in, size, size] and a bias; [in, out, size, size] of one that enlarges."""

    inputs: int
    outputs: int
    size: int
    enlarges: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        first = (self.inputs, self.outputs) if self.enlarges else (self.outputs, self.inputs)
        return (*first, self.size, self.size)

    @property
    def numbers(self) -> int:
        return math.prod(self.shape) + self.outputs


def _layers(width: int) -> tuple[_Layer, ...]:
    """In the order in which the vector has them: into the halves, through them, into the quarters, through
    them, back, through what both levels say, and out."""
    return (
        _Layer(_CHANNELS, width, 2),
        _Layer(width, width, 3),
        _Layer(width, 2 * width, 2),
        _Layer(2 * width, 2 * width, 3),
        _Layer(2 * width, width, 2, enlarges=True),
        _Layer(width, width, 3),
        _Layer(width, 3, 2, enlarges=True),
    )


def numbers_of(width: int) -> int:
    """How many weights a network of some width has."""
    return sum(layer.numbers for layer in _layers(width))


def width_of(numbers: int) -> int:
    """The width of the network that has so many weights; 0 of none.

    Raises:
        ValueError: no network has.
    """
    width = next((width for width in range(WIDEST + 1) if numbers_of(width) >= numbers or not numbers), 0)
    if numbers and numbers_of(width) != numbers:
        raise ValueError(f"no head has {numbers:,} weights")
    return width


def starting_weights(width: int, seed: int) -> Tensor:
    """A network [W] that adds nothing yet: normal weights with the variance of He et al. (2015), no biases,
    and zeros in the last layer."""
    random = torch.Generator().manual_seed(seed)
    *layers, last = _layers(width)
    parts = [torch.zeros(last.numbers)]
    for layer in reversed(layers):
        spread = math.sqrt(2 / (layer.inputs * (1 if layer.enlarges else layer.size**2)))
        weights = spread * torch.randn(layer.shape, generator=random)
        parts = [weights.flatten(), torch.zeros(layer.outputs), *parts]
    return torch.cat(parts)


def residual(weights: Tensor, channels: Tensor) -> Tensor:
    """U of channels [C, 3 + F + 1, H, W], of any size: [C, 3, H, W]. Differentiable; of any floating type."""
    height, width = channels.shape[-2:]
    # The levels need whole pixels: what is beyond the border is as it is there.
    beyond = (0, -width % _STRIDE, 0, -height % _STRIDE)
    layers = _convolutions(weights)
    fine = next(layers)(functional.pad(channels, beyond, mode="replicate")).relu()
    fine = next(layers)(fine).relu()
    coarse = next(layers)(fine).relu()
    coarse = next(layers)(coarse).relu()
    fine = (fine + next(layers)(coarse)).relu()
    fine = next(layers)(fine).relu()
    return next(layers)(fine)[..., :height, :width]


def _convolutions(weights: Tensor) -> Iterator[Any]:
    layers = _layers(width_of(len(weights)))
    sizes = [size for layer in layers for size in (layer.numbers - layer.outputs, layer.outputs)]
    parts = iter(weights.split(sizes))
    for layer in layers:
        yield _convolution(layer, next(parts).view(layer.shape), next(parts))


def _convolution(layer: _Layer, weights: Tensor, bias: Tensor) -> Any:
    if layer.enlarges:
        return lambda image: functional.conv_transpose2d(image, weights, bias, stride=layer.size)
    if layer.size == 2:
        return lambda image: functional.conv2d(image, weights, bias, stride=2)
    return lambda image: functional.conv2d(image, weights, bias, padding=1)


def _mix(weights: Tensor) -> Any:
    def mix(blended: Tensor, alphas: Tensor) -> Tensor:
        channels = torch.cat([blended, alphas], dim=-1).permute(0, 3, 1, 2)
        return blended[..., :3] + alphas * residual(weights, channels).permute(0, 2, 3, 1)

    return mix


def started(scene: Gaussians, seed: int) -> Gaussians:
    """With a network of the usual width that adds nothing yet."""
    return dataclasses.replace(scene, shared={"head": starting_weights(WIDTH, seed).to(scene.means)})


def headless(scene: Gaussians) -> Gaussians:
    """The plain Gaussians with the colours that its image would be without the head."""
    return scene.with_primitive(PLAIN)


def _check(scene: Gaussians) -> None:
    width_of(len(scene.shared["head"]))


SCHEMA = GAUSSIAN.plus(Field("head_features", (FEATURES,), learning_rate=5e-3)).sharing(
    Shared("head", (-1,), learning_rate=4e-3, decay=0.1)
)


@register(NAME, SCHEMA, nearest=headless, started=started, fits=_check)
def sundae(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    plain = gaussian(params, context)
    weights = params["head"]
    return plain._replace(head=Head(params["head_features"], _mix(weights))) if len(weights) else plain
