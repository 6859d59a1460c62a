"""How a scene looks in one photograph: changes of spherical harmonics that follow from what a Gaussian is.

After WE-GS (Wang et al. 2024, "An In-the-wild Efficient 3D Gaussian Representation for Unconstrained Photo
Collections"): k' = k + f(k, x, e), with k the coefficients of a Gaussian up to degree 1, x features of its
place and e a vector that stands for the photograph. So nothing but the coefficients differs from photograph
to photograph, and for each of them there is an ordinary scene.

Unlike there, e makes the last layer of the network, linearly:

    f(k, x, e) = h(k, x) V(e),    h [F] the features of the Gaussian,  V [F, 12].

So f is 0 where e is, and where e is the mean of several vectors, f is the mean of what it is for these: with
vectors that are 0 on average, the scene is what it looks like on average. Among the features are k itself and
1, so that any affine change of colours is a matrix V.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

COEFFICIENTS = 4
"""Of degree 0 and 1, which are changed."""
OCTAVES = 4
"""Sines and cosines of a place: of the whole scene, its halves, quarters and eighths."""
_OWN = 3 * COEFFICIENTS


def num_features(width: int) -> int:
    """F with a network of this width, 0 for none."""
    return _OWN + 6 + 6 * OCTAVES + 1 + width


def features(
    params: Mapping[str, Tensor], center: Tensor, length: float, network: Mapping[str, Tensor]
) -> Tensor:
    """[N, F] of Gaussians: coefficients, products of colours, waves of the place, 1, and what a network makes
    of these. Gradients flow to the network alone; those of the coefficients are found by :func:`changed`.

    Args:
        params: the raw parameters.
        center, length: [3] of the scene, and how large it is; what lies farther away than a length is drawn
            nearer (Barron et al. 2022, "Mip-NeRF 360", equation 10).
        network: "hidden" [W, G], "hidden_bias" [W], "output" [W, W], "output_bias" [W]; none of them for
            changes that are linear in the other G features.
    """
    with torch.no_grad():
        color = params["sh0"][:, 0]
        products = [color.square(), color * color.roll(1, dims=1)]
        waves = _waves(params["means"], center, length)
        ones = color.new_ones(len(color), 1)
        known = torch.cat([_own(params["sh0"], params["shN"]), *products, *waves, ones], dim=1)
    if not network:
        return known
    hidden = torch.addmm(network["hidden_bias"], known, network["hidden"].T).relu()
    output = torch.addmm(network["output_bias"], hidden, network["output"].T).relu()
    return torch.cat([known, output], dim=1)


def changed(params: Mapping[str, Tensor], features: Tensor, layer: Tensor) -> dict[str, Tensor]:
    """The parameters with coefficients that are changed by :func:`features` [N, F] times a layer [F, 12]."""
    sh0, shN = _Changed.apply(params["sh0"], params["shN"], features, layer)  # type: ignore[no-untyped-call]
    return {**params, "sh0": sh0, "shN": shN}


class _Changed(torch.autograd.Function):
    """Written out, since autograd's own way takes several copies of all coefficients."""

    @staticmethod
    def forward(ctx: Any, sh0: Tensor, shN: Tensor, features: Tensor, layer: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(features, layer)
        change = (features @ layer).unflatten(1, (COEFFICIENTS, 3))
        rest = shN.clone()
        rest[:, : COEFFICIENTS - 1] += change[:, 1 : 1 + shN.shape[1]]
        return sh0 + change[:, :1], rest

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_sh0: Tensor, of_shN: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        features, layer = ctx.saved_tensors
        of_change = _own(of_sh0, of_shN)
        of_own = (of_change @ layer[:_OWN].T).unflatten(1, (COEFFICIENTS, 3))
        of_rest = of_shN.clone()
        of_rest[:, : COEFFICIENTS - 1] += of_own[:, 1 : 1 + of_shN.shape[1]]
        of_features = of_change @ layer.T if ctx.needs_input_grad[2] else None
        return of_sh0 + of_own[:, :1], of_rest, of_features, features.T @ of_change


def _own(sh0: Tensor, shN: Tensor) -> Tensor:
    """[N, 12] what is changed, 0 where a scene has no first degree."""
    own = torch.cat([sh0, shN[:, : COEFFICIENTS - 1]], dim=1).flatten(1)
    missing = _OWN - own.shape[1]
    return torch.nn.functional.pad(own, (0, missing)) if missing else own


def _waves(means: Tensor, center: Tensor, length: float) -> list[Tensor]:
    """2 OCTAVES times [N, 3]: sines and cosines of places [N, 3]."""
    place = (means - center) / length
    far = place.norm(dim=1, keepdim=True).clamp(min=1)
    turn = torch.pi / 2 * place * ((2 - 1 / far) / far)
    sine, cosine = turn.sin(), turn.cos()
    waves = [sine, cosine]
    for _ in range(OCTAVES - 1):
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine.square()
        waves += [sine, cosine]
    return waves
