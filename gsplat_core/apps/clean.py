"""Remove Gaussians that the photographs hardly show: leftovers, and specks before a camera.

What no training photograph shows is not determined by any of them, and appears wherever one looks from
elsewhere. The defaults remove what never makes up 2 % of a pixel's colour, which costs next to nothing (0.01
dB for 3.5 % of the sample scene's Gaussians). --min-views also removes what too few photographs show: in
captures whose photographs overlap everywhere, these are mostly specks that hang before one camera. Where they
do not, it tears out the surroundings (2.3 dB at 3 views on the sample scene): look at the figures that are
printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsplat_core.contributions import contributions
from gsplat_core.errors import UsageError
from gsplat_core.render.settings import USUAL
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians


@dataclass(frozen=True)
class Config:
    min_weight: float = 0.02
    """A Gaussian stays if it makes up at least this share of some pixel's colour."""
    min_views: int = 1
    """A Gaussian stays if at least so many photographs show it."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_weight <= 1:
            raise UsageError(f"--min-weight must be from 0 to 1, not {self.min_weight}.")
        if self.min_views < 0:
            raise UsageError(f"--min-views must not be negative, got {self.min_views}.")


def run(scene: Gaussians, cameras: Sequence[Camera], config: Config) -> tuple[Gaussians, str]:
    """The scene without the Gaussians that these cameras hardly see, and how many those were.

    Raises:
        UsageError: none would be left.
    """
    shown = contributions(scene, cameras, USUAL.as_trained(scene.metadata))
    stays = (shown.largest_weight >= config.min_weight) & (shown.views >= config.min_views)
    left = int(stays.sum())
    if not left:
        raise UsageError("No Gaussian would be left; a smaller --min-weight or --min-views removes fewer.")
    return scene.subset(stays), f"removed {scene.num - left:,} of {scene.num:,} Gaussians"
