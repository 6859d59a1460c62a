"""Training on panoramas of a transforms.json."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gsplat_core import rasterization
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.scale import points_in_view
from trainers.cli import main

WIDTH, HEIGHT, VIEWS, POINTS = 64, 32, 9, 150
TRAINING = ("--preset", "tiny", "--test-every", "4", "--seed", "1", "--background", "black")


def turned(angle: float) -> np.ndarray:
    """[3, 3] rotation about the vertical axis."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blobs all around, photographed from places in their midst, each camera turned another way."""
    folder = tmp_path_factory.mktemp("panoramas")
    (folder / "images").mkdir()
    random = np.random.default_rng(0)
    xyz = random.normal(size=(POINTS, 3))
    xyz *= (random.uniform(2, 3, POINTS) / np.linalg.norm(xyz, axis=1))[:, None]
    rgb = random.uniform(0.1, 0.9, (POINTS, 3))
    frames, fx, fy = [], WIDTH / 2 / math.pi, HEIGHT / math.pi
    for i in range(VIEWS):
        place, rotation = random.uniform(-0.5, 0.5, 3), turned(0.9 * i)
        viewmat = np.eye(4)
        viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ place
        image, *_ = rasterization(
            torch.tensor(xyz).float(), torch.tensor([[1.0, 0, 0, 0]]).expand(POINTS, 4),
            torch.full((POINTS, 3), 0.25), torch.full((POINTS,), 0.8), torch.tensor(rgb).float(),
            torch.tensor(viewmat).float()[None],
            torch.tensor([[[fx, 0, WIDTH / 2], [0, fy, HEIGHT / 2], [0, 0, 1]]]),
            WIDTH, HEIGHT, camera_model="equirectangular",
        )  # fmt: skip
        pixels = (image[0].clamp(0, 1) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / f"images/{i}.png")
        to_world = np.linalg.inv(viewmat)
        to_world[:, 1:3] *= -1  # axes of OpenGL
        frames.append({"file_path": f"images/{i}.png", "transform_matrix": to_world.tolist()})
    (folder / "points.ply").write_text(
        f"ply\nformat ascii 1.0\nelement vertex {POINTS}\n"
        + "".join(f"property float {axis}\n" for axis in "xyz")
        + "".join(f"property uchar {color}\n" for color in ("red", "green", "blue"))
        + "end_header\n"
        + "".join(
            f"{x} {y} {z} {int(r * 255)} {int(g * 255)} {int(b * 255)}\n"
            for (x, y, z), (r, g, b) in zip(xyz, rgb, strict=True)
        )
    )
    content = {"camera_model": "EQUIRECTANGULAR", "w": WIDTH, "h": HEIGHT, "ply_file_path": "points.ply"}
    (folder / "transforms.json").write_text(json.dumps(content | {"frames": frames}))
    return folder


def trained(data: Path, run: Path, *options: str, steps: int = 150) -> dict[str, Any]:
    assert main(["train", str(data), "-o", str(run), *TRAINING, "--steps", str(steps), *options]) == 0
    return json.loads((run / "metrics.json").read_text())  # type: ignore[no-any-return]


def test_panoramas_are_read_as_they_are(scene: Path) -> None:
    dataset = Dataset.load(scene, test_every=0)
    for view in dataset.train:
        assert (view.camera.model, view.camera.width, view.camera.height) == (
            "equirectangular",
            WIDTH,
            HEIGHT,
        )
        rows, _, depths = points_in_view(view.camera, dataset.points.xyz.double().numpy())
        assert len(rows) == POINTS  # nothing is outside a panorama
        assert 1 < depths.min() < depths.max() < 4
    small = Dataset.load(scene, test_every=0, downscale=2).train[0].camera
    assert small.K[0, 0] == pytest.approx(WIDTH / 4 / math.pi)


@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
def test_a_run_on_panoramas(scene: Path, tmp_path: Path, strategy: str) -> None:
    start = trained(scene, tmp_path / "start", "--strategy", strategy, steps=1)["psnr"]
    run = tmp_path / "run"
    found = trained(scene, run, "--strategy", strategy)["psnr"]
    assert found > max(20.0, start + 3)
    assert (run / "report.html").exists()
    assert main(["eval", str(run)]) == 0
    assert json.loads((run / "metrics.json").read_text())["psnr"] == pytest.approx(found, abs=1e-4)
    assert main(["render", str(run), "--path", "test", "-o", str(tmp_path / "seen")]) == 0


def test_a_path_through_them_is_seen_by_a_usual_lens(scene: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", str(scene), "-o", str(run), *TRAINING, "--steps", "3"]) == 0
    assert main(["render", str(run), "-o", str(tmp_path / "orbit"), "--frames", "2"]) == 0
    with Image.open(tmp_path / "orbit" / "orbit_0000.png") as image:
        assert image.size == (
            800,
            600,
        )  # and not 145 degrees wide


def test_levenberg_marquardt_refuses_the_seam(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["train", str(scene), "-o", str(tmp_path / "run"), *TRAINING, "--optimizer", "lm"]
    assert main(options) != 0
    assert "seam of panoramas" in " ".join(capsys.readouterr().err.split())
