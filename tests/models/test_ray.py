"""Scenes whose Gaussians are looked at along the rays of pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models.test_generalized import plain_scene

from gsplat_core.errors import UnsuitableSceneError, UsageError
from gsplat_core.io import load, save
from gsplat_core.render.scene import measure, render
from trainers.camera_paths import Orbit, default_lens
from trainers.presets import preset
from trainers.primitives import refuse_primitive


def camera() -> Any:
    orbit = Orbit(center=np.zeros(3), up=np.array([0.0, 0.0, 1.0]), radius=5.0, elevation=0.3)
    return orbit.cameras(1, default_lens(96, 64))[0]


def test_it_looks_like_plain_gaussians_but_not_quite() -> None:
    scene = plain_scene(20)
    scene.scales += 0.5
    plain, along = (render(scene.with_primitive(name), camera()).colors for name in ("gaussian", "ray"))
    assert 1e-4 < (plain - along).abs().mean() < 0.05


def test_what_a_scene_shows_of_its_gaussians_is_found_without_drawing_it() -> None:
    scene = plain_scene(30).with_primitive("ray")
    sums, splats = measure(scene, camera())
    assert int((sums[0, :, 0] > 0).sum()) > 10
    assert torch.equal(splats.radii[0], render(scene, camera()).meta["radii"])


def test_ply_keeps_that_it_is_drawn_so(tmp_path: Path) -> None:
    scene = plain_scene().with_primitive("ray")
    save(tmp_path / "a.ply", scene)
    read = load(tmp_path / "a.ply")
    assert read.primitive == "ray"
    assert torch.equal(render(read, camera()).colors, render(scene, camera()).colors)
    with pytest.raises(UnsuitableSceneError, match="no place for the primitive 'ray'"):
        save(tmp_path / "a.spz", scene)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'antialiased' with the response 'ray'.*no filter"):
        render(plain_scene().with_primitive("ray").with_metadata(antialiased=True), camera())
    with pytest.raises(UsageError, match="'ray' is looked at along rays"):
        refuse_primitive("ray", replace(preset("tiny"), antialiased=True))
    with pytest.raises(
        UsageError, match="--optimizer lm knows plain Gaussians only, not the primitive 'ray'"
    ):
        refuse_primitive("ray", replace(preset("tiny"), optimizer="lm"))
