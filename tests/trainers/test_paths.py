"""trainers/paths.py: what is named by mistake is told before anything is imported that takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from gsplat_core.errors import DataError
from trainers.paths import must_be_photographs, must_be_scene


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    (folder / "images").mkdir(parents=True)
    return folder


def test_what_fits_passes(run: Path, photographs: Path, tmp_path: Path) -> None:
    file = tmp_path / "scene.ply"
    file.write_bytes(b"")
    sog = tmp_path / "sog"
    sog.mkdir()
    (sog / "meta.json").write_text("{}")
    for scene in (run, file, sog):
        must_be_scene(scene)
    (photographs / "transforms.json").write_text("{}")
    for capture in (photographs, photographs / "transforms.json"):
        must_be_photographs(capture)


def test_one_in_the_place_of_the_other_is_named(run: Path, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "scene.ply").write_bytes(b"")
    with pytest.raises(DataError, match=r"photographs, not yet a scene\. Train first: train .*photographs"):
        must_be_scene(photographs)
    with pytest.raises(DataError, match=r"no config\.json"):
        must_be_scene(tmp_path)
    with pytest.raises(DataError, match=r"is a run, not one of photographs.*-o .*run --resume"):
        must_be_photographs(run)
    with pytest.raises(DataError, match="this is a file"):
        must_be_photographs(tmp_path / "scene.ply")
    for check in (must_be_scene, must_be_photographs):
        with pytest.raises(DataError, match="no such file"):
            check(tmp_path / "nowhere")
