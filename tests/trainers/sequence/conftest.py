"""A sequence of three frames that moves: the tiny scene, seen from a little farther to the left each time."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAMES = ("t1", "t2", "t10")


@pytest.fixture(scope="session")
def frames(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    shutil.copytree(tiny_scene / "sparse", folder / "sparse")
    for number, name in enumerate(NAMES):
        (folder / name).mkdir()
        for path in sorted((tiny_scene / "images").iterdir()):
            pixels = np.roll(np.asarray(Image.open(path)), number, axis=1)
            Image.fromarray(pixels).save(folder / name / path.name)
    return folder
