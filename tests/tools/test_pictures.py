"""tools/make_pictures.py: the pictures of the documentation show what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from paths import ROOT
from splat_files import typical_scene

from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from tools import make_pictures

CAMERA = Camera(np.eye(4), np.array([[60.0, 0, 30], [0, 60, 20], [0, 0, 1]]), 60, 40, "view")


def test_a_camera_of_another_size_sees_the_same() -> None:
    larger = make_pictures.resized(CAMERA, 120)
    assert (larger.width, larger.height) == (120, 80)
    point = np.array([0.3, -0.2, 2.0])
    pixels = [(camera.K @ point)[:2] / point[2] / camera.width for camera in (CAMERA, larger)]
    assert pixels[0] == pytest.approx(pixels[1])


def test_what_is_near_is_bright() -> None:
    scene = typical_scene(2, 0)
    scene.means[:] = torch.tensor([[-0.8, 0.0, 4.0], [0.8, 0.0, 8.0]])
    scene.scales[:], scene.opacities[:] = -0.5, 5.0
    picture = make_pictures.depth_picture(render(scene, CAMERA, outputs=Outputs(depth="expected")))
    row = np.asarray(picture.convert("L"), dtype=int)[20]
    assert row[18] > row[36]


def test_gaussians_shown_as_things_are_smaller_and_opaque() -> None:
    scene = typical_scene(20, 0)
    shown = make_pictures.as_things(scene)
    opaque = scene.opacities.sigmoid() > make_pictures.THIN
    assert shown.num == int(opaque.sum())
    assert bool((shown.scales < scene.scales[opaque]).all())
    assert bool((shown.opacities.sigmoid() > 0.9).all())


def test_the_pictures_are_small() -> None:
    sizes = [path.stat().st_size for path in make_pictures.FOLDER.iterdir()]
    assert len(sizes) == 6
    assert sum(sizes) < 1.5e6
    for page in (ROOT / "README.md", ROOT / "docs" / "gallery.md"):
        assert "orbit.webp" in page.read_text()
