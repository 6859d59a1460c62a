"""As many Gaussians as the photographs can determine, where the configuration leaves that to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View
from trainers.capacity import FEWEST, MOST, PIXELS_PER_GAUSSIAN, capacity, within_capacity


def views(count: int, width: int, height: int) -> list[View]:
    camera = Camera(np.eye(4), np.eye(3), width, height)
    return [View(camera, lambda: np.zeros((height, width, 3), np.uint8)) for _ in range(count)]


def test_it_grows_with_the_pixels_between_its_limits() -> None:
    assert capacity(views(10, 400, 300)) == 10 * 400 * 300 // PIXELS_PER_GAUSSIAN
    assert capacity(views(1, 32, 32)) == FEWEST
    assert capacity(views(1000, 1600, 1200)) == MOST


@pytest.mark.parametrize(("asked", "expected"), [(None, 7500), (5000, 5000), (10_000, 7500)])
def test_a_cap_that_is_asked_for_only_lowers_it(config, asked: int | None, expected: int) -> None:
    photographs = views(1, 400, 300)
    given = config if asked is None else config.with_shared(max_gaussians=asked)
    assert within_capacity(given, photographs).max_gaussians == expected
    free = replace(given, cap="none")
    assert within_capacity(free, photographs) is free
