"""The viewer: what it draws, and what happens without the library that draws it."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from splat_files import typical_scene
from splats import covariances

import gsplat_core.io
from gsplat_core.scene.harmonics import rgb_of
from trainers import camera_paths, viewer
from trainers.cli import main


def test_splats_are_those_of_the_scene() -> None:
    scene = typical_scene(50, 1)
    drawn = viewer.splats(scene)
    assert np.allclose(
        drawn["covariances"], covariances(scene.quats, scene.scales.exp()), atol=1e-6, rtol=1e-4
    )
    assert np.allclose(drawn["opacities"][:, 0], scene.opacities.sigmoid())
    assert np.array_equal(drawn["centers"], scene.means)
    expected = rgb_of(scene.sh0[:, 0]).clamp(0, 1)
    assert np.allclose(drawn["rgbs"], expected)


def test_without_viser_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    gsplat_core.io.save(tmp_path / "a.ply", typical_scene(5, 0))
    assert main(["view", str(tmp_path / "a.ply")]) == 2
    assert "pip install 'gsplat-core[view]'" in capsys.readouterr().err


def test_an_empty_scene_is_refused(tmp_path: Path) -> None:
    gsplat_core.io.save(tmp_path / "a.ply", typical_scene(1, 0).subset(slice(0, 0)))
    assert main(["view", str(tmp_path / "a.ply")]) == 3


class Recorded:
    """Takes the place of viser: every attribute is another one of these, and every call is kept."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple, dict]] = []

    def __getattr__(self, name: str) -> Recorded:
        made = Recorded()
        setattr(self, name, made)
        return made

    def __call__(self, *arguments: object, **named: object) -> Recorded:
        self.calls.append((arguments, named))
        return self


def test_viser_gets_the_scene_the_place_to_listen_and_the_view_to_start_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viser = Recorded()
    monkeypatch.setitem(sys.modules, "viser", viser)
    scene = typical_scene(5, 0)
    orbit = camera_paths.orbit_of_gaussians(scene, np.array([0.0, 0, 1]))
    start = orbit.cameras(1, camera_paths.default_lens(80, 60))[0]
    server = viewer.serve(scene, "0.0.0.0", 8765, start, (0, 0, 1))
    assert server is viser.ViserServer
    ((_, listening),) = server.calls
    assert (listening["host"], listening["port"]) == ("0.0.0.0", 8765)
    assert server.scene.set_up_direction.calls == [(((0, 0, 1),), {})]
    ((_, drawn),) = server.scene.add_gaussian_splats.calls
    assert np.array_equal(drawn["centers"], scene.means)
    camera = server.initial_camera
    assert np.allclose(camera.position, start.center)
    ahead = start.viewmat[:3, :3] @ (camera.look_at - camera.position)
    assert np.allclose(ahead, [0, 0, 1])
    assert tuple(camera.up) == (0, 0, 1)
    assert np.isclose(np.tan(camera.fov / 2) * start.K[1, 1], 30)  # half of the height


def test_the_page_is_served(tmp_path: Path) -> None:
    pytest.importorskip("viser")
    scene = typical_scene(5, 0)
    orbit = camera_paths.orbit_of_gaussians(scene, np.array([0.0, -1, 0]))
    start = orbit.cameras(1, camera_paths.default_lens(80, 60))[0]
    server = viewer.serve(scene, "127.0.0.1", 8765, start, (0, -1, 0))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.get_port()}", timeout=20) as page:
            assert b"<html" in page.read(4096).lower()
        assert np.allclose(server.initial_camera.position, start.center)
    finally:
        server.stop()
