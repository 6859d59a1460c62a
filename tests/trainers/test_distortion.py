"""Training on photographs as their lenses took them.

The photographs are resampled from large pinhole renderings of known Gaussians by the lens model of the
loader, which shares nothing with the cameras of the rasterizer.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gsplat_core import rasterization
from gsplat_core.densify.rendered_views import RenderedViews
from gsplat_core.densify.two_views import center, project, rays
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh0_of
from gsplat_core.scene.init import random_points
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.scale import points_in_view
from trainers.cli import main
from trainers.config import read_config
from trainers.evaluation import picture

WIDTH, HEIGHT = 48, 36
FINER, REACH = 8, 2.2  # of the rendering: pixels per pixel, and how far it goes, as a slope
LENSES = {
    "OPENCV": (44, 45, 24.6, 17.3, -0.25, 0.06, 0.01, -0.008),
    "FULL_OPENCV": (44, 45, 24.6, 17.3, -0.3, 0.05, 0.004, -0.003, 0.01, -0.1, 0.02, 0.0),
    "SIMPLE_RADIAL": (44, 24, 18, -0.2),
    "OPENCV_FISHEYE": (38, 39, 24.6, 17.3, 0.05, -0.02, 0.004, -0.001),
    "RADIAL_FISHEYE": (38, 24, 18, -0.03, 0.01),
    "FOV": (44, 44, 24, 18, 0.7),
}
KEPT = [name for name in LENSES if name != "FOV"]
TRAINING = ("--preset", "tiny", "--steps", "80", "--test-every", "4", "--seed", "1")
TRAINING += ("--background", "black", "--sky", "never", "--gaps", "never")


def truth(dataset: Dataset) -> Gaussians:
    """The Gaussians of which the tiny scene is."""
    n = len(dataset.points.xyz)
    return Gaussians(
        means=dataset.points.xyz,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        scales=torch.full((n, 3), 0.25).log(),
        opacities=torch.full((n,), 0.8).logit(),
        sh0=sh0_of(dataset.points.rgb)[:, None],
        shN=torch.zeros(n, 0, 3),
    )


def photograph(scene: Gaussians, viewmat: np.ndarray, lens: Lens) -> np.ndarray:
    """[HEIGHT, WIDTH, 3] uint8: the mean over 4 x 4 places in each pixel of what a pinhole camera sees
    there."""
    focal, side = 44.0 * FINER, round(2 * REACH * 44.0 * FINER)
    fine, *_ = rasterization(
        scene.means, scene.quats, scene.scales.exp(), scene.opacities.sigmoid(), (scene.sh0, scene.shN),
        sh_degree=0, viewmats=torch.tensor(viewmat).float()[None], width=side, height=side,
        Ks=torch.tensor([[[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]]]), eps2d=0.3 * FINER**2,
    )  # fmt: skip
    steps = (np.arange(4) + 0.5) / 4
    x, y = (np.arange(size)[:, None] + steps for size in (WIDTH, HEIGHT))
    places = np.stack(np.meshgrid(x.ravel(), y.ravel()), axis=-1)
    grid = torch.from_numpy(lens.undistort(places) / REACH).float()[None]
    seen = torch.nn.functional.grid_sample(fine.permute(0, 3, 1, 2), grid, align_corners=False)
    pixels = torch.nn.functional.avg_pool2d(seen, 4)[0].permute(1, 2, 0)
    return (pixels.clamp(0, 1) * 255).round().byte().numpy()


@pytest.fixture(scope="module")
def taken(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The tiny scene through a lens, by its name."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            target = shutil.copytree(tiny_scene, tmp_path_factory.mktemp("lenses") / name)
            dataset = Dataset.load(tiny_scene, test_every=0)
            lens = Lens.from_params(LENS_MODEL_BY_NAME[name], WIDTH, HEIGHT, LENSES[name])
            for view in dataset.train:
                pixels = photograph(truth(dataset), view.camera.viewmat, lens)
                Image.fromarray(pixels).save(target / "images" / view.name)
            numbers = " ".join(map(str, LENSES[name]))
            (target / "sparse/0/cameras.txt").write_text(f"1 {name} {WIDTH} {HEIGHT} {numbers}\n")
            made[name] = target
        return made[name]

    return folder


def psnr(image: torch.Tensor, photograph: torch.Tensor) -> float:
    return float(-10 * (image - photograph / 255).square().mean().log10())


@pytest.mark.parametrize("name", KEPT)
def test_what_a_lens_takes_is_what_its_camera_sees(taken: Callable[[str], Path], name: str) -> None:
    dataset = Dataset.load(taken(name), test_every=0, distortion="keep")
    assert {view.camera.model for view in dataset.train} == {"fisheye" if "FISHEYE" in name else "opencv"}
    plain = truth(dataset)
    for view in dataset.train[:4]:
        assert (view.camera.width, view.camera.height) == (WIDTH, HEIGHT)
        found = psnr(picture(plain, view.camera).image[0], view.image())
        assert found > 34  # what a splat is besides a linearization at its centre
        straight = replace(view.camera, model="pinhole", lens=())
        assert psnr(picture(plain, straight).image[0], view.image()) < found - 5
    small = Dataset.load(taken(name), test_every=0, distortion="keep", downscale=2).train[0]
    assert small.image().shape == (HEIGHT // 2, WIDTH // 2, 3)
    assert psnr(picture(plain, small.camera).image[0], small.image()) > 27


def trained(data: Path, run: Path, *options: str) -> dict[str, Any]:
    assert main(["train", str(data), "-o", str(run), *TRAINING, *options]) == 0
    return json.loads((run / "metrics.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["OPENCV", "OPENCV_FISHEYE"])
def test_a_run_on_photographs_as_they_are(taken: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    """It ends as well as one on undistorted photographs, measured on either kind."""
    data, runs = taken(name), {how: tmp_path / how for how in ("keep", "undistort")}
    own = {how: trained(data, run, "--distortion", how)["psnr"] for how, run in runs.items()}
    assert read_config(runs["keep"] / "config.json").distortion == "keep"
    assert (runs["keep"] / "report.html").exists()
    photographs = sorted((data / "images").iterdir())[::4]
    written = sorted((runs["keep"] / "test").glob("*.png"))
    assert {Image.open(path).size for path in written} == {Image.open(photographs[0]).size}

    def measured(run: Path, how: str) -> float:
        file = tmp_path / "measured.json"
        assert main(["eval", str(run), "--distortion", how, "-o", str(file)]) == 0
        return float(json.loads(file.read_text())["psnr"])

    for how in ("keep", "undistort"):
        assert measured(runs[how], how) == pytest.approx(own[how], abs=1e-3)
    assert own["keep"] > measured(runs["undistort"], "keep") - 1.0
    assert measured(runs["keep"], "undistort") > own["undistort"] - 1.0


def test_an_interrupted_run_goes_on_with_the_lens(
    taken: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, whole, parts = taken("OPENCV"), tmp_path / "whole", tmp_path / "parts"
    trained(data, whole, "--distortion", "keep")
    trained(data, parts, "--distortion", "keep")
    for kept in ("point_cloud.ply", "metrics.json", "report.html"):
        (parts / kept).unlink()
    last = sorted((parts / "checkpoints").iterdir())[-1]
    trained(data, parts, "--resume")
    assert last.exists()
    assert (parts / "point_cloud.ply").read_bytes() == (whole / "point_cloud.ply").read_bytes()
    assert main(["train", str(data), "-o", str(parts), "--resume", "--distortion", "undistort"]) != 0
    assert "was started with --distortion keep" in " ".join(capsys.readouterr().err.split())


def test_lenses_of_which_there_is_no_camera_are_undistorted(taken: Callable[[str], Path]) -> None:
    dataset = Dataset.load(taken("FOV"), test_every=0, distortion="keep")
    assert any(
        "12 photographs are undistorted" in warning and "FOV" in warning for warning in dataset.warnings
    )
    assert {view.camera.model for view in dataset.train} == {"pinhole"}
    plain = truth(dataset)
    assert psnr(picture(plain, dataset.train[0].camera).image[0], dataset.train[0].image()) > 32


def test_points_are_where_the_photographs_show_them(taken: Callable[[str], Path]) -> None:
    """What strategies, the sky and the scene's length are made of."""
    kept = Dataset.load(taken("OPENCV_FISHEYE"), test_every=0, distortion="keep")
    undistorted = Dataset.load(taken("OPENCV_FISHEYE"), test_every=0)
    assert kept.scale.length == pytest.approx(undistorted.scale.length, rel=0.1)  # one is a distance, one z
    params = truth(kept).params
    for dataset in (kept, undistorted):
        views = RenderedViews(dataset.train, sh_degree=0)
        depth, alpha = views.depth(params, 0)
        pixels = torch.tensor([[24.5, 18.5], [10.5, 12.5], [35.5, 25.5]])
        lens = views.lens(0)
        places = center(lens) + depth[pixels[:, 1].long(), pixels[:, 0].long(), None] * rays(lens, pixels)
        again, depths = project(lens, places)
        torch.testing.assert_close(again, pixels, atol=1e-2, rtol=0)
        torch.testing.assert_close(depths, depth[pixels[:, 1].long(), pixels[:, 0].long()])
        assert alpha.max() > 0.5


