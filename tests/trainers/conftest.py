"""A scene small enough to train in a second: coloured blobs, photographed by a ring of cameras."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gsplat_core import rasterization
from gsplat_core.densify.adc import ADCConfig
from trainers import charts
from trainers.camera_paths import Orbit, default_lens
from trainers.config import TrainConfig

WIDTH, HEIGHT, VIEWS, POINTS = 48, 36, 12, 80


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Waking threads for images this small takes longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def blank_charts() -> Iterator[None]:
    """Charts get all that they show, but are not drawn: that takes as long as everything else of a short run.
    Tests that look at them have a fixture of this name that does nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "to_svg", lambda figure: '<svg xmlns="http://www.w3.org/2000/svg"/>')
        yield


@pytest.fixture(scope="session")
def tiny_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COLMAP folder (text) whose photographs are renderings of known Gaussians."""
    folder = tmp_path_factory.mktemp("tiny")
    random = np.random.default_rng(0)
    xyz = random.uniform(-1, 1, (POINTS, 3))
    rgb = random.uniform(0.1, 0.9, (POINTS, 3))
    orbit = Orbit(center=np.zeros(3), up=np.array([0.0, 0.0, 1.0]), radius=4.0, elevation=0.4)
    cameras = orbit.cameras(VIEWS, default_lens(WIDTH, HEIGHT))
    _write_photographs(folder / "images", cameras, xyz, rgb)
    _write_colmap(folder / "sparse" / "0", cameras, xyz, rgb)
    return folder


def _write_photographs(folder, cameras, xyz, rgb):
    folder.mkdir()
    for i, camera in enumerate(cameras):
        image, _, _ = rasterization(
            means=torch.tensor(xyz, dtype=torch.float32),
            quats=torch.tensor([[1.0, 0, 0, 0]]).expand(POINTS, 4),
            scales=torch.full((POINTS, 3), 0.25),
            opacities=torch.full((POINTS,), 0.8),
            colors=torch.tensor(rgb, dtype=torch.float32),
            viewmats=torch.tensor(camera.viewmat, dtype=torch.float32)[None],
            Ks=torch.tensor(camera.K, dtype=torch.float32)[None],
            width=WIDTH,
            height=HEIGHT,
        )
        pixels = (image[0].clamp(0, 1) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")


def _write_colmap(folder, cameras, xyz, rgb):
    folder.mkdir(parents=True)
    K = cameras[0].K
    (folder / "cameras.txt").write_text(
        f"1 PINHOLE {WIDTH} {HEIGHT} {K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}\n"
    )
    lines = []
    for i, camera in enumerate(cameras):
        w, x, y, z = _quaternion(camera.viewmat[:3, :3])
        tx, ty, tz = camera.viewmat[:3, 3]
        lines += [f"{i + 1} {w} {x} {y} {z} {tx} {ty} {tz} 1 {i:03d}.png", ""]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    points = [
        f"{i + 1} {x} {y} {z} {int(r * 255)} {int(g * 255)} {int(b * 255)} 0.5 1 0 2 0"
        for i, ((x, y, z), (r, g, b)) in enumerate(zip(xyz, rgb, strict=True))
    ]
    (folder / "points3D.txt").write_text("\n".join(points) + "\n")


def _quaternion(rotation):
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(rotation).as_quat()
    return w, x, y, z


@pytest.fixture
def config(tiny_scene: Path) -> TrainConfig:
    """40 steps with refinement at 15, 20, 25 and 30, and rows put in order at 1, 8, 15, 22, 29 and 36."""
    return TrainConfig(
        data=str(tiny_scene),
        steps=40,
        device="cpu",
        test_every=4,
        sh_degree=2,
        sh_degree_every=10,
        reorder_every=7,
        log_every=5,
        evaluations=2,
        checkpoint_seconds=1e9,
        background="black",
        sky="never",
        gaps="never",
        densify={
            "adc": ADCConfig(
                gradient_threshold=1e-5, refine_start=10, refine_stop=35, refine_every=5, reset_every=35
            )
        },
    )
