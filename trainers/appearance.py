"""The scene of a run as one of its training photographs shows it, as an ordinary scene."""

from __future__ import annotations

from pathlib import Path

from gsplat_core.errors import UsageError
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.recoloring import recolored
from trainers.called import called
from trainers.coordinates import share_coordinates
from trainers.evaluation import picture
from trainers.parts.results import AtTest, read_part_results, settled
from trainers.paths import is_run
from trainers.results import test_background
from trainers.run_folder import RunFolder
from trainers.sources import photographs_of, run_config


def in_appearance(
    run: Path, gaussians: Gaussians, name: str, scene: Path | None = None, images: Path | None = None
) -> Gaussians:
    """The scene with the colours of a photograph. What depends on the place in the image, as with bilateral
    grids, becomes the affine change of colours that is nearest to it on what that photograph shows.

    Args:
        gaussians: the run's scene.
        name: of the training photograph, or as much of its end as tells it from the others.
        scene, images: as for `photographs_of`.

    Raises:
        UsageError: this is no run, its photographs have no appearance of their own, or none has such a name.
        DataError: the photographs or what the run keeps of them cannot be read.
    """
    if not is_run(run):
        raise UsageError(f"--appearance: {run} is no run, which alone knows how its photographs look.")
    if run_config(run).appearance == "none":
        raise UsageError(
            f"--appearance: {run} was trained without one; train with --appearance affine, for example."
        )
    dataset, config = photographs_of(run, scene, images)
    assert dataset is not None  # a run names its photographs
    share_coordinates(dataset, gaussians)
    view = _called(name, dataset)
    parts = settled(config, dataset.train, read_part_results(RunFolder(run).parts), gaussians.device)
    compared = AtTest(parts, dataset.train)
    shown = compared.scene(gaussians, view)
    drawn = picture(shown, compared.camera(view), test_background(config))
    change = parts.affine(drawn, dataset.train.index(view))
    if change is not None and gaussians.schema.unused:
        raise UsageError(
            f"--appearance: networks make the colours of the primitive {gaussians.primitive!r}, which know "
            "no change of the image; leave it out, or train with --appearance embedding."
        )
    return shown if change is None else recolored(shown, change)


def _called(name: str, dataset: Dataset) -> View:
    """The training view of this name."""
    if any(view.name == name for view in dataset.test):
        raise UsageError(f"--appearance {name} is a test photograph, of which nothing was learnt.")
    return called(name, dataset.train, "--appearance", "training photograph")
