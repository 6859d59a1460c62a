"""``torch.ops.gsplat_core.decode_anchors``: the splats that small networks make of anchors for a camera.

Fake kernels and derivative (kernel: ``csrc/ops/anchors.cpp``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import reverse_mode
from gsplat_core.ops.arguments import fake_kernel
from gsplat_core.ops.once import has_tangents, once
from gsplat_core.reference import anchors as reference
from gsplat_core.reference.anchors import Decoded, Decoder, Network

__all__ = ["Decoded", "Decoder", "Network", "decode_anchors"]


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
    """The K splats of each anchor as a camera sees them (Lu et al., "Scaffold-GS", 2024, section 3.2).

    With d = frame (position - centre) / |position - centre|, and the networks' outputs for (features, d):
    opacities are max(tanh, 0), so that only those above zero get gradients; colours are sigmoids; scales are
    sigmoids times exp(scales); quaternions are of unit length, after which the inverse of `frame` turns
    them (one of length zero is no rotation before that). Means are position + frame^T (offset
    exp(offset_scales)).

    Hidden layers stay in the caches: the derivative evaluates them again. Gradients of the networks are
    summed in an order of their own, so that threads do not change them. Plain PyTorch for other types than
    float32 and in forward mode.

    Args:
        positions: [N, 3] of the anchors, in world space.
        features: [N, F].
        offsets: [N, K, 3] of the splats from their anchor, in units of `offset_scales`, in the frame.
        offset_scales: [N, 3] logarithms.
        scales: [N, 3] logarithms of the largest scales of the anchor's splats.
        centre: [3] of the camera, in world space.
        frame: [3, 3] rotation from world space into the frame that the decoder was trained in; a constant.
        decoder: the three networks, with hidden layers of the same size.
        appearance: [A] code that the network of the colours reads besides.
        visible: [N] which anchors the camera sees; None: all. The others are not decoded: their splats lie
            at the anchor with scales, opacities and colours zero, and get no gradients.

    Returns:
        The splats, differentiable in everything but `frame` and `visible`.

    Raises:
        ValueError: a network does not fit; the message names its tensor.
        RuntimeError: another argument does not fit, or F, the hidden layers or K are larger than 64, 64 and
            16; the message names it.
    """
    _check(decoder, features, offsets, appearance)
    anchors = (positions, features, offsets, offset_scales, scales, centre)
    flat = tuple(tensor for network in decoder for tensor in network)
    transformed = torch._C._are_functorch_transforms_active() and not torch.compiler.is_compiling()
    given = (*anchors, frame, *flat, *(() if appearance is None else (appearance,)))
    if transformed or positions.dtype != torch.float32 or has_tangents(given):
        return reference.decode_anchors(*anchors, frame, decoder, appearance, visible)
    networks = _listed(decoder, features.shape[1] + 3, appearance)
    return Decoded(*_decode_anchors(*anchors, frame, visible, networks, len(decoder.opacities.hidden_biases)))


def _check(decoder: Decoder, features: Tensor, offsets: Tensor, appearance: Tensor | None) -> None:
    """Raises ValueError unless every tensor of the networks has its shape."""
    inputs, splats, hidden = features.shape[-1] + 3, offsets.shape[1], len(decoder.opacities.hidden_biases)
    code = 0 if appearance is None else len(appearance)
    sizes = ((inputs, splats), (inputs + code, 3 * splats), (inputs, 7 * splats))
    for part, network, (read, said) in zip(Decoder._fields, decoder, sizes, strict=True):
        expected = ((hidden, read), (hidden,), (said, hidden), (said,))
        for name, tensor, shape in zip(Network._fields, network, expected, strict=True):
            if tensor.shape != shape:
                raise ValueError(
                    f"decoder.{part}.{name} must have shape {list(shape)} for {inputs - 3} features, "
                    f"{splats} offsets, an appearance code of {code} and {hidden} hidden units, "
                    f"got {list(tensor.shape)}"
                )


def _listed(decoder: Decoder, inputs: int, appearance: Tensor | None) -> Tensor:
    """All numbers of the networks. The appearance code is the same for all anchors: what its weights make of
    it is part of the biases."""
    if appearance is not None:
        weights = decoder.colors.hidden_weights
        biases = decoder.colors.hidden_biases + (weights[:, inputs:] * appearance).sum(dim=1)
        colors = decoder.colors._replace(hidden_weights=weights[:, :inputs], hidden_biases=biases)
        decoder = decoder._replace(colors=colors)
    return torch.cat([tensor.reshape(-1) for network in decoder for tensor in network])


@fake_kernel("decode_anchors")
def _(positions: Tensor, offsets: Tensor) -> tuple[Tensor, ...]:
    splats = offsets.shape[0] * offsets.shape[1]
    return tuple(positions.new_empty(splats, *shape) for shape in ((3,), (4,), (3,), (), (3,)))


@fake_kernel("decode_anchors_backward")
def _(
    positions: Tensor,
    features: Tensor,
    offsets: Tensor,
    offset_scales: Tensor,
    scales: Tensor,
    networks: Tensor,
    wants_along: bool,
) -> tuple[Tensor, ...]:
    rows = tuple(torch.empty_like(x) for x in (positions, features, offsets, offset_scales, scales))
    along = torch.empty_like(positions) if wants_along else positions.new_empty(0)
    return (*rows, along, torch.empty_like(networks))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.hidden = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, *v_splats: Tensor) -> tuple[Tensor | None, ...]:
    wants_centre = ctx.needs_input_grad[5]
    *of_rows, along, of_networks = once(
        torch.ops.gsplat_core.decode_anchors_backward, *ctx.saved_tensors, ctx.hidden, *v_splats, wants_centre
    )
    # In double precision: then the last bit of the sum does not depend on its order.
    of_centre = -along.sum(dim=0, dtype=torch.float64).to(along.dtype) if wants_centre else None
    return (*of_rows, of_centre, None, None, of_networks, None)


_decode_anchors = reverse_mode.differentiable("decode_anchors", _setup_context, _backward)
