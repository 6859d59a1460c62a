"""Balls of Gaussians, their pictures, and cameras that are not where these were taken."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from splats import look_at
from torch import Tensor

from gsplat_core import se3
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians


def ball(seed: int) -> tuple[Gaussians, Tensor, Camera]:
    """90 to 300 Gaussians in the unit ball, their image of 40 to 64 pixels a side, and its camera."""
    g = torch.Generator().manual_seed(seed)
    num, side = (int(torch.randint(*span, (), generator=g)) for span in ((90, 301), (40, 65)))
    directions = torch.nn.functional.normalize(torch.randn(num, 3, generator=g), dim=1)
    scene = Gaussians(
        means=directions * torch.rand(num, 1, generator=g) ** (1 / 3),
        quats=torch.randn(num, 4, generator=g),
        scales=(0.03 + 0.12 * torch.rand(num, 3, generator=g)).log(),
        opacities=torch.logit(0.5 + 0.45 * torch.rand(num, generator=g)),
        sh0=(torch.rand(num, 1, 3, generator=g) - 0.5) / 0.2821,
        shN=torch.zeros(num, 0, 3),
    )
    eye = 3 * torch.nn.functional.normalize(torch.randn(3, generator=g), dim=0)
    K = np.array([[1.2 * side, 0, side / 2], [0, 1.2 * side, side / 2], [0, 0, 1]])
    camera = Camera(look_at(tuple(eye.tolist())).double().numpy(), K, side, side)
    return scene, render(scene, camera).colors[0].clamp(0, 1), camera


def moved(camera: Camera, degrees: float, distance: float, seed: int = 0) -> Camera:
    """The camera turned by so many degrees and moved so far, in random directions."""
    g = torch.Generator().manual_seed(1000 + seed)
    ways = torch.nn.functional.normalize(torch.randn(2, 3, generator=g), dim=1).double()
    twist = torch.cat([math.radians(degrees) * ways[0], distance * ways[1]])
    return replace(camera, viewmat=se3.exp(twist).numpy() @ camera.viewmat)
