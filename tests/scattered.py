"""Gaussians all around, a few of them large, and cameras that look anywhere, for tests of stores."""

from __future__ import annotations

import math

import numpy as np
import torch

from gsplat_core.render.variants import CAMERAS
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians


def scattered(num: int = 2000, primitive: str = "gaussian", degree: int = 1, seed: int = 0) -> Gaussians:
    """In a cube of side 8; the field `label` numbers the rows."""
    random = torch.Generator().manual_seed(seed)
    sizes = 0.02 * torch.rand(num, 3, generator=random) * 3 + 1e-3
    large = torch.rand(num, 1, generator=random) < 0.02
    return Gaussians(
        means=8 * torch.rand(num, 3, generator=random) - 4,
        quats=torch.randn(num, 4, generator=random),
        scales=(sizes * torch.where(large, 8.0, 1.0)).log(),
        opacities=2 * torch.randn(num, generator=random),
        sh0=torch.randn(num, 1, 3, generator=random),
        shN=0.2 * torch.randn(num, (degree + 1) ** 2 - 1, 3, generator=random),
        extras={"label": torch.arange(num)},
    ).with_primitive(primitive)


def anywhere(seed: int, model: str = "pinhole") -> Camera:
    """A camera of the model about the middle of the scene."""
    random = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation * np.sign(np.linalg.det(rotation))
    viewmat[:3, 3] = random.normal(size=3)
    lens = (-0.1, 0.05, 0.01) if model == "opencv" else ()
    lens = (*lens, *(0.0,) * (CAMERAS[model] - len(lens)))
    if model == "equirectangular":
        K = np.array([[96 / math.tau, 0, 48], [0, 96 / math.tau, 24], [0, 0, 1.0]])
        return Camera(viewmat, K, 96, 48, model=model)
    focal = 30.0 if model == "ortho" else 60.0
    K = np.array([[focal, 0, 44], [0, focal, 36], [0, 0, 1.0]])
    return Camera(viewmat, K, 96, 72, model=model, lens=lens)
