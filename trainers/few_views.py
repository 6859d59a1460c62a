"""`train --sparse`: the configuration of a run on a few photographs, and when to think of it."""

from __future__ import annotations

from dataclasses import replace

from gsplat_core.scene.dataset import Dataset
from trainers.config import TrainConfig
from trainers.parts.registry import with_parts

# What few directions tell of how colours change with them.
_SH_DEGREE = 1
# So many photographs leave open where things are that have Gaussians to begin with only at sparse points.
_FEW = 5


def with_few_views(config: TrainConfig) -> TrainConfig:
    """The run that starts with a Gaussian for each pixel, with the settings of a configuration that has
    some."""
    config = with_parts(config, ["pixel_aligned", "smooth_depths", "roundness"])
    return replace(config, sh_degree=min(config.sh_degree, _SH_DEGREE))


def advice(config: TrainConfig, dataset: Dataset) -> str:
    """What a person should know who trains on few photographs; empty where there is nothing."""
    count = len(dataset.train)
    if count > _FEW or any((config.pixel_aligned, config.on_mesh, config.start)):
        return ""
    photographs = "one photograph" if count == 1 else f"{count} photographs"
    return (
        f"With {photographs}, --sparse may show more: it starts with a Gaussian for each pixel "
        "(docs/few_views.md)."
    )
