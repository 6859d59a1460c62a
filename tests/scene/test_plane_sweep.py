"""Depths from photographs of a sloping wall whose texture is a formula."""

from __future__ import annotations

import pytest
from textured_wall import camera, wall

from gsplat_core.scene.plane_sweep import plane_sweep


def test_it_finds_the_wall() -> None:
    cameras = [camera(x) for x in (-0.4, 0.0, 0.4)]
    pictures, truths = zip(*(wall(taken) for taken in cameras), strict=True)
    for found, truth in zip(plane_sweep(pictures), truths, strict=True):
        there = found.isfinite()
        assert there.float().mean() > 0.5
        wrong = (found[there] / truth[there] - 1).abs()
        assert wrong.median() < 0.01
        assert (wrong > 0.05).float().mean() < 0.02


@pytest.mark.parametrize(
    "pictures",
    [
        [wall(camera(0.0))[0]],
        [wall(camera(0.0))[0], wall(camera(0.0))[0]],
        [wall(camera(x), textured=False)[0] for x in (-0.4, 0.4)],
        [wall(camera(0.0))[0], wall(camera(50.0))[0]],
    ],
    ids=["one", "one place", "no texture", "too far aside"],
)
def test_what_cannot_be_told_is_not(pictures) -> None:
    assert all(bool(found.isnan().all()) for found in plane_sweep(pictures))
