"""Payloads: what is summed up per splat while an image is differentiated, besides gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Seen(NamedTuple):
    """V splats at P pixels, once the loss is differentiated."""

    weights: Tensor  # [V, P] with which they were blended
    v_means2d: Tensor  # [V, P, 2], the gradient of where a splat lies, each pixel's part of it
    probe: Tensor  # [P], a number that the pixel is given: the gradient of the probe


class Payload(NamedTuple):
    """How many numbers there are per splat, and a function that makes them, [V, sums]."""

    sums: int
    of: Callable[[Seen], Tensor]


def statistics(seen: Seen) -> Tensor:
    """How much the image shows of a splat: the sums of w e and of w, and the number of pixels with w > 0."""
    weights = seen.weights
    return torch.stack([weights @ seen.probe, weights.sum(1), (weights > 0).double().sum(1)], dim=1)


def absgrad(seen: Seen) -> Tensor:
    """Ye et al., "AbsGS: Recovering Fine Details in 3D Gaussian Splatting" (2024), equation 7."""
    return seen.v_means2d.abs().sum(1)


PAYLOADS = {"statistics": Payload(3, statistics), "absgrad": Payload(2, absgrad)}


@dataclass
class Sink:
    """The payloads of an image, and the weights that its blending finds."""

    carriers: Mapping[str, Tensor]  # [V, sums] of zeros, whose gradients become what is summed up
    weights: Tensor = field(default_factory=lambda: torch.zeros(0))

    def watch(self, at_pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Splats at pixels [V, P, 2] as they are, and the probe: zeros [P]."""
        if not self.carriers:
            return at_pixels, at_pixels.new_zeros(at_pixels.shape[1])
        watched, probe = _Watched.apply(self, at_pixels, *self.carriers.values())
        return watched, probe


class _Watched(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sink: Sink, at_pixels: Tensor, *carriers: Tensor) -> tuple[Tensor, Tensor]:
        ctx.sink = sink
        return at_pixels.clone(), at_pixels.new_zeros(at_pixels.shape[1])

    @staticmethod
    def backward(ctx: Any, v_at_pixels: Tensor, probe: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        seen = Seen(ctx.sink.weights, v_at_pixels, probe)
        return None, v_at_pixels, *(PAYLOADS[name].of(seen) for name in ctx.sink.carriers)
