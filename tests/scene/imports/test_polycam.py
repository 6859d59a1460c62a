"""Polycam's raw data: one .json for each photograph, in ARKit's axes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from exported_photographs import HEIGHT, WIDTH, centers, photographs, rotations

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset
from gsplat_core.sfm.photographs import lack_poses

ARKIT = np.diag([1.0, -1.0, -1.0])


def export(folder: Path, images: str = "images", cameras: str = "cameras", seed: int = 0) -> None:
    names = photographs(folder / "keyframes" / images, ".jpg")
    (folder / "keyframes" / cameras).mkdir()
    for name, rotation, center in zip(names, rotations(seed), centers(seed), strict=True):
        pose = np.column_stack([rotation.T @ ARKIT, center])
        values = {f"t_{i}{j}": pose[i, j] for i in range(3) for j in range(4)}
        values |= {"fx": 50.0, "fy": 51.0, "cx": 31.0, "cy": 19.0, "width": WIDTH, "height": HEIGHT}
        (folder / "keyframes" / cameras / f"{name}.json").write_text(json.dumps(values | {"blur_score": 9}))


def test_cameras_are_those_that_were_exported(tmp_path: Path) -> None:
    export(tmp_path)
    for folder in (tmp_path, tmp_path / "keyframes"):
        views = Dataset.load(folder, test_every=0, prefetch=False).train
        assert [view.name for view in views] == [f"shot_{number}.jpg" for number in range(4)]
        for view, rotation, center in zip(views, rotations(), centers(), strict=True):
            np.testing.assert_allclose(view.camera.viewmat[:3, :3], rotation, atol=1e-12)
            np.testing.assert_allclose(view.camera.center, center, atol=1e-12)
            np.testing.assert_allclose(view.camera.K, [[50, 0, 31], [0, 51, 19], [0, 0, 1]])


def test_corrected_cameras_come_first(tmp_path: Path) -> None:
    export(tmp_path)
    export(tmp_path, "corrected_images", "corrected_cameras", seed=1)
    views = Dataset.load(tmp_path, test_every=0, prefetch=False).train
    np.testing.assert_allclose(views[0].camera.viewmat[:3, :3], rotations(1)[0], atol=1e-12)


def test_a_camera_that_cannot_be_used_costs_itself(tmp_path: Path) -> None:
    export(tmp_path)
    file = tmp_path / "keyframes" / "cameras" / "shot_1.json"
    file.write_text(file.read_text().replace('"fx"', '"f"'))
    data = Dataset.load(tmp_path, test_every=0, prefetch=False)
    assert len(data.train) == 3
    assert any("1 of 4 cameras cannot be used" in warning for warning in data.warnings)
    with pytest.raises(DataError, match=r"shot_1\.json.*fx.*must be a number"):
        Dataset.load(tmp_path, test_every=0, prefetch=False, strict=True)


def test_poses_are_not_looked_for_where_they_are_known(tmp_path: Path) -> None:
    photographs(tmp_path / "images")
    assert lack_poses(tmp_path)
    export(tmp_path)
    assert not lack_poses(tmp_path)
