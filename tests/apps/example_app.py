"""Keep the Gaussians nearest to the photographs' cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gsplat_core.errors import UsageError
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians


@dataclass(frozen=True)
class Config:
    share: float = 0.5
    """How many of the Gaussians stay."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"--share must be above 0, at most 1, not {self.share}.")


def run(scene: Gaussians, cameras: Sequence[Camera], config: Config) -> tuple[Gaussians, str]:
    """The nearest of them, in their order."""
    places = torch.stack([torch.linalg.inv(torch.as_tensor(camera.viewmat))[:3, 3] for camera in cameras])
    distances = torch.cdist(scene.means.double(), places.to(scene.device, torch.float64)).amin(dim=1)
    rows = distances.argsort()[: max(round(config.share * scene.num), 1)].sort().values
    return scene.subset(rows), f"kept the nearest {len(rows):,} of {scene.num:,} Gaussians"
