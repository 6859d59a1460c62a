"""Plain Gaussians in place of a scene that is other Gaussians for each camera, for `gsplat-core export`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gsplat_core import primitive
from gsplat_core.baking import averaged, seen_from
from gsplat_core.errors import UsageError
from gsplat_core.render.cameras import Cameras
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.gaussians import Gaussians
from trainers.called import called
from trainers.config import TrainConfig
from trainers.coordinates import share_coordinates
from trainers.evaluation import render
from trainers.parts.results import AtTest
from trainers.results import test_background
from trainers.sources import photographs_of
from trainers.waiting import counted

# Of the training views, so many are drawn to choose a degree of harmonics.
_COMPARED = 8
_DEGREES = (0, 1, 2, 3)


class Baked(NamedTuple):
    """Plain Gaussians, what they stand for in words, and the camera that sees them, if it is one."""

    scene: Gaussians
    told: str
    camera: Camera | None = None


def plain(
    source: Path, scene: Gaussians, camera: str | None, photographs: Path | None, images: Path | None
) -> Baked:
    """The plain Gaussians that a scene looks like from a photograph's camera, or on average from those of the
    training photographs; or those that it comes nearest to, where it only looks roughly like any.

    Args:
        source: the run or file of the scene.
        camera: the photograph; None: the average.
        photographs, images: as for `photographs_of`.

    Raises:
        UsageError: the scene is the same from everywhere, there are no photographs, or none is called so.
        DataError: they cannot be read.
    """
    option = "--bake" if camera is None else "--camera"
    kind = primitive.get(scene.primitive)
    if kind.nearest is not None and camera is None:
        return Baked(kind.nearest(scene), f"without what the primitive {scene.primitive!r} adds")
    if not kind.per_camera:
        raise UsageError(
            f"{option}: Gaussians of the primitive {scene.primitive!r} are the same from everywhere; leave "
            "it out."
        )
    dataset, config = photographs_of(source, photographs, images)
    if dataset is None:
        raise UsageError(f"{option}: {source} comes without photographs; add --scene FOLDER.")
    share_coordinates(dataset, scene)
    shot = AtTest.of(source, config, dataset, scene.device).camera
    if camera is not None:
        view = called(camera, [*dataset.train, *dataset.test], option)
        seen = seen_from(scene, Cameras.of(shot(view), scene.device).viewmats[0])
        return Baked(seen, f"as the camera of {view.name} sees it", shot(view))
    return _average(scene, dataset, config, shot)


def _average(
    scene: Gaussians, dataset: Dataset, config: TrainConfig, shot: Callable[[View], Camera]
) -> Baked:
    """With harmonics of the degree whose images are nearest to those of the scene."""
    cameras = [shot(view) for view in dataset.train]
    several = averaged(scene, [Cameras.of(camera, scene.device) for camera in cameras], _DEGREES)
    some = cameras[:: -(-len(cameras) // _COMPARED)]
    background = test_background(config)
    errors = dict.fromkeys(several, 0.0)
    for camera in counted(some, "comparing degrees of harmonics", len(some)):
        truth = render(scene, camera, background)
        for degree, candidate in several.items():
            image = render(candidate, camera, background)
            errors[degree] += float((image - truth).square().mean())
    best = min(errors, key=lambda degree: errors[degree])
    return Baked(several[best], f"the average of {len(cameras)} cameras, with harmonics of degree {best}")
