"""`localize`: photographs get poses with what is known of them; what is not found is told and fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from apps.labelled_scene import arc, labelled_scene, write_capture
from PIL import Image

import gsplat_core.io
from gsplat_core.pose_metrics import pose_errors
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.pose_file import read_pose
from trainers.cli import main

QUICK = ["--steps", "40", "--start-steps", "5", "--starts", "5", "--small", "48", "--device", "cpu"]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `scene.ply` and the photographs of it in `data`."""
    folder = tmp_path_factory.mktemp("localize")
    (folder / "data" / "images").mkdir(parents=True)
    scene = labelled_scene(40).without_extras()
    gsplat_core.io.save(folder / "scene.ply", scene)
    write_capture(folder / "data", scene, arc(9))
    return folder


def localize(case: Path, image: Path, output: Path, *options: str) -> int:
    where = [str(case / "scene.ply"), "--image", str(image), "-o", str(output)]
    return main(["localize", *where, *QUICK, *options])


def test_a_folder_of_photographs(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that are of the scene are found, from the nearest training cameras; one that is not fails."""
    photos, output = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    shutil.copy(case / "data" / "images" / "008.png", photos / "known.png")
    noise = np.random.default_rng(0).integers(0, 255, (72, 96, 3), np.uint8)
    Image.fromarray(noise).save(photos / "other.png")
    assert localize(case, photos, output, "--scene", str(case / "data"), "--colmap") == 5
    told = capsys.readouterr()
    assert "known.png: found (lens of the capture's photographs, start 4 cameras)" in told.out
    assert "other.png: not found" in told.out
    assert "1 of 2 photographs were not found" in told.err
    [truth] = [view.camera for view in Dataset.load(case / "data").test if view.name.endswith("008.png")]
    found = read_pose(output / "transforms.json", "known.png")
    error = pose_errors(torch.from_numpy(found)[None], torch.from_numpy(truth.viewmat)[None])
    assert float(error.degrees) < 0.05
    assert float(error.distances) < 0.005
    known, other = json.loads((output / "metrics.json").read_text())["photographs"]
    assert known["found"]
    assert 0 < known["rotation_sd_degrees"] < 1
    assert np.shape(known["covariance"]) == (6, 6)
    assert not other["found"]
    assert "position_sd" not in other
    assert Image.open(output / "other.png").size == (3 * 96, 72)
    listed = (output / "sparse" / "0" / "images.txt").read_text()
    assert "known.png" in listed
    assert "other.png" not in listed


def test_a_pose_and_correspondences_to_start_from(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No photographs of the scene are needed then, but the focal length is."""
    root = json.loads((case / "data" / "transforms.json").read_text())
    (tmp_path / "pose.json").write_text(json.dumps(root["frames"][4]))
    image, start = case / "data" / "images" / "003.png", ["--init", str(tmp_path / "pose.json")]
    assert localize(case, image, tmp_path / "a", *start) == 2
    assert "--focal" in capsys.readouterr().err
    scene, cameras = gsplat_core.io.load(case / "scene.ply"), arc(9)
    there = cameras[3].viewmat
    seen = scene.means.double().numpy() @ there[:3, :3].T + there[:3, 3]
    pixels = (seen @ cameras[3].K.T)[:, :2] / seen[:, 2:]
    np.save(tmp_path / "matches.npy", np.column_stack([pixels, scene.means]))
    given = [*start, "--matches", str(tmp_path / "matches.npy"), "--focal", str(cameras[3].K[0, 0])]
    assert localize(case, image, tmp_path / "b", *given) == 0
    assert f"start {scene.num} of {scene.num} correspondences" in capsys.readouterr().out
    found = read_pose(tmp_path / "b" / "transforms.json", "003.png")
    assert np.abs(found - there).max() < 0.01


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        ([], 2, "--init POSE.json or --scene"),
        (["--init", "POSE", "--init-nearest", "3"], 2, "exclude each other"),
        (["--init-nearest", "0"], 2, "at least 1"),
        (["--init", "POSE", "--focal", "-3"], 2, "must be positive"),
        (["--init", "POSE", "--focal", "100", "--matches", "POSE"], 3, "numpy.save"),
        (["--init", "POSE", "--focal", "100", "--blur", "-1"], 2, "blur"),
        (["--init", "EMPTY", "--focal", "100"], 3, "there is no pose"),
    ],
)
def test_what_makes_no_sense_is_told(
    case: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    problem: str,
) -> None:
    files = {"POSE": tmp_path / "pose.json", "EMPTY": tmp_path / "empty.json"}
    files["POSE"].write_text(json.dumps({"transform_matrix": np.eye(4).tolist()}))
    files["EMPTY"].write_text("{}")
    words = [str(files.get(word, word)) for word in options]
    assert localize(case, case / "data" / "images" / "003.png", tmp_path / "out", *words) == code
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "out" / "transforms.json").exists()
