"""With pycolmap itself: the poses of photographs of a corner are found, as `Dataset` reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gsplat_core.pose_metrics import aligned
from gsplat_core.scene.dataset import Dataset
from gsplat_core.sfm.reconstruct import Reconstruction
from gsplat_core.sfm.settings import Settings

pytest.importorskip("pycolmap")
WIDTH, HEIGHT, FOCAL = 240, 180, 220.0


def texture(seed: int) -> np.ndarray:
    """[600, 600] grey, of blobs of several sizes."""
    random = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(random.uniform(0, 255, (n, n)).astype(np.float32)).resize((600, 600), 3))
        for n in (15, 60, 150)
    ]
    return np.mean(layers, axis=0)


def photograph(viewmat: np.ndarray) -> Image.Image:
    """A corner of three textured walls, x = 0, y = 0 and z = 0, seen from inside."""
    u, v = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = (
        np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL, np.ones_like(u)], -1) @ viewmat[:3, :3]
    )
    origin = -viewmat[:3, :3].T @ viewmat[:3, 3]
    with np.errstate(divide="ignore"):
        distances = np.where(rays < 0, -origin / rays, np.inf)
    wall, image = distances.argmin(-1), np.zeros((HEIGHT, WIDTH))
    hits = origin + rays * distances.min(-1)[..., None]
    for axis in range(3):
        place = (np.delete(hits, axis, -1) * 100).astype(int).clip(0, 599)
        image = np.where(wall == axis, texture(axis)[place[..., 0], place[..., 1]], image)
    return Image.fromarray(image.astype(np.uint8)).convert("RGB")


def looking_at_the_corner(angle: float, height: float) -> np.ndarray:
    eye = np.array([4 * np.cos(angle), 4 * np.sin(angle), height])
    forward = np.array([1.0, 1.0, 0.8]) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    viewmat = np.eye(4)
    viewmat[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    viewmat[:3, 3] = -viewmat[:3, :3] @ eye
    return viewmat


def test_poses_of_a_corner_are_found(tmp_path: Path) -> None:
    truth = [
        looking_at_the_corner(a, h)
        for a, h in zip(np.linspace(0.55, 1.0, 5), (2, 2.4, 2, 2.4, 2), strict=True)
    ]
    (tmp_path / "photographs").mkdir()
    for i, viewmat in enumerate(truth):
        photograph(viewmat).save(tmp_path / "photographs" / f"corner {i}.png")
    told: list[tuple[str, int, int]] = []
    settings = Settings(camera_model="SIMPLE_PINHOLE", quality="low")
    work = Reconstruction(tmp_path / "photographs", tmp_path / "data", settings)
    outcome = work.run(lambda *far: told.append(far))
    assert outcome.placed == 5
    assert outcome.left_out == {}
    assert outcome.models[0].error < 1
    assert ("finding features", 5, 5) in told
    assert ("matching features", 10, 10) in told
    data = Dataset.load(tmp_path / "data", test_every=0, require_points=True, strict=True)
    assert [view.name for view in data.train] == [f"corner_{i}.png" for i in range(5)]
    assert data.train[0].camera.K[0, 0] == pytest.approx(FOCAL, rel=0.05)
    found = torch.from_numpy(np.stack([view.camera.viewmat for view in data.train]))
    near = aligned(found, torch.from_numpy(np.stack(truth)))
    assert np.abs(near.numpy() - np.stack(truth)).max() < 0.05
