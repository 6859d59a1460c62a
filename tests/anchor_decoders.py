"""Anchors and networks that decode them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gsplat_core.ops.anchors import Decoder, Network


def decoder(
    features: int = 32,
    splats: int = 10,
    appearance: int = 0,
    hidden: int | None = None,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Decoder:
    """Networks that say something else of every input."""
    g = torch.Generator().manual_seed(seed)
    width = features if hidden is None else hidden

    def network(inputs: int, outputs: int) -> Network:
        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)

        return Network(
            normal(width, inputs) * (2 / inputs) ** 0.5, 0.3 * normal(width), 
            normal(outputs, width) * (1 / width) ** 0.5, 0.3 * normal(outputs),
        )  # fmt: skip

    inputs = features + 3
    return Decoder(
        network(inputs, splats), network(inputs + appearance, 3 * splats), network(inputs, 7 * splats)
    )


def anchors(
    num: int, features: int = 32, splats: int = 10, dtype: torch.dtype = torch.float32, seed: int = 0
) -> dict[str, Tensor]:
    """What `decode_anchors` wants besides the decoder, with a frame that is turned; all of them visible."""
    g = torch.Generator().manual_seed(seed + 1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    rotation = torch.linalg.qr(normal(3, 3))[0]
    given = {
        "positions": normal(num, 3),
        "features": normal(num, features),
        "offsets": normal(num, splats, 3),
        "offset_scales": 0.5 * normal(num, 3) - 1,
        "scales": 0.5 * normal(num, 3) - 2,
        "centre": torch.tensor([0.5, -1.0, -4.0]),
        "frame": rotation * torch.linalg.det(rotation).sign(),
    }
    return {name: value.to(dtype) for name, value in given.items()}


def tensors_of(decoder: Decoder) -> Iterator[tuple[str, Tensor]]:
    """Each tensor of the networks with its name, such as "colors.weights"."""
    for part, network in zip(Decoder._fields, decoder, strict=True):
        for name, tensor in zip(Network._fields, network, strict=True):
            yield f"{part}.{name}", tensor
