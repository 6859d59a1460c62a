"""Scenes whose colours went through an affine change."""

from __future__ import annotations

from torch import Tensor

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import rgb_of, sh0_of

# What is added to the constant colour: of plain Gaussians, and of those with lobes (models/raygauss.py).
_ADDED = ("shN", "lobe_colors")


def recolored(gaussians: Gaussians, change: Tensor) -> Gaussians:
    """The scene whose every colour c is A c + b.

    An image is a weighted sum of colours, so what it shows of the scene changes by A, and by b times its
    alpha: exactly, but where the colour of a Gaussian would be negative, before or afterwards, and is 0.

    Args:
        change: [3, 4] the matrix A and the column b.

    Raises:
        ValueError: another shape.
    """
    if change.shape != (3, 4):
        raise ValueError(f"expected a matrix and a column, [3, 4], got {list(change.shape)}")
    change = change.to(gaussians.means)
    matrix, shift = change[:, :3].T, change[:, 3]
    params = gaussians.params
    constant = sh0_of(rgb_of(params["sh0"]) @ matrix + shift)
    added = {name: params[name] @ matrix for name in _ADDED if name in params}
    return Gaussians.of(
        {**params, "sh0": constant, **added}, gaussians.primitive, gaussians.extras, gaussians.metadata
    )
