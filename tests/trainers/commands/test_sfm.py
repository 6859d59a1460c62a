"""`sfm`: frames become a capture with poses, which the reader takes; what cannot work is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sfm.flow.moving_camera import MovingCamera, moving_camera

from gsplat_core.quaternions import rotation_matrix
from gsplat_core.scene.cameras import rigid
from gsplat_core.scene.colmap import read_model
from trainers.cli import main

FRAMES, HEIGHT, WIDTH = 4, 48, 64


def write_frames(folder: Path, truth: MovingCamera) -> Path:
    folder.mkdir()
    for number, image in enumerate(truth.images):
        Image.fromarray((255 * image).round().to(torch.uint8).numpy()).save(folder / f"frame_{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def truth() -> MovingCamera:
    return moving_camera(FRAMES, HEIGHT, WIDTH, focal=1.0, step=0.1)


@pytest.fixture
def frames(tmp_path: Path, truth: MovingCamera) -> Path:
    return write_frames(tmp_path / "frames", truth)


def test_frames_and_flow_become_a_capture(
    frames: Path, tmp_path: Path, truth: MovingCamera, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flow").mkdir()
    for number, flow in enumerate(truth.flows):
        np.save(tmp_path / "flow" / f"frame_{number:02}.npy", flow.forward.numpy())
        np.save(tmp_path / "flow" / f"frame_{number + 1:02}.backward.npy", flow.backward.numpy())  # type: ignore[union-attr]
    data = tmp_path / "data"
    command = ["sfm", str(frames), "-o", str(data), "--flow", str(tmp_path / "flow"), "--steps", "60"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "4 frames of 64 x 48" in out
    assert "flow by files, 9" in out
    model = read_model(data)
    assert model.warnings == []
    assert [image.name for image in model.images] == [f"frame_{number:02}.png" for number in range(FRAMES)]
    lens = model.lenses[1]
    assert (lens.width, lens.height, *lens.center) == (WIDTH, HEIGHT, WIDTH / 2, HEIGHT / 2)
    facts = json.loads((data / "sfm.json").read_text())
    assert facts["focal"] == lens.focal[0]
    assert facts["points"] == len(model.points) > 500
    # Points are seen where their keypoints are.
    rows = {number: row for row, number in enumerate(model.points.ids.tolist())}
    for image in model.images:
        viewmat = rigid(rotation_matrix(image.quaternion), image.translation)
        xyz = model.points.xyz[[rows[number] for number in image.point_ids.tolist()]]
        local = xyz @ viewmat[:3, :3].T + viewmat[:3, 3]
        apart = np.linalg.norm(lens.distort(local[:, :2] / local[:, 2:]) - image.keypoints, axis=1)
        assert np.median(apart) < 1
    before = (data / "sparse/0/images.txt").read_bytes()
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert (data / "sparse/0/images.txt").read_bytes() == before


def test_without_flow_it_is_found(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    assert main(["sfm", str(frames), "-o", str(data), "--steps", "3", "--focal", "55.4"]) == 0
    assert "focal length 55.4 pixels" in capsys.readouterr().out
    assert json.loads((data / "sfm.json").read_text())["consistent"] > 0.5


def test_what_cannot_work_is_told(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str) -> tuple[int, str]:
        code = main(["sfm", *arguments])
        return code, capsys.readouterr().err

    code, text = told(str(frames), "-o", str(tmp_path / "data"), "--flow", str(frames))
    assert code == 3
    assert "no flow from 'frame_00.png' to 'frame_01.png'" in text
    code, text = told(str(frames), "-o", str(frames / "data"))
    assert code == 2
    assert "in the folder of the frames" in text
    code, text = told(str(frames), "-o", str(tmp_path), "--overwrite")
    assert code == 2
    assert "something else" in text
    still = moving_camera(4, HEIGHT, WIDTH, step=0.04, turning_only=True)
    turning = write_frames(tmp_path / "turning", still)
    for number, flow in enumerate(still.flows):
        np.save(turning / f"frame_{number:02}.npy", flow.forward.numpy())
    code, text = told(str(turning), "-o", str(tmp_path / "turned"), "--flow", str(turning))
    assert code == 3
    assert "no parallax" in text
    Image.new("RGB", (30, 20)).save(frames / "frame_02.png")
    code, text = told(str(frames), "-o", str(tmp_path / "sizes"))
    assert code == 3
    assert "is of 30 x 20 pixels" in text
