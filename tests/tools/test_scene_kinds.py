"""The scenes made without other packages: photographs and points agree, and points are missing where they
should."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import make_scene_kinds
import numpy as np
import pytest
import torch
from colmap_model.cameras import Pinhole, View, look_at
from colmap_model.tracks import Tracks
from scene_kinds import points
from scene_kinds.capture import SUPERSAMPLING, Photograph, Studio
from scene_kinds.noise import PERIOD, Noise
from scene_kinds.raster import rasterize

from gsplat_core.scene.dataset import Dataset

WIDTH, HEIGHT = 96, 72


@dataclass(frozen=True)
class Made:
    camera: Pinhole
    views: list[View]
    photographs: list[Photograph]
    tracks: Tracks


@cache
def made(kind: str) -> Made:
    """Neighbouring views of a scene, small."""
    module = importlib.import_module(f"scene_kinds.{kind}")
    studio = Studio(module.build(1), 2)
    camera, views = module.camera(WIDTH, HEIGHT), module.views(3)[:4]
    photographs = [studio.photograph(camera, view) for view in views]
    tracks, _ = points.find(camera, views, photographs, 300, module.SMALLEST_ANGLE, 4)
    return Made(camera, views, photographs, tracks)


kinds = pytest.mark.parametrize("kind", make_scene_kinds.KINDS)


@kinds
def test_points_are_where_the_photographs_show_their_colours(kind: str) -> None:
    scene = made(kind)
    tracks = scene.tracks
    assert len(tracks.points) > 100
    assert tracks.errors.mean() < 0.6
    difference = {0: [], 8: []}
    for m, view in enumerate(scene.views):
        seen = tracks.seen[:, m]
        local = view.to_camera(tracks.points[seen])
        assert (local[:, 2] > 0).all()
        pixels = scene.camera.project(local)
        assert np.linalg.norm(pixels - tracks.observed[seen, m], axis=1).max() < 6
        picture = scene.photographs[m].picture.astype(float)
        for shift, found in difference.items():
            column, row = np.floor(pixels + shift).astype(int).T
            shown = picture[row.clip(0, HEIGHT - 1), column.clip(0, WIDTH - 1)]
            found.append(np.abs(shown - tracks.colours[seen]).mean())
    assert np.mean(difference[0]) < 0.75 * np.mean(difference[8])


@kinds
def test_photographs_are_exposed_and_have_detail(kind: str) -> None:
    for photo in made(kind).photographs:
        grey = photo.picture.mean(axis=2)
        assert 80 < grey.mean() < 190
        assert np.abs(np.diff(grey, axis=1)).mean() > 6


def test_the_sky_is_bright_and_has_no_points() -> None:
    scene = made("outdoor")
    for photo in scene.photographs:
        sky = np.isinf(photo.depth)
        assert 0.05 < sky.mean() < 0.7
        assert (photo.likely[sky] == 0).all()
        above = photo.picture[sky[::SUPERSAMPLING, ::SUPERSAMPLING]]
        assert above.mean() > 150
    assert np.isfinite(scene.tracks.points).all()


def test_the_outdoor_background_is_far() -> None:
    orbit = np.mean([np.linalg.norm(view.centre[:2]) for view in made("outdoor").views])
    depth = np.concatenate([photo.depth.ravel() for photo in made("outdoor").photographs])
    depth = depth[np.isfinite(depth)]
    assert np.mean(depth > 20 * orbit) > 0.05


def test_the_forward_scene_has_a_small_baseline() -> None:
    module = importlib.import_module("scene_kinds.forward")
    centres = np.array([view.centre for view in module.views(3)])
    spread = np.linalg.norm(centres[:, None] - centres, axis=2).max()
    assert 1 / 30 < spread / module.DISTANCE < 1 / 15


def test_the_wood_and_the_lamp_posts_have_no_points() -> None:
    found = importlib.import_module("scene_kinds.aerial").build(1).found
    assert found["wood"] == found["shade"] == found["trunk"] == found["lamp"] == 0


def test_a_folder_is_written_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In other units all lengths are multiplied; an outlier has a wrong pose, and sees no points."""
    scene = made("forward")
    taken = iter([])

    class Prints:
        """Photographs that were taken already."""

        def __init__(self, *_: Any) -> None: ...

        def photograph(self, *_: Any) -> Photograph:
            return next(taken)

    monkeypatch.setattr(make_scene_kinds, "Studio", Prints)
    module = importlib.import_module("scene_kinds.forward")
    monkeypatch.setattr(module, "build", lambda seed: None)
    monkeypatch.setattr(module, "views", lambda seed: scene.views)
    monkeypatch.setattr(make_scene_kinds, "OUTLIER", 1)
    loaded = []
    for name, units, outlier in (("a", 1.0, False), ("b", 100.0, True)):
        taken = iter(scene.photographs)
        make_scene_kinds.make(tmp_path / name, "forward", WIDTH, HEIGHT, 1, units, outlier)
        loaded.append(Dataset.load(tmp_path / name, test_every=0))
    plain, changed = loaded
    assert len(plain.train) == len(changed.train) == 4
    move = [data.train[0].camera.viewmat[:3, 3] for data in loaded]
    assert move[1] == pytest.approx(100 * move[0])
    far = [np.linalg.norm(data.train[1].camera.viewmat[:3, 3]) for data in loaded]
    assert far[1] > 1000 * 100 * far[0]


