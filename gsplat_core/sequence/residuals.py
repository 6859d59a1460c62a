"""A frame as what is different from the one before it (QUEEN, Girish et al. 2024).

Centres are those of the frame before, plus shifts. Each other attribute is that of the frame before plus few
rounded numbers, the latents, through a linear decoder that all Gaussians of the frame share. Those that are
added are at first what one of the frame before is, their ancestor.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import normalize

LATENTS: Mapping[str, int] = {"sh0": 8, "shN": 4, "quats": 6, "scales": 8, "opacities": 3}
"""How many latents make the change of an attribute."""
NEVER_DRAWN = 1 / 255
"""A Gaussian less opaque than this is in no image."""


def rounded(values: Tensor) -> Tensor:
    """To whole numbers; gradients pass straight through (Bengio et al. 2013)."""
    return values + (values.round() - values).detach()


def as_stored(decoder: Tensor) -> Tensor:
    """A decoder as files have it, in half precision; gradients pass straight through."""
    return decoder + (decoder.half().to(decoder.dtype) - decoder).detach()


def changed(
    before: Mapping[str, Tensor],
    latents: Mapping[str, Tensor],
    decoders: Mapping[str, Tensor],
    shifts: Tensor,
) -> dict[str, Tensor]:
    """The raw parameters of plain Gaussians in the frame. Differentiable.

    Args:
        before: [N, ...] those of the frame before, of the Gaussian itself or its ancestor.
        latents: [N, L] whole numbers, by attribute; `LATENTS` has L.
        decoders: [L, C] by attribute, C the numbers that it has.
        shifts: [N, 3] scene units.
    """
    now = dict(before)
    now["means"] = before["means"] + shifts
    now["quats"] = normalize(before["quats"], dim=1)
    for name, codes in latents.items():
        now[name] = now[name] + (codes @ decoders[name]).reshape(now[name].shape)
    return now
