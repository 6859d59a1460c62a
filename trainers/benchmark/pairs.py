"""The work in a scene: how many pairs of a pixel and a Gaussian contribute to the image.

Rates in pairs per second compare across scenes, machines and programs, unlike frames per second.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import threshold

from trainers.benchmark.splats import Splats

MIN_ALPHA = 1 / 255
MIN_TRANSMITTANCE = 1e-4


def count_pairs(
    splats: Splats, tile_offsets: Tensor, flatten_ids: Tensor, tile_size: int, max_alpha: float = 0.99
) -> int:
    """Counts pairs with alpha above 1/255 at the pixel's centre, in front of where the pixel is finished.

    A pixel is finished before the splat that would leave it a transmittance of at most 1e-4. Every splat of
    a tile's list is evaluated at every pixel of the tile, so this is exact but for pairs within rounding of a
    limit.

    Args:
        splats: the scene.
        tile_offsets, flatten_ids: the tile lists that `bin_splats` made of it.
        tile_size: side of a tile in pixels.
        max_alpha: where alpha is capped.
    """
    columns = -(-splats.width // tile_size)
    offsets = tile_offsets.tolist()
    ids = flatten_ids.long()
    means, roots, opacities = splats.means2d[0], splats.shapes[0], splats.opacities[0]
    pairs = 0
    for tile in range(len(offsets) - 1):
        listed = ids[offsets[tile] : offsets[tile + 1]]
        left, top = tile % columns * tile_size, tile // columns * tile_size
        x = torch.arange(left, min(left + tile_size, splats.width)) + 0.5
        y = torch.arange(top, min(top + tile_size, splats.height)) + 0.5
        dx = x[:, None] - means[listed, 0]  # [pixels in a row, L]
        dy = y[:, None] - means[listed, 1]  # [rows, L]
        l11, l21, l22 = roots[listed].unbind(1)
        u = (l21 * dy)[:, None] + l11 * dx  # [rows, pixels in a row, L]
        squared = u.square_().add_((l22 * dy).square_()[:, None])
        alpha = squared.mul_(-0.5).exp_().mul_(opacities[listed]).clamp_(max=max_alpha)
        threshold(alpha, MIN_ALPHA, 0.0, inplace=True)
        behind = (1 - alpha).cumprod(-1)
        pairs += int(((alpha > 0) & (behind > MIN_TRANSMITTANCE)).sum())
    return pairs
