"""In which coordinates a scene is measured and exported, by where it lies and what rounding costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gsplat_core.errors import UsageError
from gsplat_core.scene.gaussians import Gaussians
from trainers.coordinates import in_coordinates, share_coordinates


class Photographs:
    """What is asked of a dataset."""

    def __init__(self, *offset: float) -> None:
        self.offset = np.array(offset)
        self.moved: list[tuple[float, ...]] = []

    def move_to(self, offset: tuple[float, ...]) -> None:
        self.moved.append(tuple(offset))


def scene(x: float, size: float = 1.0, offset: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Gaussians:
    means = torch.tensor([[x, 0.0, 0.0]]).repeat(3, 1)
    zeros = torch.zeros
    made = Gaussians(
        means, torch.ones(3, 4), torch.full((3, 3), size).log(), zeros(3), zeros(3, 1, 3), zeros(3, 0, 3)
    )
    made.metadata = replace(made.metadata, offset=offset)
    return made


@pytest.mark.parametrize(
    ("x", "offset", "moved"),
    [
        (0.0, (0, 0, 0), []),  # near the photographs' origin: their coordinates
        (49.0, (0, 0, 0), []),
        (51.0, (0, 0, 0), [(0, 0, 0)]),  # near the original one
        (100.0, (0, 0, 0), [(0, 0, 0)]),
        (0.0, (7, 8, 9), [(7, 8, 9)]),
    ],
)
def test_cameras_move_to_the_origin_of_the_scene(
    x: float, offset: tuple[float, float, float], moved: list[tuple[float, ...]]
) -> None:
    photographs = Photographs(100.0, 0.0, 0.0)
    share_coordinates(photographs, scene(x, offset=offset))  # type: ignore[arg-type]
    assert photographs.moved == moved


def test_without_an_offset_or_a_scene_there_is_nothing_to_find_out() -> None:
    for photographs, gaussians in (
        (Photographs(0.0, 0.0, 0.0), scene(5.0)),
        (Photographs(100.0, 0.0, 0.0), scene(0.0).subset(slice(0, 0))),
    ):
        share_coordinates(photographs, gaussians)  # type: ignore[arg-type]
        assert photographs.moved == [(0, 0, 0)]


def exported(share: float, name: str) -> tuple[Gaussians, dict[str, object], list[str]]:
    """At 2^20, where 32-bit numbers are 1/8 apart and rounding moves by 1/16, for sizes of which that is a
    share."""
    warnings: list[str] = []
    gaussians = scene(0.5, size=(1 / 16) / share, offset=(2.0**20, 0.0, 0.0))
    return *in_coordinates("original", Path(name), gaussians, {"given": 1}, warnings.append), warnings


def test_rounding_that_nobody_sees_is_not_told() -> None:
    moved, options, warnings = exported(0.009, "a.ply")
    assert (options, warnings) == ({"given": 1}, [])
    assert moved.means[0, 0] == 2**20 + 0.5
    assert not any(moved.metadata.offset)


def test_a_ply_has_room_for_more_digits() -> None:
    for share in (0.012, 0.5):
        stays, options, warnings = exported(share, "a.ply")
        assert options == {"given": 1, "coordinates": "original"}
        assert stays.means[0, 0] == 0.5
        assert "64 bits" in warnings[0]


def test_other_formats_are_told_and_refuse_what_falls_apart() -> None:
    moved, options, warnings = exported(0.05, "a.sog")
    assert (moved.means[0, 0], options) == (2**20 + 0.5, {"given": 1})
    assert "32-bit numbers move" in warnings[0]
    assert exported(0.009, "a.sog")[2] == []
    exported(0.09, "a.sog")
    with pytest.raises(UsageError, match="no room"):
        exported(0.11, "a.sog")


def test_those_of_the_run_are_what_they_are() -> None:
    gaussians, warnings = scene(0.5, offset=(2.0**20, 0.0, 0.0)), []
    assert in_coordinates("run", Path("a.ply"), gaussians, {}, warnings.append) == (gaussians, {})
    assert warnings == []
    plain = scene(0.5)
    assert in_coordinates("original", Path("a.ply"), plain, {}, warnings.append) == (plain, {})
    assert "no offset" in warnings[0]
