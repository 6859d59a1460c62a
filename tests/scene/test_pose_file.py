"""Files of poses: what is written is read, and what is wrong is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gsplat_core import se3
from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.pose_file import frame_of, read_pose
from gsplat_core.scene.transforms import read_transforms

POSES = [se3.exp(torch.randn(6, generator=torch.Generator().manual_seed(i)).double()).numpy() for i in (1, 2)]
K = np.array([[50.0, 0, 20], [0, 52, 15], [0, 0, 1]])
FRAMES = [frame_of(Camera(pose, K, 40, 30, name)) for name, pose in zip("ab", POSES, strict=True)]


def test_one_pose_is_for_any_photograph(tmp_path: Path) -> None:
    for i, content in enumerate((FRAMES[0], {"frames": FRAMES[:1]})):
        path = tmp_path / f"{i}.json"
        path.write_text(json.dumps(content))
        assert np.allclose(read_pose(path, "other.png"), POSES[0])


def test_of_several_it_is_the_photographs_own(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps({"frames": FRAMES}))
    assert np.allclose(read_pose(path, "b.jpg"), POSES[1])
    with pytest.raises(DataError, match="none of its 2 frames"):
        read_pose(path, "c.jpg")


def test_it_is_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps({"frames": FRAMES}))
    shots = read_transforms(path).shots
    for shot, pose in zip(shots, POSES, strict=True):
        assert np.allclose(shot.viewmat, pose)
        assert np.allclose(shot.lens.K, K)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "JSON object"),
        ("{}", "no pose"),
        ('{"transform_matrix": [[1, 0, 0, 0]]}', "3 or 4 rows"),
        ('{"frames": [{"file_path": "a"}]}', "rows"),
        ('{"frames": [3]}', "rows"),
    ],
)
def test_what_is_no_pose_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "pose.json"
    path.write_text(content)
    with pytest.raises(DataError, match=problem):
        read_pose(path, "a")
