"""trainers/summary.py: what a run is made of, told at its start."""

from __future__ import annotations

from pathlib import Path

from gsplat_core.scene.dataset import Dataset
from trainers.summary import summary


def test_photographs_cameras_and_points_are_counted(tiny_scene: Path) -> None:
    dataset = Dataset.load(tiny_scene, test_every=4)
    camera = dataset.train[0].camera
    text = summary(dataset, 1)
    total = len(dataset.train) + len(dataset.test)
    assert f"{total} photographs of {camera.width} x {camera.height} pixels from " in text
    assert "(pinhole)" in text
    assert f"{len(dataset.train)} to train on, {len(dataset.test)} held out for testing" in text
    assert f"{len(dataset.points.xyz):,} 3D points." in text


def test_shrunk_photographs_are_told_as_they_are_used(tiny_scene: Path) -> None:
    dataset = Dataset.load(tiny_scene, test_every=0, downscale=2.5)
    camera = dataset.train[0].camera
    assert f"of {camera.width} x {camera.height} pixels (shrunk by 2.5)" in summary(dataset, 2.5)
    assert "held out" not in summary(dataset, 2.5)
