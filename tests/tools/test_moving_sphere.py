"""tools/make_sequence.py and compare_sequences.py: a scene whose motion is known, and distances from it."""

from __future__ import annotations

from pathlib import Path

import compare_sequences
import make_sequence
import numpy as np
import pytest
from colmap_model.cameras import Pinhole
from moving_sphere import shape
from PIL import Image

from gsplat_core.scene.dataset import Dataset
from trainers.sequence.frames import Frames

LENS = Pinhole(20, 20, 25.0)


def test_rays_meet_the_surface_and_flow_leads_there_and_back() -> None:
    view = make_sequence.cameras_around(6)[0]
    directions, there = make_sequence.seen(LENS, view, 1.0, np.array([0.5, 0.5]))
    assert 0.2 < there.mean() < 0.6
    places = (directions * shape.radius(directions, 1.0)[:, None])[there]
    pixels = LENS.project(view.to_camera(places))
    y, x = np.mgrid[:20, :20] + 0.5
    np.testing.assert_allclose(pixels, np.stack([x.ravel(), y.ravel()], axis=1)[there], atol=1e-5)
    moved = make_sequence.flow(LENS, view, 1.0, 0.0).reshape(-1, 2)
    still = (directions @ shape.AXIS < shape.EDGE)[there]
    assert still.any()
    assert np.abs(moved[there][still]).max() < 1e-4
    assert np.abs(moved[there][~still]).max() > 0.5
    assert not moved[~there].any()


def test_the_folder_is_a_sequence_with_outlines(tmp_path: Path) -> None:
    make_sequence.make(tmp_path, frames=2, cameras=3, size=12, flows=True)
    found = Frames.find(tmp_path)
    assert list(found.folders) == ["frame_000", "frame_001"]
    views = Dataset.load(tmp_path, images=found.folders["frame_001"], test_every=0, alpha="keep").train
    assert [view.name for view in views] == ["camera_0.png", "camera_1.png", "camera_2.png"]
    assert views[0].alpha() is not None
    pixels = np.asarray(Image.open(tmp_path / "frame_000" / "camera_1.png"))
    assert pixels.shape == (12, 12, 4)
    assert (pixels[6, 6, 3], pixels[0, 0, 3]) == (255, 0)
    assert len(list((tmp_path / "flow" / "frame_001").iterdir())) == 6
    assert compare_sequences.never_moving(views[0].camera, 2).shape == (12, 12)


def test_what_lies_on_the_surface_has_no_distance_from_it() -> None:
    assert compare_sequences.chamfer(shape.sampled(0.7, compare_sequences.SAMPLES), 0.7) < 1e-12
    larger = 1.1 * shape.sampled(0.0, compare_sequences.SAMPLES)
    assert compare_sequences.chamfer(larger, 0.0) == pytest.approx(0.1, rel=0.01)
