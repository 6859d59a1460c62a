"""The light that comes from a scene, apart from what is behind it: what models of photographs change."""

from __future__ import annotations

from torch import Tensor

from trainers.parts.part import Picture


def light_of(picture: Picture) -> tuple[Tensor, Tensor | None]:
    """[1, H, W, 3] what of an image comes from the scene, and the rest; None where that is black."""
    if picture.background is None:
        return picture.image, None
    behind = (1 - picture.alphas) * picture.background
    return picture.image - behind, behind
