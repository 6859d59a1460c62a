"""ScanNet++: the DSLR's photographs with their model, masks and split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from exported_photographs import HEIGHT, WIDTH, centers, photographs, rotations
from PIL import Image

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import rigid
from gsplat_core.scene.colmap.model import SparsePoints
from gsplat_core.scene.colmap.write import posed, write_model
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens


def scene(folder: Path) -> Path:
    dslr = folder / "dslr"
    names = photographs(dslr / "resized_images", ".JPG")
    model = dslr / "colmap"
    fisheye = LENS_MODEL_BY_NAME["OPENCV_FISHEYE"]
    lens = Lens(fisheye, WIDTH, HEIGHT, (25.0, 25.0), (WIDTH / 2, HEIGHT / 2), (0.01, 0.0, 0.0, 0.0))
    poses = zip(names, rotations(), centers(), strict=True)
    images = [
        posed(number, 1, f"{name}.JPG", rigid(rotation, -rotation @ center))
        for number, (name, rotation, center) in enumerate(poses, 1)
    ]
    write_model(model, {1: lens}, images, SparsePoints.none())
    (model / "points3D.txt").write_text("1 0.5 0.5 2 9 9 9 0.1\n2 0.5 0.2 2 9 9 9 0.1\n")
    (dslr / "train_test_lists.json").write_text(
        json.dumps({"train": [f"{name}.JPG" for name in names[:3]], "test": [f"{names[3]}.JPG"]})
    )
    return folder


@pytest.mark.parametrize("named", [".", "dslr"])
def test_its_photographs_and_its_split(named: str, tmp_path: Path) -> None:
    data = Dataset.load(scene(tmp_path) / named, prefetch=False, distortion="keep")
    assert [view.name for view in data.train] == ["shot_0.JPG", "shot_1.JPG", "shot_2.JPG"]
    assert [view.name for view in data.test] == ["shot_3.JPG"]
    assert len(data.points.xyz) == 2
    for view, rotation, center in zip(data.train, rotations(), centers(), strict=False):
        assert view.camera.model == "fisheye"
        np.testing.assert_allclose(view.camera.viewmat[:3, :3], rotation, atol=1e-9)
        np.testing.assert_allclose(view.camera.center, center, atol=1e-9)


def test_what_was_made_unrecognizable_is_masked(tmp_path: Path) -> None:
    masks = scene(tmp_path) / "dslr" / "resized_anon_masks"
    masks.mkdir()
    kept = np.full((HEIGHT, WIDTH), 255, np.uint8)
    kept[:10] = 0
    Image.fromarray(kept).save(masks / "shot_0.png")
    first, second, _ = Dataset.load(tmp_path, prefetch=False, distortion="keep").train
    mask = first.mask()
    assert mask is not None
    assert not mask[:9].any()
    assert mask[11:].any()
    assert second.mask() is None or second.mask()[:9].any()


@pytest.mark.parametrize("text", ['{"test": "shot_3.JPG"}', '{"test": []}', "[]", "{"])
def test_lists_that_are_none_are_told(text: str, tmp_path: Path) -> None:
    (scene(tmp_path) / "dslr" / "train_test_lists.json").write_text(text)
    with pytest.raises(DataError, match=r"train_test_lists\.json"):
        Dataset.load(tmp_path, prefetch=False)
