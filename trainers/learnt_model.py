"""The cameras that a training found, for other programs: `RUN/sparse/0`, a COLMAP model as text.

It is the capture's model, in the capture's coordinates, with other poses and lenses of the training
photographs; test photographs have the poses that they had, and the lenses of those that share them. It
describes photographs as their files are, of full size and distorted: what is learnt of a camera holds for any
size, and lenses of photographs that were undistorted are not learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gsplat_core.io.links import make_folder
from gsplat_core.quaternions import quaternions_of
from gsplat_core.scene.capture import Capture, Shot
from gsplat_core.scene.colmap import RegisteredImage, SparseModel
from gsplat_core.scene.colmap.model import SparsePoints
from gsplat_core.scene.colmap.write import posed, write_model
from gsplat_core.scene.dataset import View, read_capture
from gsplat_core.scene.lens import BROWN, LENS_MODEL_BY_NAME, Lens
from trainers.config import TrainConfig
from trainers.parts.parts import Parts
from trainers.run_folder import RunFolder


def write_learnt_model(run: RunFolder, config: TrainConfig, parts: Parts, trained: Sequence[View]) -> bool:
    """Writes the model if the training found other cameras than the capture has.

    Args:
        run: owned by the caller.
        trained: the training views.

    Returns:
        whether it did.

    Raises:
        DataError: the capture cannot be read any more, or COLMAP has no such lens.
        ResourceError: a file cannot be written.
    """
    numbers = {view.name: number for number, view in enumerate(trained)}
    shots = {name: view.photo.shot for name, view in zip(numbers, trained, strict=True) if view.photo}
    if all(parts.recorded(shot, numbers[name]) is shot for name, shot in shots.items()):
        return False
    capture = read_capture(Path(config.data), config.sparse_model, config.strict)
    changed = {
        shot.name: parts.recorded(shot, numbers[shot.name]) for shot in capture.shots if shot.name in numbers
    }
    model = capture.model or _model_of(capture)
    lenses = dict(model.lenses)
    for image in model.images:
        if image.name in changed:
            lenses[image.camera_id] = changed[image.name].lens
    make_folder(run.sparse / "0", run.path)
    write_model(
        run.sparse / "0",
        {number: _colmap_lens(lens) for number, lens in lenses.items()},
        [_posed_as(image, changed.get(image.name)) for image in model.images],
        model.points,
    )
    return True


def _posed_as(image: RegisteredImage, shot: Shot | None) -> RegisteredImage:
    if shot is None:
        return image
    rotation = torch.from_numpy(np.array(shot.viewmat[:3, :3]))
    return replace(image, quaternion=quaternions_of(rotation).numpy(), translation=shot.viewmat[:3, 3].copy())


def _model_of(capture: Capture) -> SparseModel:
    """That of a capture of another kind: without keypoints and tracks."""
    cameras = {lens: number for number, lens in enumerate(dict.fromkeys(s.lens for s in capture.shots), 1)}
    points = SparsePoints.without_tracks(capture.xyz, capture.rgb)
    return SparseModel(
        capture.source,
        {number: lens for lens, number in cameras.items()},
        [
            posed(number, cameras[shot.lens], shot.name, shot.viewmat)
            for number, shot in enumerate(capture.shots, 1)
        ],
        replace(points, ids=np.arange(1, len(points) + 1)),
    )


def _colmap_lens(lens: Lens) -> Lens:
    """The lens by the name that COLMAP has for it, as far as it has one."""
    if lens.model is not BROWN:
        return lens
    k1, k2, k3, k4, p1, p2 = lens.coefficients
    if k4:
        return lens
    if not any(lens.coefficients):
        return replace(lens, model=LENS_MODEL_BY_NAME["PINHOLE"], coefficients=())
    if not k3:
        return replace(lens, model=LENS_MODEL_BY_NAME["OPENCV"], coefficients=(k1, k2, p1, p2))
    return replace(
        lens, model=LENS_MODEL_BY_NAME["FULL_OPENCV"], coefficients=(k1, k2, p1, p2, k3, 0.0, 0.0, 0.0)
    )
