"""Anchors that small networks turn into Gaussians for a camera.

Lu et al., "Scaffold-GS: Structured 3D Gaussians for View-Adaptive Rendering" (2024), section 3.2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.quaternions import multiply, quaternions_of


class Network(NamedTuple):
    """A network with one hidden layer, V relu(W x + b) + c; its tensors as in :class:`torch.nn.Linear`."""

    hidden_weights: Tensor  # [H, inputs], W
    hidden_biases: Tensor  # [H], b
    weights: Tensor  # [outputs, H], V
    biases: Tensor  # [outputs], c


class Decoder(NamedTuple):
    """The networks that all anchors share. Each reads an anchor's F features and its direction from the
    camera; that of the colours reads the appearance code of A numbers, too, where there is one."""

    opacities: Network  # F + 3 -> K
    colors: Network  # F + 3 + A -> 3 K, the colours of one splat after the other
    covariances: Network  # F + 3 -> 7 K, three scales and a quaternion of one splat after the other


class Decoded(NamedTuple):
    """K splats of each of N anchors: those of anchor i are i K .. i K + K - 1."""

    means: Tensor  # [N K, 3]
    quats: Tensor  # [N K, 4] of unit length
    scales: Tensor  # [N K, 3] linear
    opacities: Tensor  # [N K] in [0, 1)
    colors: Tensor  # [N K, 3] in (0, 1)


def decode_anchors(
    positions: Tensor,
    features: Tensor,
    offsets: Tensor,
    offset_scales: Tensor,
    scales: Tensor,
    centre: Tensor,
    frame: Tensor,
    decoder: Decoder,
    appearance: Tensor | None = None,
    visible: Tensor | None = None,
) -> Decoded:
    """See :func:`gsplat_core.ops.anchors.decode_anchors`; of any floating type."""
    num, splats = offsets.shape[:2]
    rows = torch.arange(num, device=positions.device) if visible is None else visible.nonzero()[:, 0]
    places, spans = positions[rows], scales[rows].exp()[:, None]
    directions = torch.nn.functional.normalize(places - centre, dim=1) @ frame.T
    inputs = torch.cat([features[rows], directions], dim=1)
    opacities = torch.tanh(_evaluate(decoder.opacities, inputs)).relu()
    shapes = _evaluate(decoder.covariances, inputs).unflatten(1, (splats, 7))
    if appearance is not None:
        inputs = torch.cat([inputs, appearance.expand(len(rows), -1)], dim=1)
    colors = torch.sigmoid(_evaluate(decoder.colors, inputs)).unflatten(1, (splats, 3))
    shifts = offsets[rows] * offset_scales[rows].exp()[:, None]
    back = quaternions_of(frame.detach().T)
    decoded = Decoded(
        means=places[:, None] + shifts @ frame,
        quats=multiply(back, _unit(shapes[..., 3:])),
        scales=torch.sigmoid(shapes[..., :3]) * spans,
        opacities=opacities,
        colors=colors,
    )
    elsewhere = Decoded(
        means=positions[:, None].expand(num, splats, 3),
        quats=positions.new_tensor([1.0, 0.0, 0.0, 0.0]).expand(num, splats, 4),
        scales=positions.new_zeros(num, splats, 3),
        opacities=positions.new_zeros(num, splats),
        colors=positions.new_zeros(num, splats, 3),
    )
    return Decoded(
        *(
            there.detach().index_put((rows,), here).flatten(0, 1)
            for there, here in zip(elsewhere, decoded, strict=True)
        )
    )


def _evaluate(network: Network, inputs: Tensor) -> Tensor:
    hidden = torch.nn.functional.linear(inputs, network.hidden_weights, network.hidden_biases).relu()
    return torch.nn.functional.linear(hidden, network.weights, network.biases)


def _unit(quats: Tensor) -> Tensor:
    """Of unit length; a quaternion without a length is no rotation."""
    lengths = quats.norm(dim=-1, keepdim=True)
    has_length = lengths > 1e-12
    no_turn = quats.new_tensor([1.0, 0.0, 0.0, 0.0])
    return torch.where(has_length, quats / torch.where(has_length, lengths, 1.0), no_turn)
