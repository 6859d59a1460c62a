"""The reader on models that COLMAP wrote, against figures found with other programs."""

from __future__ import annotations

import numpy as np
import pytest
from paths import real_scene

from gsplat_core.quaternions import rotation_matrix
from gsplat_core.scene.colmap import SparseModel, read_model

# name, images, points, observations, mean of COLMAP's error over points, mean error over observations
REAL_SCENES = [
    ("fox", 50, 13_518, 90_488, 0.45, 0.49),
    ("tabletop", 42, 11_979, 88_151, 0.80, 0.92),
    ("tabletop_distorted", 42, 11_979, 88_151, 0.81, 0.935),
]


def reprojection_errors(model: SparseModel) -> np.ndarray:
    """Distance in pixels between every keypoint with a point and that point's projection."""
    row = {point_id: i for i, point_id in enumerate(model.points.ids.tolist())}
    errors = []
    for image in model.images:
        seen = image.point_ids >= 0
        xyz = model.points.xyz[[row[i] for i in image.point_ids[seen].tolist()]]
        camera = xyz @ rotation_matrix(image.quaternion).T + image.translation
        assert (camera[:, 2] > 0).all()
        pixels = model.lenses[image.camera_id].distort(camera[:, :2] / camera[:, 2:])
        errors.append(np.linalg.norm(pixels - image.keypoints[seen], axis=1))
    return np.concatenate(errors)


@pytest.mark.parametrize(
    ("name", "images", "points", "observations", "error", "error_per_sighting"), REAL_SCENES
)
def test_counts_and_reprojection_errors(
    name: str, images: int, points: int, observations: int, error: float, error_per_sighting: float
) -> None:
    model = read_model(real_scene(name))
    assert model.warnings == []
    assert (len(model.images), len(model.points), len(model.points.tracks)) == (images, points, observations)
    assert model.points.errors.mean() == pytest.approx(error, abs=0.005)
    assert reprojection_errors(model).mean() == pytest.approx(error_per_sighting, abs=0.005)


@pytest.mark.parametrize("name", ["fox", "tabletop"])
def test_tracks_and_keypoints_tell_the_same(name: str) -> None:
    model = read_model(real_scene(name))
    images = {image.id: image for image in model.images}
    for point in range(0, len(model.points), 97):
        track = model.points.tracks[model.points.track_starts[point] : model.points.track_starts[point + 1]]
        assert len(track) >= 2
        for image_id, keypoint in track.tolist():
            assert images[image_id].point_ids[keypoint] == model.points.ids[point]
