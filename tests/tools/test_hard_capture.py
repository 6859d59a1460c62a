"""A capture made harder: what was done is what is written down, to training photographs only."""

from __future__ import annotations

import json
from pathlib import Path

import make_hard_capture as hard
import numpy as np
import pytest
from colmap_model import colmap_files
from colmap_model.cameras import Pinhole, look_at
from colmap_model.tracks import Tracks
from PIL import Image

from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.scale import published_extent

WIDTH, HEIGHT, VIEWS = 60, 40, 10


@pytest.fixture(scope="module", params=["bin", "txt"])
def capture(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    random = np.random.default_rng(0)
    angles = np.linspace(0, 5, VIEWS)
    views = [
        look_at(f"{n:02}.png", np.array([4 * np.cos(a), 4 * np.sin(a), 1.0]), np.zeros(3))
        for n, a in enumerate(angles)
    ]
    (folder / "images").mkdir()
    for view in views:
        pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / view.name)
    camera, points = Pinhole(WIDTH, HEIGHT, 50.0), random.uniform(-1, 1, (20, 3))
    observed = np.stack([camera.project(view.to_camera(points)) for view in views], axis=1)
    seen = np.ones((20, VIEWS), bool)
    tracks = Tracks(seen, observed, points, np.full((20, 3), 99, np.uint8), np.zeros(20))
    model = folder / "sparse" / "0"
    colmap_files.write(model, camera, views, tracks, [np.zeros((0, 2))] * VIEWS)
    if request.param == "txt":
        _as_text(model)
    return folder


def _as_text(folder: Path) -> None:
    model = read_model(folder)
    lines = ["# a comment"]
    for image in model.images:
        pose = " ".join(map(repr, (*image.quaternion.tolist(), *image.translation.tolist())))
        lines += [f"{image.id} {pose} 1 {image.name}", "" if image.id % 2 else "3.5 4.5 -1"]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    (folder / "cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} 50 50 {WIDTH / 2} {HEIGHT / 2}\n")
    (folder / "points3D.txt").write_text("\n".join(f"{n} {n} 0 0 9 9 9 0" for n in range(9)) + "\n")
    for path in folder.glob("*.bin"):
        path.unlink()


def pixels(folder: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(folder / "images" / name))


def test_what_was_done_is_what_is_written_down(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hard"
    done = hard.make(capture, folder, exposure=True, hidden=True)
    assert json.loads((folder / "hard_capture.json").read_text()) == done
    assert list(done) == [f"{n:02}.png" for n in range(VIEWS) if n % 8]
    hidden = {name: what["rectangle"] for name, what in done.items() if "rectangle" in what}
    assert len(hidden) == len(done) // 2
    for number in range(VIEWS):
        name = f"{number:02}.png"
        before, after = pixels(capture, name), pixels(folder, name)
        if name not in done:
            np.testing.assert_array_equal(after, before)
            continue
        what = done[name]
        assert 0.6 <= min(what["gain"], what["gamma"]) <= max(what["gain"], what["gamma"]) <= 1.6
        expected = hard.exposed(before, what["gain"], what["gamma"])
        assert np.abs(expected.astype(int) - before).max() > 2
        inside = np.zeros((HEIGHT, WIDTH), bool)
        if (box := hidden.get(name)) is not None:
            inside[box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]] = True
            assert inside.mean() == pytest.approx(0.1, abs=0.01)
            assert (after[inside] == box["colour"]).all()
        np.testing.assert_array_equal(after[~inside], expected[~inside])


def test_cameras_are_off_by_as_much_as_was_asked_for(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hard"
    done = hard.make(capture, folder, poses=(1.5, 2.0))
    before, after = (Dataset.load(path, test_every=0).train for path in (capture, folder))
    trained = [n for n, view in enumerate(before) if view.name in done]
    extent = published_extent(np.stack([before[n].camera.center for n in trained]))
    for n, (old, new) in enumerate(zip(before, after, strict=True)):
        turn = new.camera.viewmat[:3, :3] @ old.camera.viewmat[:3, :3].T
        degrees = np.degrees(np.arccos(((np.trace(turn) - 1) / 2).clip(-1, 1)))
        way = np.linalg.norm(new.camera.center - old.camera.center)
        assert degrees == pytest.approx(1.5 if n in trained else 0.0, abs=1e-4)
        assert way == pytest.approx(0.02 * extent if n in trained else 0.0, abs=1e-6)
        np.testing.assert_array_equal(new.image().numpy(), old.image().numpy())
    old_model, new_model = read_model(capture), read_model(folder)
    np.testing.assert_array_equal(new_model.points.xyz, old_model.points.xyz)
    for old_image, new_image in zip(old_model.images, new_model.images, strict=True):
        np.testing.assert_array_equal(new_image.keypoints, old_image.keypoints)


def test_options_and_seeds_do_not_mix(capture: Path, tmp_path: Path) -> None:
    alone = hard.make(capture, tmp_path / "alone", exposure=True, seed=3)
    again = hard.make(capture, tmp_path / "both", exposure=True, hidden=True, seed=3)
    other = hard.make(capture, tmp_path / "other", exposure=True, seed=4)
    for name, what in alone.items():
        assert what == {key: again[name][key] for key in ("gain", "gamma")}
        assert what != other[name]
