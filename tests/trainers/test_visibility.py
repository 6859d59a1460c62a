"""Scenes of which nothing can be seen are told, at the start and at the end; units do not make them so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gsplat_core.io import save
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from trainers.cli import main
from trainers.visibility import complaint, unseen

TRAINING = ["--preset", "tiny", "--steps", "30", "--test-every", "4", "--seed", "1"]
PLAIN = ["--sky", "never", "--gaps", "never"]
VIEWS, TESTED = 9, 3


def changed(
    scene: Path, target: Path, points: Callable[[np.ndarray], np.ndarray], units: float = 1.0
) -> Path:
    """The tiny scene in other units, with other 3D points."""
    shutil.copytree(scene, target)
    images, cloud = (target / "sparse" / "0" / name for name in ("images.txt", "points3D.txt"))
    lines = [line.split() for line in images.read_text().splitlines()]
    for words in lines:
        words[5:8] = [repr(float(word) * units) for word in words[5:8]]
    images.write_text("".join(" ".join(words) + "\n" for words in lines))
    lines = [line.split() for line in cloud.read_text().splitlines()]
    xyz = points(np.array([[float(word) for word in words[1:4]] for words in lines])) * units
    for words, place in zip(lines, xyz, strict=True):
        words[1:4] = map(repr, place.tolist())
    cloud.write_text("".join(" ".join(words) + "\n" for words in lines))
    return target


def trained(data: Path, run: Path, *options: str) -> dict:
    assert main(["train", str(data), "-o", str(run), *TRAINING, *options]) == 0
    return json.loads((run / "metrics.json").read_text())


@pytest.fixture(scope="module")
def usual(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The PSNR in units in which the cameras are 4 away."""
    return float(trained(tiny_scene, tmp_path_factory.mktemp("runs") / "run")["psnr"])


@pytest.mark.parametrize("units", [1e-12, 1e-5, 3e-3, 1e5, 1e10, 1e14])
def test_units_make_no_difference(
    tiny_scene: Path, tmp_path: Path, usual: float, units: float, capsys: pytest.CaptureFixture[str]
) -> None:
    data = changed(tiny_scene, tmp_path / "data", lambda xyz: xyz, units)
    assert trained(data, tmp_path / "run")["psnr"] == pytest.approx(usual, abs=0.1)
    assert "visible" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("strategy", ["mcmc", "adc"])
def test_black_scenes_are_told_at_the_start_and_at_the_end(
    tiny_scene: Path, tmp_path: Path, strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = changed(tiny_scene, tmp_path / "data", lambda xyz: xyz + np.array([500.0, 0, 900]))
    trained(data, tmp_path / "run", "--strategy", strategy, *PLAIN)
    out, err = capsys.readouterr()
    start, *_ = out.split("step 30/30")
    assert "warning: none of the 80 3D points lies where a photograph looks" in start
    assert f"No Gaussian is visible in {VIEWS} of {VIEWS} training views" in start
    assert f"warning: No Gaussian is visible in {TESTED} of {TESTED} test views, such as 000.png" in err
    assert main(["eval", str(tmp_path / "run")]) == 0
    assert f"No Gaussian is visible in {TESTED} of {TESTED} test views" in capsys.readouterr().err


def test_of_points_outside_a_sky_hides_nothing(
    tiny_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = changed(tiny_scene, tmp_path / "data", lambda xyz: xyz + np.array([500.0, 0, 900]))
    trained(data, tmp_path / "run", "--sky", "always")
    out, _ = capsys.readouterr()
    assert "warning: none of the 80 3D points lies where a photograph looks" in out
    assert "--set initialization=random" in out


def test_points_at_one_place_are_told_and_the_remedy_works(
    tiny_scene: Path, tmp_path: Path, usual: float, capsys: pytest.CaptureFixture[str]
) -> None:
    data = changed(tiny_scene, tmp_path / "data", lambda xyz: 0 * xyz + 0.1)
    without = trained(data, tmp_path / "run", *PLAIN)["psnr"]
    assert without < usual - 5
    assert "warning: all 80 3D points are at one place" in capsys.readouterr().out
    remedy = ["--set", "initialization=random", "--max-gaussians", "500", "--overwrite"]
    assert trained(data, tmp_path / "run", *PLAIN, *remedy)["psnr"] > without + 3
    assert "warning" not in "".join(capsys.readouterr())


def test_a_good_scene_is_not_complained_about(
    tiny_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(tiny_scene, tmp_path / "run")
    assert "warning" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("strategy", ["mcmc", "adc", "taming", "lpm"])
def test_even_a_single_gaussian_is_a_limit_that_holds(
    tiny_scene: Path, tmp_path: Path, strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = trained(tiny_scene, tmp_path / "run", "--strategy", strategy, "--max-gaussians", "1", *PLAIN)
    assert metrics["num_gaussians"] == 1
    assert "80 points are more than the 1 Gaussians allowed" in capsys.readouterr().out


def blob(mean: list[float], scale: float, opacity: float) -> Gaussians:
    return Gaussians(
        torch.tensor([mean], dtype=torch.float32),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.full((1, 3), scale).log(),
        torch.tensor([opacity]).logit(),
        torch.zeros(1, 1, 3),
        torch.zeros(1, 0, 3),
    )


def test_seen_is_what_is_drawn(tiny_scene: Path) -> None:
    """Also a Gaussian whose middle is outside of the image, and none that is too transparent to be drawn."""
    views = Dataset.load(tiny_scene, test_every=0, prefetch=False).train
    everyone = [view.name for view in views]
    assert unseen(blob([0, 0, 0], 0.1, 0.5), views) == []
    assert unseen(blob([0, 0, 0], 0.1, 0.001), views) == everyone
    assert unseen(blob([0, 0, 1e4], 0.1, 0.5), views) == everyone
    camera = views[0].camera
    beside = camera.viewmat[:3, :3].T @ (np.array([4.0, 0, 4.0]) - camera.viewmat[:3, 3])
    assert views[0].name in unseen(blob(beside.tolist(), 0.1, 0.9), views)
    assert views[0].name not in unseen(blob(beside.tolist(), 2.0, 0.9), views)


def test_renderings_without_any_gaussian_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = tmp_path / "faint.ply"
    save(scene, blob([0, 0, 0], 0.1, 0.001))
    assert main(["render", str(scene), "-o", str(tmp_path / "out"), "--frames", "2", "--width", "32"]) == 0
    assert "warning: No Gaussian is visible in 2 of 2 orbit views" in capsys.readouterr().err


def test_nothing_is_told_of_no_view() -> None:
    assert complaint([], 5, "test") == ""
    assert complaint(["a", "b"], 5, "test").startswith(
        "No Gaussian is visible in 2 of 5 test views, such as a:"
    )