@pytest.mark.parametrize(
    "options",
    [("--optimizer", "lm", "--set", "lm.determined=0"), ("--strategy", "mcmc"), ("--strategy", "adc+lpm")],
)
def test_other_ways_of_training(
    taken: Callable[[str], Path], options: tuple[str, ...], tmp_path: Path
) -> None:
    found = trained(taken("OPENCV_FISHEYE"), tmp_path / "run", "--distortion", "keep", *options)
    assert found["psnr"] > 18


def test_without_points_a_run_starts_where_lenses_look(taken: Callable[[str], Path], tmp_path: Path) -> None:
    data = shutil.copytree(taken("OPENCV_FISHEYE"), tmp_path / "data")
    (data / "sparse/0/points3D.txt").write_text("")
    cameras = [view.camera for view in Dataset.load(data, distortion="keep").train]
    places, _ = random_points(cameras, 1.0, 500)
    seen = np.concatenate([points_in_view(camera, places.double().numpy())[0] for camera in cameras])
    assert len(np.unique(seen)) >= 495
    assert trained(data, tmp_path / "run", "--distortion", "keep", "--set", "random_points=300")["psnr"] > 9


def test_what_no_ray_reaches_is_masked_out(taken: Callable[[str], Path], tmp_path: Path) -> None:
    """The corners of a lens whose coefficients end before them, besides what a mask leaves out."""
    data = shutil.copytree(taken("OPENCV_FISHEYE"), tmp_path / "data")
    # 1 - 3.6 t^2 vanishes at 0.527 rad, 38 * 0.527 * (1 - 1.2 * 0.278) = 13.4 pixels from the axis.
    (data / "sparse/0/cameras.txt").write_text(f"1 OPENCV_FISHEYE {WIDTH} {HEIGHT} 38 38 24 18 -1.2 0 0 0\n")
    view = Dataset.load(data, test_every=0, distortion="keep").train[0]
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5 - 24, np.arange(HEIGHT) + 0.5 - 18)
    radius = np.hypot(x, y)
    mask = view.mask()
    assert mask is not None
    assert mask.numpy()[radius < 13].all()
    assert not mask.numpy()[radius > 14].any()
    assert view.is_masked
    assert not view.image()[~mask].any()
    (data / "masks").mkdir()
    for path in (data / "images").iterdir():
        Image.fromarray(np.uint8(255 * (x < 0))).save(data / "masks" / f"{path.name}.png")
    both = Dataset.load(data, test_every=0, distortion="keep").train[0].mask()
    assert both is not None
    assert (both.numpy() == (mask.numpy() & (x < 0))).all()
    assert not Dataset.load(taken("OPENCV_FISHEYE"), test_every=0, distortion="keep").train[0].is_masked
