"""Where the user leaves the background open, the photographs choose it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gsplat_core.scene.cameras import Camera, rigid
from gsplat_core.scene.dataset import Dataset, Points, View
from gsplat_core.scene.scale import scene_scale
from trainers.background import cut_out, with_background
from trainers.config import TrainConfig

SIZE = 48
K = np.array([[40.0, 0, SIZE / 2], [0, 40, SIZE / 2], [0, 0, 1]])


def photograph(border, inside=(120, 90, 60)):
    pixels = np.full((SIZE, SIZE, 3), border, np.uint8)
    pixels[12:36, 12:36] = inside
    return pixels


def dataset(image, xyz):
    import torch

    cameras = [
        Camera(rigid(np.eye(3), np.array([0.2 * i, 0.0, 0])), K, SIZE, SIZE, f"{i}.png") for i in range(3)
    ]
    views = [View(camera, lambda: image) for camera in cameras]
    points = torch.from_numpy(xyz).float()
    return Dataset(views, [], Points(points, torch.full_like(points, 0.5)), scene_scale(cameras, xyz))


def wall(top=-6.0):
    """Points at depth 5 that fill the images from `top` on downward."""
    x, y = np.meshgrid(np.arange(-6, 6, 0.2), np.arange(top, 6, 0.2))
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, 5.0)], axis=1)


CONFIG = TrainConfig(strategy="adc")


@pytest.mark.parametrize(
    ("border", "top", "chosen"),
    [
        ((0, 0, 0), -6, "black"),
        ((255, 255, 255), -6, "white"),
        ((250, 254, 252), 0, "white"),
        ((120, 160, 250), -6, "black"),
        ((120, 160, 250), 0, "random"),
    ],
    ids=["cut out on black", "on white", "on nearly white", "a room", "a sky"],
)
def test_borders_and_points_decide(border, top, chosen):
    config = with_background(CONFIG, dataset(photograph(border), wall(top)))
    assert config.background == chosen
    assert config.densify["adc"].white_background == (chosen == "white")


def test_transparent_photographs_are_put_on_all_colours():
    image = np.dstack([photograph((0, 0, 0)), np.full((SIZE, SIZE), 255, np.uint8)])
    image[:10, ..., 3] = 0
    data = dataset(image, wall())
    assert with_background(CONFIG, data).background == "random"
    assert cut_out(data) == "random"


@pytest.mark.parametrize("given", ["black", "white", "random"])
def test_what_the_user_chose_stays(given):
    config = with_background(replace(CONFIG, background=given), dataset(photograph((255, 255, 255)), wall()))
    assert config.background == given


def test_a_chosen_background_stays_as_it_is_when_a_run_goes_on():
    data = dataset(photograph((255, 255, 255)), wall())
    once = with_background(CONFIG, data)
    assert with_background(once, data) == once
