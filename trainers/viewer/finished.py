"""What a viewer shows of a run or a splat file that is there."""

from __future__ import annotations

from pathlib import Path

from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Vector
from trainers.history import read_history
from trainers.next_steps import quoted
from trainers.outlook import outlook_on, photographs_if_any
from trainers.parts.results import AtTest
from trainers.paths import is_run
from trainers.results import test_background
from trainers.run_folder import RunFolder
from trainers.viewer.subject import Subject


def subject_of(
    source: Path,
    gaussians: Gaussians,
    up: Vector | None = None,
    scene: Path | None = None,
    images: Path | None = None,
) -> Subject:
    """A scene with the photographs that belong to it, if they can be read.

    Args:
        source: the run or file that the Gaussians come from.
        up: the direction that is up. None: that of the photographs, or -y, as in COLMAP.
        scene, images: as for `photographs_of`.

    Raises:
        DataError: the photographs that `scene` names cannot be read.
    """
    dataset, config = photographs_if_any(source, scene, images)
    run = RunFolder(source)
    subject = Subject(
        source.stem or str(source),
        quoted(source),
        gaussians,
        outlook_on(dataset, gaussians, up),
        background=test_background(config),
        history=lambda: read_history(run.history) if is_run(source) else [],
    )
    if dataset is not None:
        subject.views, subject.tests = [*dataset.train, *dataset.test], len(dataset.test)
        subject.compared = AtTest.of(source, config, dataset, gaussians.device)
    return subject
