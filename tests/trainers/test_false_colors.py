"""Depth and normals as pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sheets import gaussians_on, looking_at_origin, sphere

from gsplat_core.render.outputs import Outputs
from gsplat_core.render.scene import render
from trainers.evaluation import picture
from trainers.false_colors import DRAWINGS

SCENE = gaussians_on(sphere(1500))
NEAR, FAR = (looking_at_origin(np.array([0.0, -distance, 0.3]), 48) for distance in (3.0, 6.0))


def test_near_is_blue_and_far_is_red_by_one_scale_for_all_cameras() -> None:
    draw = DRAWINGS["depth"](SCENE, [NEAR, FAR], "black")
    near, far = (draw(camera).shown[24, 24] for camera in (NEAR, FAR))
    assert near[2] > near[0]
    assert far[0] > far[2]
    assert not torch.equal(DRAWINGS["depth"](SCENE, [FAR], "black")(FAR).shown[24, 24], far)


def test_normals_point_to_the_right_upward_and_to_the_camera() -> None:
    image = DRAWINGS["normal"](SCENE, [NEAR], "black")(NEAR).shown
    assert image[24, 24].tolist() == pytest.approx([0.5, 0.5, 1.0], abs=0.1)
    right, left, top, bottom = image[24, 36], image[24, 12], image[12, 24], image[36, 24]
    assert right[0] > 0.65
    assert left[0] < 0.35
    assert top[1] > 0.65
    assert bottom[1] < 0.35


@pytest.mark.parametrize("what", DRAWINGS)
@pytest.mark.parametrize("background", ["black", "white"])
def test_what_shows_nothing_shows_the_background(what: str, background: str) -> None:
    drawn = DRAWINGS[what](SCENE, [NEAR], background)(NEAR)
    assert torch.allclose(drawn.shown[0, 0], torch.full((3,), float(background == "white")), atol=1e-4)
    assert torch.equal(drawn.alphas, render(SCENE, NEAR, outputs=Outputs()).alphas)
    away = looking_at_origin(np.array([0.0, -1e4, 0.0]), 8)
    assert DRAWINGS[what](SCENE.subset(torch.zeros(SCENE.num, dtype=torch.bool)), [away], background)(
        away
    ).empty


def test_colours_are_those_of_the_measurements() -> None:
    draw = DRAWINGS["color"](SCENE, [NEAR], "white")
    assert torch.equal(draw(NEAR).shown, picture(SCENE, NEAR, "white").shown)
