"""What an exported file loses, in images, and the record of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from splat_files import typical_scene

from gsplat_core.metrics import psnr, ssim
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from trainers import camera_paths
from trainers.evaluation import render
from trainers.fidelity import RECORD, compare_on_orbit, compare_on_views, record


@pytest.fixture(scope="module")
def scene() -> Gaussians:
    return typical_scene(60, 1)


@pytest.fixture(scope="module")
def faded(scene: Gaussians) -> Gaussians:
    return replace(scene, opacities=scene.opacities - 1)


@pytest.fixture(scope="module")
def cameras(scene: Gaussians):
    orbit = camera_paths.orbit_of_gaussians(scene, np.array([0.0, -1, 0]))
    return orbit.cameras(3, camera_paths.default_lens(40, 30))


def photographed(scene: Gaussians, cameras) -> list[View]:
    """Photographs of the scene, not quite as it renders."""

    def of(camera) -> View:
        pixels = (render(scene, camera).clamp(0, 1) * 250).round().byte().numpy()
        return View(camera, lambda: pixels)

    return [of(camera) for camera in cameras]


def test_the_decibels_are_those_of_all_images_together(scene, faded, cameras) -> None:
    found = compare_on_orbit(scene, faded, cameras)
    errors = [(render(scene, c) - render(faded, c)).double().square().mean() for c in cameras]
    assert found["views"] == 3
    assert found["psnr_between"] == pytest.approx(
        -10 * math.log10(float(torch.stack(errors).mean())), rel=1e-6
    )
    assert compare_on_orbit(scene, scene, cameras) == {"views": 3, "psnr_between": None}


def test_losses_are_positive_where_the_file_is_worse(scene, faded, cameras) -> None:
    views = photographed(scene, cameras)
    found = compare_on_views(scene, faded, views, "black")
    for which, shown in (("before", scene), ("after", faded)):
        images = [(render(shown, v.camera, "black"), v.image() / 255) for v in views]
        assert found[f"psnr_{which}"] == pytest.approx(
            np.mean([float(psnr(*pair)) for pair in images]), rel=1e-5
        )
        assert found[f"ssim_{which}"] == pytest.approx(
            np.mean([float(ssim(*pair)) for pair in images]), rel=1e-5
        )
    assert found["loss_db"] == found["psnr_before"] - found["psnr_after"] > 0
    assert found["loss_ssim"] == found["ssim_before"] - found["ssim_after"] > 0
    assert found["views"] == 3
    assert found["psnr_between"] == pytest.approx(compare_on_orbit(scene, faded, cameras)["psnr_between"])


def test_the_record_keeps_what_it_says_of_other_files(tmp_path: Path) -> None:
    assert record(tmp_path / "a.ply", {"views": 1}) == tmp_path / RECORD
    record(tmp_path / "b.spz", {"views": 2})
    record(tmp_path / "a.ply", {"views": 3})
    assert json.loads((tmp_path / RECORD).read_text()) == {"a.ply": {"views": 3}, "b.spz": {"views": 2}}
    for damaged in ("[1, 2]", "{"):
        (tmp_path / RECORD).write_text(damaged)
        record(tmp_path / "c.ply", {"views": 4})
        assert json.loads((tmp_path / RECORD).read_text()) == {"c.ply": {"views": 4}}
