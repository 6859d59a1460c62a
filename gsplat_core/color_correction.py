"""A rendering with the exposure and white balance of its photograph: what cameras change, scenes cannot know.

Each channel of the photograph is fitted, by least squares, as an affine function of the rendering's three
channels. Saturated pixels say nothing about such a function and are left out of the fit; as which they are
changes with it, it is repeated. After `color_correct` of Multi-NeRF (Mildenhall et al. 2022), of which
nerfstudio's cc_psnr is made, without its quadratic terms.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 5
MARGIN = 0.5 / 255
"""What is nearer to 0 or 1 counts as saturated."""


@torch.no_grad()
def color_corrected(image: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """The image with the colours of the target, clamped to [0, 1]; as it is where that is no worse.

    Args:
        image: rendering [H, W, 3] float32 in [0, 1].
        target: photograph [H, W, 3] float32 in [0, 1].
        mask: [H, W] bool, the pixels that count; None for all.

    Returns:
        [H, W, 3] float32.
    """
    pixels, wanted = image.reshape(-1, 3).double(), target.reshape(-1, 3).double()
    counts = torch.ones_like(pixels[:, 0], dtype=torch.bool) if mask is None else mask.reshape(-1).bool()
    corrected = pixels
    unsaturated = counts & _inside(pixels).all(dim=1)
    for _ in range(ROUNDS):
        affine = torch.cat([corrected, torch.ones_like(corrected[:, :1])], dim=1)
        channels = []
        for c in range(3):
            usable = (unsaturated & _inside(corrected[:, c]) & _inside(wanted[:, c])).double()[:, None]
            # Normal equations, of least norm where pixels are too few or all alike.
            inputs = affine * usable
            fit = torch.linalg.pinv(inputs.T @ affine, hermitian=True) @ (inputs.T @ wanted[:, c])
            channels.append(affine @ fit if bool(usable.any()) else corrected[:, c])
        corrected = torch.stack(channels, dim=1).clamp(0, 1)
    before, after = ((values - wanted)[counts].square().sum() for values in (pixels, corrected))
    return corrected.to(image.dtype).reshape(image.shape) if after < before else image


def _inside(values: Tensor) -> Tensor:
    return (values >= MARGIN) & (values <= 1 - MARGIN)
