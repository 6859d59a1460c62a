"""Sorting vectors into a picture in which neighbours are alike."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops import library  # noqa: F401  (loads the operators)


def grid_sort(
    picture: Tensor, seed: int, first_radius: float, shrink: float = 0.95, improvement: float = 1e-4
) -> tuple[Tensor, Tensor]:
    """Parallel linear assignment sorting (PLAS; Morgenstern et al. 2024).

    Cells move towards a blurred version of the picture, in groups of four that are arranged in the best of
    the 24 ways, at random places within blocks; the blur becomes narrower and narrower. The picture is
    circular along x.

    Args:
        picture: [H, W, C] float32, finite; all channels count alike.
        seed: of the random groups and blocks.
        first_radius: of the blur at the beginning, in cells: half the height for a picture in random order,
            a few cells for one that is nearly sorted; below 1 nothing happens.
        shrink: each radius is this fraction of the one before.
        improvement: exchanges at one radius go on while a round gains more than this fraction.

    Returns:
        the sorted picture [H, W, C], and where each of its cells came from [H, W] int32 (row-major numbers).
        The same whenever it runs on the same device, for any number of threads.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    sorted_picture, order = torch.ops.gsplat_core.grid_sort(picture, seed, first_radius, shrink, improvement)
    return sorted_picture, order


@torch.library.register_fake("gsplat_core::grid_sort")
def _(
    picture: Tensor, seed: int, first_radius: float, shrink: float = 0.95, improvement: float = 1e-4
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(picture), picture.new_empty(picture.shape[:2], dtype=torch.int32)