def test_the_nearest_face_is_shown() -> None:
    screen = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
    key = torch.tensor([0.5, 0.5, 0.5, 0.5])
    faces = torch.tensor([[0, 1, 2], [1, 3, 2], [0, 1, 3]])
    nearer = torch.tensor([0.5, 0.5, 0.5, 2.0])
    face = rasterize(screen, nearer, faces, 10, 9)[0].view(9, 10)
    assert face[1, 1] == 2  # before face 0: its third corner is nearer
    assert face[4, 1] == 0
    assert face[7, 5] == 1
    assert (face[:, 9] == -1).all()  # beyond the square
    assert (rasterize(screen, key, faces, 10, 9)[1].view(9, 10)[:, :9] == 0.5).all()  # no holes along edges
    behind = torch.tensor([0.5, 0.5, 0.5, 0.0])
    assert set(rasterize(screen, behind, faces, 10, 9)[0].tolist()) == {-1, 0}


def test_noise_is_smooth_and_has_nothing_finer_than_a_pixel() -> None:
    noise = Noise(0)
    line = torch.zeros(4000, 3)
    line[:, 0] = torch.linspace(-5, 5, 4000)
    values = noise(line, 1.0, 6, torch.full((4000,), 1e-3))
    assert values.shape == (4000, 4)
    assert values.diff(dim=0).abs().max() < 0.2
    blurred = noise(line, 1.0, 6, torch.full((4000,), 0.6))
    assert blurred.diff(dim=0).abs().mean() < 0.5 * values.diff(dim=0).abs().mean()
    moved = noise.once(line + PERIOD, 1.0)
    torch.testing.assert_close(moved, noise.once(line, 1.0), atol=1e-3, rtol=0)
    assert torch.equal(Noise(0).once(line, 1.0), noise.once(line, 1.0))


def test_a_view_looks_at_its_target() -> None:
    view = look_at("a.jpg", np.array([3.0, -2.0, 1.0]), np.array([0.0, 0.0, 0.5]))
    local = view.to_camera(np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 1.5]]))
    assert local[0] == pytest.approx([0, 0, np.linalg.norm([3, -2, 0.5])])
    assert local[1, 1] < 0  # up is up
    assert view.centre == pytest.approx([3, -2, 1])
    down = look_at("b.jpg", np.array([1.0, 1.0, 9.0]), np.array([1.0, 1.0, 0.0]))
    assert down.rotation @ down.rotation.T == pytest.approx(np.eye(3))
