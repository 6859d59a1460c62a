"""`gsplat-core view`: which scene is shown, where and from where, until it is interrupted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from splat_files import typical_scene

import gsplat_core.io
from gsplat_core.errors import DataError, UsageError
from gsplat_core.scene.dataset import Dataset
from trainers.camera_paths import default_lens, orbit_of_cameras
from trainers.cli import main
from trainers.commands.view import view
from trainers.viewer import server as server_of_viewer


class Server:
    """Takes the place of the viewer's; it is interrupted as soon as the command waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: tuple[Any, ...] = ()
        self.stopped = False
        monkeypatch.setattr(server_of_viewer, "Viewer", self.serve)
        monkeypatch.setattr("time.sleep", self.interrupt)

    def serve(self, *shown: Any) -> Server:
        self.shown = shown
        return self

    def interrupt(self, seconds: float) -> None:
        assert seconds > 1
        raise KeyboardInterrupt

    url = "http://0.0.0.0:8091/token/"

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def test_the_scene_is_shown_until_it_is_interrupted(server: Server, tmp_path: Path, capsys) -> None:
    scene = typical_scene(60, 1)
    gsplat_core.io.save(tmp_path / "a.ply", scene)
    view(tmp_path / "a.ply", host="0.0.0.0", port=8090, up="z")
    subject, host, port = server.shown
    orbit = subject.orbit
    assert torch.equal(subject.snapshot.gaussians.means, scene.means)
    assert (host, port, tuple(orbit.up)) == ("0.0.0.0", 8090, (0.0, 0.0, 1.0))
    # The camera looks at the scene, with its upper side up.
    start = orbit.cameras(1, default_lens(80, 60))[0]
    seen = start.viewmat[:3, :3] @ np.median(scene.means.numpy(), axis=0) + start.viewmat[:3, 3]
    assert seen[2] > 0
    assert np.abs(seen[:2]).max() < seen[2]
    assert start.viewmat[1, 2] < 0
    assert server.stopped
    printed = capsys.readouterr()
    assert f"60 Gaussians at {server.url} (Ctrl-C ends)" in printed.out
    assert printed.err == ""


def test_what_the_browser_draws_otherwise_is_told(server: Server, tmp_path: Path, capsys) -> None:
    scene = typical_scene(20, 1)
    gsplat_core.io.save(
        tmp_path / "a.ply", replace(scene, metadata=replace(scene.metadata, pixel_order=True))
    )
    view(tmp_path / "a.ply")
    assert "the browser blends by the depth of centres" in capsys.readouterr().err


def test_options_of_reading_reach_the_format(server: Server, tmp_path: Path) -> None:
    gsplat_core.io.save(tmp_path / "a.spz", typical_scene(20, 1))
    view(tmp_path / "a.spz", read=("axes=ply",))
    turned = server.shown[0].snapshot.gaussians.means
    view(tmp_path / "a.spz")
    torch.testing.assert_close(turned * torch.tensor([1.0, -1, -1]), server.shown[0].snapshot.gaussians.means)


def test_nothing_and_ports_that_do_not_exist_are_refused(server: Server, tmp_path: Path) -> None:
    gsplat_core.io.save(tmp_path / "a.ply", typical_scene(20, 1).subset(slice(0, 0)))
    with pytest.raises(DataError, match="no Gaussians"):
        view(tmp_path / "a.ply")
    for port in (0, 65_536):
        with pytest.raises(UsageError, match="--port"):
            view(tmp_path / "a.ply", port=port)
    assert server.shown == ()
    gsplat_core.io.save(tmp_path / "b.ply", typical_scene(5, 1))
    for port in (1, 65_535):
        view(tmp_path / "b.ply", port=port)
        assert server.shown[2] == port


def test_a_run_is_looked_at_as_its_photographs_did(
    server: Server, tiny_scene: Path, tmp_path: Path, capsys
) -> None:
    run = tmp_path / "run"
    steps = ["--preset", "tiny", "--steps", "3", "--max-gaussians", "60"]
    assert main(["train", str(tiny_scene), "-o", str(run), *steps]) == 0
    view(run)
    subject = server.shown[0]
    orbit = subject.orbit
    assert len(subject.views) == 12
    assert subject.tests == 2
    assert subject.history()[-1]["step"] == 3
    expected = orbit_of_cameras([view.camera for view in Dataset.load(tiny_scene).train])
    assert np.allclose(orbit.center, expected.center)
    assert np.allclose(orbit.up, expected.up)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "data": str(tmp_path / "moved")}))
    view(run, up="x")
    assert not server.shown[0].views
    orbit = server.shown[0].orbit
    assert tuple(orbit.up) == (1.0, 0.0, 0.0)
    assert "turns around the Gaussians" in capsys.readouterr().err
    view(run, scene=tiny_scene)
    assert len(server.shown[0].views) == 12
