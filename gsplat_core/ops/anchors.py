"""``decode_anchors``: the Gaussians that small networks make of anchors for a camera."""

from __future__ import annotations

from torch import Tensor

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
    """The K Gaussians of each anchor as a camera sees them (Lu et al., "Scaffold-GS", 2024, section 3.2).

    With d = frame (position - centre) / |position - centre|, and the networks' outputs for (features, d):
    opacities are max(tanh, 0), so that only those above zero get gradients; colours are sigmoids; scales are
    sigmoids times exp(scales); quaternions are of unit length, after which the inverse of `frame` turns
    them (one of length zero is no rotation before that). Means are position + frame^T (offset
    exp(offset_scales)).

    Args:
        positions: [N, 3] of the anchors, in world space.
        features: [N, F].
        offsets: [N, K, 3] of the splats from their anchor, in units of `offset_scales`, in the frame.
        offset_scales: [N, 3] logarithms.
        scales: [N, 3] logarithms of the largest scales of the anchor's splats.
        centre: [3] of the camera, in world space.
        frame: [3, 3] rotation from world space into the frame that the decoder was trained in; a constant.
        decoder: the three networks.
        appearance: [A] code that the network of the colours reads besides.
        visible: [N] which anchors the camera sees; None: all. The others are not decoded: their splats lie
            at the anchor with scales, opacities and colours zero, and get no gradients.

    Returns:
        The splats, differentiable in everything but `frame` and `visible`.
    """
    return reference.decode_anchors(
        positions, features, offsets, offset_scales, scales, centre, frame, decoder, appearance, visible
    )
