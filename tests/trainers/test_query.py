"""Which lens took a photograph that is not of a capture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from apps.labelled_scene import arc, labelled_scene, write_capture
from PIL import Image

from gsplat_core.errors import UsageError
from gsplat_core.scene.dataset import Dataset
from trainers.config import TrainConfig
from trainers.query import query_photo


def photo(folder: Path, width: int, height: int, equivalent: int | None = None) -> Path:
    exif = Image.Exif()
    if equivalent:
        exif.get_ifd(0x8769)[0xA405] = equivalent
    Image.new("RGB", (width, height)).save(folder / "query.jpg", exif=exif)
    return folder / "query.jpg"


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("capture")
    (folder / "images").mkdir()
    write_capture(folder, labelled_scene(5), arc(2))
    return Dataset.load(folder, test_every=0)


def test_what_is_given_comes_first_then_the_capture_then_exif(capture: Dataset, tmp_path: Path) -> None:
    own, config = capture.train[0].camera, TrainConfig()
    same = photo(tmp_path, own.width, own.height, 35)
    found = query_photo(same, capture, config)
    assert np.allclose(found.view.camera.K, own.K)
    assert found.view.camera.near == own.near
    assert found.lens_of == "the capture's photographs"
    given = query_photo(same, capture, config, intrinsics=(70, 71, 40, 30))
    assert given.view.camera.K.tolist() == [[70, 0, 40], [0, 71, 30], [0, 0, 1]]
    assert query_photo(same, capture, config, focal=77).view.camera.K[0, 0] == 77
    twice = query_photo(photo(tmp_path, 2 * own.width, 2 * own.height), capture, config)
    assert np.allclose(twice.view.camera.K[:2], 2 * own.K[:2])
    other = query_photo(photo(tmp_path, 90, 90, 35), capture, config)
    assert other.lens_of == "its EXIF data"
    assert other.view.camera.K[0, 2] == 45
    with pytest.raises(UsageError, match="--focal"):
        query_photo(photo(tmp_path, 90, 90), capture, config)
