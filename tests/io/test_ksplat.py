"""mkkellogg's .ksplat: files of every level."""

import struct
from pathlib import Path

import pytest
import torch
from ksplat_files import BLOCK, RANGE, written_ksplat
from splat_files import assert_within, typical_scene

from gsplat_core.errors import DataError
from gsplat_core.io import load
from gsplat_core.scene.harmonics import SH_C0


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_every_level(tmp_path: Path, level: int, degree: int) -> None:
    scene = typical_scene(7, degree)
    scene.means.mul_(0.1)
    scene.sh0.clamp_(-1.7, 1.7)
    (tmp_path / "a.ksplat").write_bytes(written_ksplat(scene, level))
    read = load(tmp_path / "a.ksplat", strict=True)
    bounds = {"sh0": 1 / (510 * SH_C0), "alpha": 1 / 510}
    if level:
        bounds |= {"means": BLOCK / (4 * RANGE), "scales": 2e-3, "degrees": 0.2}
        bounds["shN"] = 3 / 510 if level == 2 else 1e-3
    else:
        bounds["degrees"] = 1e-4
    assert_within(scene, read, bounds)


@pytest.mark.parametrize(
    ("at", "layout", "value", "problem"),
    [
        (0, "<B", 1, "version 1.1"),
        (20, "<H", 3, "level 3"),
        (4, "<I", 2**31, "sections"),
        (4, "<I", 0, "0 sections"),
        (4096, "<I", 8, "8 splats of at most 7"),
        (4096 + 4, "<I", 2**31, "2,147,483,648 splats: "),
        (4096 + 12, "<I", 2**31, "centres of the buckets"),
        (4096 + 36, "<I", 2**31, "sizes of the partly filled buckets"),
        (4096 + 32, "<I", 2**31, "buckets, but more are filled"),
        (4096 + 40, "<H", 4, "SH degree 4"),
        (5120, "<I", 2, "the buckets hold fewer than 7 splats"),
    ],
)
def test_headers_that_contradict_the_file_are_refused(
    tmp_path: Path, at: int, layout: str, value: int, problem: str
) -> None:
    content = bytearray(written_ksplat(typical_scene(7, 1), level=1))
    struct.pack_into(layout, content, at, value)
    (tmp_path / "a.ksplat").write_bytes(content)
    with pytest.raises(DataError, match=problem):
        load(tmp_path / "a.ksplat")


def test_how_many_sections_have_arrived_is_no_property_of_a_complete_file(tmp_path: Path) -> None:
    scene = typical_scene(7, 1)
    content = bytearray(written_ksplat(scene, level=0))
    struct.pack_into("<I", content, 8, 0)
    (tmp_path / "a.ksplat").write_bytes(content)
    assert torch.equal(load(tmp_path / "a.ksplat").means, scene.means)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    content = written_ksplat(typical_scene(7, 1), level=2)
    for length in [*range(0, 5120, 61), *range(5120, len(content))]:
        (tmp_path / "a.ksplat").write_bytes(content[:length])
        with pytest.raises(DataError):
            load(tmp_path / "a.ksplat")
