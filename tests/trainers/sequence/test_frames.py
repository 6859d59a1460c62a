"""trainers/sequence/frames.py: which folders are frames, and where the cameras are known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gsplat_core.errors import DataError
from trainers.sequence.frames import Frames


def folder_with(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_frames_are_counted_and_other_folders_left_alone(tmp_path: Path) -> None:
    model = ("sparse/0/cameras.txt", "sparse/0/images.txt", "sparse/0/points3D.txt")
    others = ("masks/a.png", "flow/t2/a.backward.npy", ".hidden/a.png", "images/a.png", "notes/readme.txt")
    root = folder_with(tmp_path, *model, "t10/a.png", "t9/images/a.png", "t2/a.jpg", *others)
    found = Frames.find(root)
    assert found.data == root
    assert found.folders == {"t2": root / "t2", "t9": root / "t9" / "images", "t10": root / "t10"}


def test_cameras_may_be_those_of_the_first_frame(tmp_path: Path) -> None:
    root = folder_with(tmp_path, "1/a.png", "1/transforms.json", "2/a.png", "2/transforms.json")
    assert Frames.find(root).data == root / "1"
    (root / "1" / "transforms.json").unlink()
    with pytest.raises(DataError, match=r"neither sparse/ nor transforms.json here or in '1'"):
        Frames.find(root)


def test_one_frame_is_no_sequence(tmp_path: Path) -> None:
    root = folder_with(tmp_path, "transforms.json", "1/a.png", "2/a.txt")
    with pytest.raises(DataError, match="1 folders of photographs"):
        Frames.find(root)
    shutil.rmtree(root / "1")
    with pytest.raises(DataError, match="0 folders of photographs"):
        Frames.find(root)
