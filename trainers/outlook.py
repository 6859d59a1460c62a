"""From where a scene is looked at first, and what the view turns around."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Orbit, Vector, default_lens, orbit_of_cameras, orbit_of_gaussians
from trainers.config import TrainConfig
from trainers.coordinates import share_coordinates
from trainers.messages import warn
from trainers.sources import photographs_of


def outlook(source: Path, gaussians: Gaussians) -> Orbit:
    """Around what the photographs of a run look at, or, where there are none, around the Gaussians.

    Args:
        source: the run or file that the Gaussians come from.
    """
    return outlook_on(photographs_if_any(source)[0], gaussians)


def photographs_if_any(
    source: Path, scene: Path | None = None, images: Path | None = None
) -> tuple[Dataset | None, TrainConfig]:
    """The photographs that belong to a scene, None with a warning if they cannot be read.

    Args:
        source, scene, images: as for `photographs_of`.

    Raises:
        DataError: the photographs that `scene` names cannot be read.
    """
    try:
        return photographs_of(source, scene, images)
    except DataError as error:
        if scene is not None:
            raise
        warn(f"{error} The view turns around the Gaussians, and which way is up is a guess.")
        return None, TrainConfig()


def outlook_on(dataset: Dataset | None, gaussians: Gaussians, up: Vector | None = None) -> Orbit:
    """The same with these photographs, or none; their cameras then share the coordinates of the scene.

    Args:
        up: the direction that is up. None: that of the photographs, or -y, as in COLMAP.
    """
    if dataset is None:
        return orbit_of_gaussians(gaussians, np.array([0.0, -1.0, 0.0]) if up is None else up)
    share_coordinates(dataset, gaussians)
    orbit = orbit_of_cameras([view.camera for view in dataset.train])
    return orbit if up is None else replace(orbit, up=up)


def as_text(orbit: Orbit) -> str:
    """The option `view` of pages: the orbit's beginning, its centre and up."""
    first = orbit.cameras(1, default_lens(800, 600))[0].center
    return ",".join(f"{number:.9g}" for number in (*first, *orbit.center, *orbit.up))
