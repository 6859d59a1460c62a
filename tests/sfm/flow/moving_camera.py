"""A hilly ground that a camera moves over, with exact flow, depths and poses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.sfm.flow.files import FlowPair


@dataclass
class MovingCamera:
    """F frames of a height field, seen by a camera on an arc that looks at its middle.

    Attributes:
        viewmats: [F, 4, 4] float64.
        depths: [F, H, W] along the viewing axis.
        images: [F, H, W, 3] in [0, 1].
        flows: between each frame and the next.
    """

    viewmats: Tensor
    depths: Tensor
    images: Tensor
    flows: list[FlowPair]


def moving_camera(
    frames: int = 12,
    height: int = 48,
    width: int = 64,
    focal: float = 0.9,
    seed: int = 0,
    step: float = 0.06,
    turning_only: bool = False,
) -> MovingCamera:
    """
    Args:
        focal: in units of the square root of the image's area.
        step: angle between neighbouring frames, seen from the middle of what is shown.
        turning_only: the camera turns by these angles, and stays where it is.
    """
    random = torch.Generator().manual_seed(seed)
    waves = 4 * torch.rand(5, 2, generator=random, dtype=torch.float64) - 2
    phases = 6.28 * torch.rand(5, generator=random, dtype=torch.float64)
    unit = math.sqrt(height * width)
    x, y = torch.meshgrid(
        torch.arange(width, dtype=torch.float64) + 0.5,
        torch.arange(height, dtype=torch.float64) + 0.5,
        indexing="xy",
    )
    flat = torch.stack(
        [(x - width / 2) / unit / focal, (y - height / 2) / unit / focal, torch.ones_like(x)], -1
    )

    def ground(place: Tensor) -> Tensor:
        return 2 + torch.sin(place[..., :2] @ waves.T + phases).sum(dim=-1) / 6

    def seen(viewmat: Tensor) -> tuple[Tensor, Tensor]:
        """Places [H, W, 3] and depths [H, W], by fixed-point iteration."""
        rays, center = flat @ viewmat[:3, :3], -viewmat[:3, :3].T @ viewmat[:3, 3]
        depths = torch.full_like(x, 2.0)
        for _ in range(120):
            place = center + depths[..., None] * rays
            depths = depths + 0.7 * (ground(place) - place[..., 2]) / rays[..., 2]
        return center + depths[..., None] * rays, depths

    def flow(places: Tensor, viewmat: Tensor) -> Tensor:
        local = places @ viewmat[:3, :3].T + viewmat[:3, 3]
        pixels = local[..., :2] / local[..., 2:] * focal * unit + torch.tensor([width / 2, height / 2])
        return (pixels - torch.stack([x, y], dim=-1)).float()

    viewmats = torch.stack([_look((i - (frames - 1) / 2) * step, seed, turning_only) for i in range(frames)])
    found = [seen(viewmat) for viewmat in viewmats]
    flows = [
        FlowPair(flow(found[i][0], viewmats[i + 1]), flow(found[i + 1][0], viewmats[i]))
        for i in range(frames - 1)
    ]
    return MovingCamera(
        viewmats,
        torch.stack([depths for _, depths in found]),
        torch.stack([_colour(places) for places, _ in found]),
        flows,
    )


def _look(angle: float, seed: int, turning_only: bool) -> Tensor:
    middle = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)
    if turning_only:
        center = torch.zeros(3, dtype=torch.float64)
        middle = torch.tensor([2 * math.sin(angle), 0.3 * math.sin(2 * angle), 2 * math.cos(angle)]).double()
    else:
        sway = [2 * math.sin(angle), 0.3 * math.sin(2.3 * angle + seed), 2 - 2 * math.cos(angle)]
        center = torch.tensor(sway, dtype=torch.float64)
    ahead = torch.nn.functional.normalize(middle - center, dim=0)
    down = torch.tensor([0.02 * math.sin(5 * angle), 1.0, 0.0], dtype=torch.float64)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, ahead), dim=0)
    rotation = torch.stack([right, torch.linalg.cross(ahead, right), ahead])
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ center
    return viewmat


def _colour(places: Tensor) -> Tensor:
    """A texture with details of many sizes."""
    x, y = places[..., 0], places[..., 1]
    layers = [
        sum(torch.sin(scale * (1.3 * x + turn * y) + scale) for scale in (3.0, 7.0, 15.0, 24.0))
        + sum(torch.cos(scale * (y - turn * x)) for scale in (4.0, 9.0, 20.0))
        for turn in (0.4, 0.8, 1.3)
    ]
    return (0.5 + 0.08 * torch.stack(layers, dim=-1)).clamp(0, 1).float()
