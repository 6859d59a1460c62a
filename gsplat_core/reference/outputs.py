"""Which channels an image has, and what becomes of them after blending."""

from __future__ import annotations

import torch
from torch import Tensor


def channels(colors: Tensor, depths: Tensor, render_mode: str) -> Tensor:
    """What is blended, [..., N, X]: colours [..., N, D], depths [..., N] or both."""
    if render_mode in ("D", "ED"):
        return depths[..., None]
    if render_mode in ("RGB+D", "RGB+ED"):
        return torch.cat([colors, depths[..., None]], dim=-1)
    return colors


def over_background(rendered: Tensor, alphas: Tensor, backgrounds: Tensor, render_mode: str) -> Tensor:
    """Colours [..., C, H, W, X] in front of backgrounds [..., C, D]; nothing is behind the depth."""
    num_colors = backgrounds.shape[-1] if render_mode.startswith("RGB") else 0
    background = backgrounds.double()[..., None, None, :num_colors]
    colors = rendered[..., :num_colors] + (1 - alphas) * background
    return torch.cat([colors, rendered[..., num_colors:]], -1)


def expected_depth(rendered: Tensor, alphas: Tensor) -> Tensor:
    """The last channel as an average of the depths, not their sum."""
    return torch.cat([rendered[..., :-1], rendered[..., -1:] / alphas.clamp(min=1e-10)], dim=-1)
