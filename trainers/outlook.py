"""From where a scene is looked at first, and what the view turns around."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Orbit, Vector, default_lens, orbit_of_cameras, orbit_of_gaussians
from trainers.coordinates import share_coordinates
from trainers.messages import warn
from trainers.sources import photographs_of


def outlook(source: Path, gaussians: Gaussians, up: Vector | None = None) -> Orbit:
    """Around what the photographs of a run look at, or, where there are none, around the Gaussians.

    Args:
        source: the run or file that the Gaussians come from.
        up: the direction that is up. None: that of the photographs, or -y, as in COLMAP.
    """
    dataset = None
    try:
        dataset, _ = photographs_of(source, None)
    except DataError as error:
        warn(f"{error} The view turns around the Gaussians, and which way is up is a guess.")
    return outlook_on(dataset, gaussians, up)


def outlook_on(dataset: Dataset | None, gaussians: Gaussians, up: Vector | None = None) -> Orbit:
    """The same with these photographs, or none; their cameras then share the coordinates of the scene."""
    if dataset is None:
        return orbit_of_gaussians(gaussians, np.array([0.0, -1.0, 0.0]) if up is None else up)
    share_coordinates(dataset, gaussians)
    orbit = orbit_of_cameras([view.camera for view in dataset.train])
    return orbit if up is None else replace(orbit, up=up)


def as_text(orbit: Orbit) -> str:
    """The option `view` of pages: the orbit's beginning, its centre and up."""
    first = orbit.cameras(1, default_lens(800, 600))[0].center
    return ",".join(f"{number:.9g}" for number in (*first, *orbit.center, *orbit.up))
