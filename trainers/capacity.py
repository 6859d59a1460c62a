"""How many Gaussians the photographs of a capture can determine.

Without a limit, density control goes on where there is nothing left to learn: from 15 photographs it made
200,000 Gaussians that matched these and no others. A Gaussian has 59 numbers; a pixel gives three, which
neighbouring pixels and views largely repeat.
"""

from __future__ import annotations

from collections.abc import Sequence

from gsplat_core.scene.dataset import View
from trainers.config import TrainConfig

# So many pixels of training photographs for each Gaussian; see docs/strategies.md.
PIXELS_PER_GAUSSIAN = 16
# Photographs as small as icons still show a thing of so many parts.
FEWEST = 1000
# More make no run better that takes hours; --max-gaussians allows them.
MOST = 2_000_000


def capacity(views: Sequence[View]) -> int:
    """The number of Gaussians that the photographs can determine."""
    pixels = sum(view.camera.width * view.camera.height for view in views)
    return min(max(pixels // PIXELS_PER_GAUSSIAN, FEWEST), MOST)


def within_capacity(config: TrainConfig, views: Sequence[View]) -> TrainConfig:
    """The configuration with the cap that holds for these photographs in every part that has one."""
    if (aligned := config.pixel_aligned) is not None and config.start is None:
        return config.with_shared(max_gaussians=aligned.count(views, config.max_gaussians))
    if config.cap == "none":
        return config
    limit = capacity(views)
    if config.max_gaussians is not None:
        limit = min(limit, config.max_gaussians)
    return config.with_shared(max_gaussians=limit)
