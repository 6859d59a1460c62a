"""Which points a view sees, from COLMAP's tracks."""

from __future__ import annotations

import numpy as np
import torch
from paths import SAMPLE

from gsplat_core.scene.capture import capture_from_colmap
from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.dataset import Dataset


def test_every_observation_of_a_track_is_a_sighting() -> None:
    model = read_model(SAMPLE)
    capture = capture_from_colmap(model)
    names = {image.id: image.name for image in model.images}
    points = model.points
    of_track = np.repeat(np.arange(len(points)), np.diff(points.track_starts))
    expected = {(names[image], row) for (image, _), row in zip(points.tracks, of_track, strict=True)}
    found = {(name, int(row)) for name, rows in capture.sightings.items() for row in rows}
    assert len(found) > 1000
    assert found == expected


def test_the_views_of_a_dataset_see_their_points() -> None:
    dataset = Dataset.load(SAMPLE, downscale=2, prefetch=False)
    assert len(dataset.sightings) == len(dataset.train)
    for view, rows in zip(dataset.train, dataset.sightings, strict=True):
        camera = view.camera
        xyz = torch.nn.functional.pad(dataset.points.xyz[rows].double(), (0, 1), value=1.0)
        seen = xyz @ torch.from_numpy(camera.viewmat[:3]).T
        pixels = seen @ torch.from_numpy(camera.K).T
        x, y = pixels[:, 0] / pixels[:, 2], pixels[:, 1] / pixels[:, 2]
        assert (seen[:, 2] > 0).all()
        inside = (x > -1) & (x < camera.width + 1) & (y > -1) & (y < camera.height + 1)
        assert inside.double().mean() > 0.98
