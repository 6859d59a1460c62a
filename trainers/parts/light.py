"""The light that comes from a scene, apart from what is behind it: what models of photographs change."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.parts.part import Picture


def light_of(picture: Picture) -> tuple[Tensor, Tensor | None]:
    """[1, H, W, 3] what of an image comes from the scene, and the rest; None where that is black."""
    if picture.background is None:
        return picture.image, None
    behind = (1 - picture.alphas) * picture.background
    return picture.image - behind, behind


@torch.no_grad()
def affine_between(picture: Picture, changed: Tensor) -> Tensor:
    """[3, 4] the matrix A and the column b with which A c + b alpha is nearest to a changed image
    [1, H, W, 3], by least squares, c and alpha being the light of the picture and its alphas."""
    light, behind = light_of(picture)
    wanted = changed if behind is None else changed - behind
    inputs = torch.cat([light, picture.alphas], dim=3).reshape(-1, 4).double()
    # What is not determined, such as of a grey scene, stays as it is.
    missing = wanted.reshape(-1, 3).double() - inputs[:, :3]
    change = torch.linalg.pinv(inputs.T @ inputs, hermitian=True) @ (inputs.T @ missing)
    return torch.eye(3, 4, device=light.device) + change.T.float()
