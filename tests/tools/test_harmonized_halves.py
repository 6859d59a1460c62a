"""tools/harmonized_halves.py: what its measures see, and that it prints them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from harmonized_halves import edge_correlation, hue_distance, image_distance, main, with_cast
from splat_files import typical_scene
from splats import one_thread

from gsplat_core.apps.harmonize import Config, cameras_around
from gsplat_core.io import save
from gsplat_core.render.cameras import Cameras
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import rgb_of, sh0_of


def scene() -> Gaussians:
    """Opaque, and of colours between black and white."""
    made = typical_scene(300, 0)
    colors = 0.2 + 0.6 * torch.rand(300, 1, 3, generator=torch.Generator().manual_seed(0))
    opaque = {"opacities": torch.full((300,), 4.0), "scales": torch.full((300, 3), -1.0)}
    return replace(made, sh0=sh0_of(colors), **opaque)


def cameras() -> list[Cameras]:
    return cameras_around(torch.zeros(3), 8.0, 3, 48, seed=1)


def test_measures_see_what_they_are_for() -> None:
    made = scene()
    darker = replace(made, sh0=sh0_of(0.5 * rgb_of(made.sh0)))
    turned = replace(made, sh0=made.sh0.roll(1, dims=-1))  # hues by a third of a circle
    with one_thread():
        assert hue_distance(made, darker, cameras()) < 1e-3
        assert hue_distance(made, turned, cameras()) == pytest.approx(2 * math.pi / 3, rel=1e-3)
        assert image_distance(made, darker, cameras()) > 0.1
        assert image_distance(made, made, cameras()) == 0
        assert edge_correlation(made, darker, cameras()) > 0.999
        assert edge_correlation(made, typical_scene(300, 0, seed=1), cameras()) < 0.9
        assert hue_distance(made, with_cast(made), cameras()) > 0.1


def test_prints_a_table_for_each_cast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "scene.ply", scene())
    with one_thread():
        main(tmp_path / "scene.ply", Config(steps=0))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * (2 + 3 * 3)
    before, after = (float(line.split()[-4]) for line in lines[2:4])
    assert after < before / 5
