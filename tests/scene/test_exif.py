"""The focal length that a photograph tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from gsplat_core.scene.exif import exif_focal


def test_a_focal_length_for_35_mm_is_one_of_equal_diagonals(tmp_path: Path) -> None:
    path, exif = tmp_path / "a.jpg", Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50
    Image.new("RGB", (36, 24)).save(path, exif=exif)
    assert exif_focal(path, 3600, 2400) == pytest.approx(5000)
    assert exif_focal(path, 2400, 3600) == pytest.approx(5000)


def test_a_photograph_that_says_nothing(tmp_path: Path) -> None:
    path, exif = tmp_path / "a.jpg", Image.Exif()
    Image.new("RGB", (36, 24)).save(path)
    assert exif_focal(path, 36, 24) is None
    exif.get_ifd(0x8769)[0xA405] = 0  # unknown, by the standard
    Image.new("RGB", (36, 24)).save(path, exif=exif)
    assert exif_focal(path, 36, 24) is None
