"""Looks of stone, plaster, soil, leaves and the like, and skies."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .capture import Look, Spot
from .noise import Noise

Colour = tuple[float, float, float]


def mix(a: Colour | Tensor, b: Colour | Tensor, amount: Tensor) -> Tensor:
    """From a to b by amount [N]."""
    part = amount.clamp(0, 1)[:, None]
    return torch.as_tensor(a) * (1 - part) + torch.as_tensor(b) * part


def grain(field: Tensor, fine: Tensor) -> Tensor:
    """Brightness [N,1] of a surface with pits and specks that have sharp edges, from two noises [N,4]."""
    pits = ((fine[:, 3:] - 0.55) * 5).clamp(0, 1) + 0.6 * ((field[:, 3:] - 0.6) * 8).clamp(0, 1)
    specks = ((-fine[:, 2:3] - 0.6) * 6).clamp(0, 1)
    return (1 + 0.35 * fine[:, 1:2] - 0.5 * pits + 0.35 * specks).clamp(min=0.25)


def rough(
    light: Colour, dark: Colour, coarse: float, octaves: int = 9, bump: float = 0.5, gloss: float = 0.0
) -> Callable[[Spot], Look]:
    """Two colours in patches of all sizes from `coarse` (scene units) down, with a rough surface."""

    def look(spot: Spot) -> Look:
        field = spot.noise(spot.points, coarse, octaves, spot.footprint, gain=0.75)
        fine = spot.noise(spot.points * 1.7, coarse / 8, octaves - 3, spot.footprint, gain=0.95)
        albedo = mix(light, dark, 0.5 + 0.45 * field[:, 0] + 0.3 * fine[:, 0])
        return Look(albedo * grain(field, fine), bump * fine[:, 1:], gloss)

    return look


def leafy(light: Colour, dark: Colour, through: float = 0.5) -> Callable[[Spot], Look]:
    """Leaves that differ from each other."""

    def look(spot: Spot) -> Look:
        fine = spot.noise(spot.points, 0.05, 5, spot.footprint)
        albedo = mix(light, dark, spot.tone + 0.2 * fine[:, 0])
        return Look(albedo, 0.2 * fine[:, 1:], 0.08, through)

    return look


def tiles(
    size: Colour, light: Colour, dark: Colour, joint: Colour, width: float, bond: bool = True
) -> Callable[[Spot], Look]:
    """Bricks or slabs of size (x, y, z) with joints; bond: every other row is shifted by half a brick."""

    def look(spot: Spot) -> Look:
        p = spot.points / torch.tensor(size)
        flat = spot.normals.abs().argmax(1)
        # The two directions within the surface: rows run along the second.
        u = torch.where(flat == 0, p[:, 1], p[:, 0])
        v = torch.where(flat == 2, p[:, 1], p[:, 2])
        row = v.floor()
        if bond:
            u = u + 0.5 * torch.remainder(row, 2)
        column = u.floor()
        span = torch.where(flat == 0, size[1], size[0]), torch.where(flat == 2, size[1], size[2])
        edge = torch.minimum(
            (0.5 - (u - column - 0.5).abs()) * span[0], (0.5 - (v - row - 0.5).abs()) * span[1]
        )
        soft = torch.maximum(spot.footprint, torch.tensor(0.2 * width))
        gap = ((width / 2 - edge) / soft + 0.5).clamp(0, 1)
        each = torch.remainder(torch.sin(column * 12.99 + row * 78.23 + 3.7 * flat) * 43758.5, 1.0)
        field = spot.noise(spot.points, 2 * max(size), 10, spot.footprint, gain=0.75)
        fine = spot.noise(spot.points * 1.3, max(size) / 6, 6, spot.footprint, gain=0.95)
        albedo = mix(light, dark, 0.65 * each + 0.2 + 0.3 * field[:, 0] + 0.2 * fine[:, 0])
        albedo = albedo * grain(field, fine)
        return Look(mix(albedo, torch.tensor(joint) * (1 + 0.3 * fine[:, :1]), gap), 0.35 * fine[:, 1:])

    return look


def plain(colour: Colour, gloss: float = 0.3, spread: float = 0.0) -> Callable[[Spot], Look]:
    """Paint or metal; `spread`: how much objects differ in brightness."""

    def look(spot: Spot) -> Look:
        fine = spot.noise(spot.points, 0.3, 6, spot.footprint)
        bright = (1 + 0.1 * fine[:, :1]) * (1 + spread * (2 * spot.tone[:, None] - 1))
        return Look(torch.tensor(colour) * bright, 0.05 * fine[:, 1:], gloss)

    return look


def cloudy_sky(sun: Tensor) -> Callable[[Tensor, Noise], Tensor]:
    """A bright sky, white towards the horizon, with clouds and a glow around the sun."""

    def sky(looking: Tensor, noise: Noise) -> Tensor:
        up = looking[:, 2].clamp(min=0.0)
        blue = mix((0.70, 0.85, 1.05), (0.16, 0.36, 0.85), up.sqrt())
        sheet = torch.cat([looking[:, :2] / (up[:, None] + 0.18), torch.full((len(up), 1), 0.5)], dim=1)
        small = torch.full((len(up),), 0.003)
        cloud = noise(sheet, 1.1, 8, small, gain=0.62)[:, 0]
        body = ((cloud - 0.02) * 2.2).clamp(0, 1)
        shade = noise(sheet + 0.15, 1.1, 6, small, gain=0.62)[:, 0].clamp(0, 1)
        white = torch.tensor([1.55, 1.52, 1.48]) * (1 - 0.45 * shade[:, None])
        glow = (looking @ torch.nn.functional.normalize(sun, dim=0)).clamp(min=0)
        return mix(blue, white, body) + (0.8 * glow**60 + 0.25 * glow**6)[:, None]

    return sky
