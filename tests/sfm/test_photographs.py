"""Photographs as people have them: found, named, shared among cameras, and laid out without being changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sfm.conftest import write_photograph

from gsplat_core.errors import DataError, UsageError
from gsplat_core.sfm.photographs import (
    Photograph,
    cameras_of,
    find_photographs,
    lack_poses,
    lay_out,
    positions,
)


def found(folder: Path) -> tuple[list[Photograph], list[str]]:
    warnings: list[str] = []
    return find_photographs(folder, warnings), warnings


def exif(**tags: object) -> Image.Exif:
    """EXIF data of a camera's model, its focal length and GPS position."""
    data = Image.Exif()
    if "model" in tags:
        data[0x0110] = tags["model"]
    if "focal" in tags:
        data.get_ifd(0x8769)[0x920A] = tags["focal"]
    if "gps" in tags:
        data.get_ifd(0x8825).update(tags["gps"])
    return data


def test_what_is_beside_photographs_and_what_cannot_be_read_is_left_out(photographs: Path) -> None:
    (photographs / "broken.jpg").write_bytes((photographs / "0.jpg").read_bytes()[:300])
    (photographs / "notes.txt").write_text("")
    (photographs / "phone.HEIC").write_bytes(b"")
    (photographs / ".hidden.jpg").write_bytes(b"")
    write_photograph(photographs / "masks" / "0.png")
    seen, warnings = found(photographs)
    assert [photograph.name for photograph in seen] == [f"{i}.jpg" for i in range(5)]
    assert (seen[0].width, seen[0].height) == (40, 30)
    assert any("broken.jpg" in text and "left out" in text for text in warnings)
    assert any("phone.HEIC" in text and "Convert them to JPEG" in text for text in warnings)


def test_photographs_of_a_kind_that_is_not_read_are_no_capture_with_poses(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"")
    assert lack_poses(tmp_path)
    with pytest.raises(DataError, match="convert the 1 of a kind that is not read to JPEG"):
        found(tmp_path)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_data_say_nothing(tmp_path: Path) -> None:
    for i in range(2):
        write_photograph(tmp_path / f"{i}.jpg", i, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert [photograph.lens for photograph in found(tmp_path)[0]] == ["", ""]


def test_a_folder_of_the_usual_name_wins(photographs: Path) -> None:
    for i in range(2):
        write_photograph(photographs / "images" / "left" / f"{i}.png")
    assert [photograph.name for photograph in found(photographs)[0]] == ["left/0.png", "left/1.png"]


@pytest.mark.parametrize(("number", "message"), [(0, "there are no photographs"), (1, "one photograph")])
def test_too_few_are_refused(tmp_path: Path, number: int, message: str) -> None:
    for i in range(number):
        write_photograph(tmp_path / f"{i}.jpg")
    with pytest.raises(DataError, match=f"{message} in it.*better 30"):
        found(tmp_path)


def test_names_are_what_lists_can_hold_and_differ(tmp_path: Path) -> None:
    for name in ("a b.jpg", "a_b.jpg", "A_B.jpg", "ü\u0301.png", "c.webp", "c.png", "d\ne/f.tif"):
        write_photograph(tmp_path / name)
    names = [photograph.name for photograph in found(tmp_path)[0]]
    assert len({name.lower() for name in names}) == 7
    assert all(name.isascii() and not set(name) & set(" \n") for name in names)
    assert sum(name.endswith(".png") for name in names) == 3


def test_photographs_are_laid_out_and_the_folder_stays_as_it_was(tmp_path: Path) -> None:
    source, images, masks = (tmp_path / name for name in ("source", "images", "masks"))
    write_photograph(source / "a b.jpg", exif=exif(model="X"))
    write_photograph(source / "sub" / "c.webp", lossless=True)
    write_photograph(source / "masks" / "a b.png")
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in source.rglob("*") if path.is_file()
    }
    seen, _ = found(source)
    for _ in range(2):  # what is there already is no error
        lay_out(seen, images, masks)
    assert (images / "a_b.jpg").read_bytes() == (source / "a b.jpg").read_bytes()
    with Image.open(source / "sub" / "c.webp") as original, Image.open(images / "sub" / "c.png") as converted:
        assert np.array_equal(np.asarray(original), np.asarray(converted))
    with Image.open(masks / "a_b.jpg.png") as mask:
        assert set(np.unique(mask)) == {0, 255}
    assert not (masks / "sub").exists()
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before}


def test_where_links_are_impossible_photographs_are_copied(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    lay_out(found(photographs)[0], tmp_path / "images", tmp_path / "masks")
    copy = tmp_path / "images" / "3.jpg"
    assert copy.read_bytes() == (photographs / "3.jpg").read_bytes()
    assert copy.stat().st_nlink == 1


def test_photographs_of_one_size_and_lens_share_a_camera(tmp_path: Path) -> None:
    write_photograph(tmp_path / "a" / "0.jpg", exif=exif(model="X", focal=4.2))
    write_photograph(tmp_path / "b" / "1.jpg", exif=exif(model="X", focal=4.2))
    write_photograph(tmp_path / "b" / "2.jpg", exif=exif(model="X", focal=9.0))
    write_photograph(tmp_path / "b" / "3.jpg", exif=exif(model="Y", focal=4.2))
    write_photograph(tmp_path / "b" / "4.jpg", size=(30, 40), exif=exif(model="X", focal=4.2))
    seen, _ = found(tmp_path)
    assert sorted(map(len, cameras_of(seen, "auto"))) == [1, 1, 1, 2]
    assert len(cameras_of(seen, "no")) == 5
    assert sorted(map(len, cameras_of(seen, "folder"))) == [1, 1, 3]
    with pytest.raises(UsageError, match="different sizes"):
        cameras_of(seen, "yes")
    assert len(cameras_of(seen[:4], "yes")) == 1


def test_places_are_metres_around_their_middle(tmp_path: Path) -> None:
    north = {1: "S", 2: (33.0, 51.0, 24.0), 3: "E", 4: (151.0, 12.0, 36.0), 6: 50.0}
    south = {**north, 2: (33.0, 51.0, 26.0), 6: 60.0}
    write_photograph(tmp_path / "0.jpg", exif=exif(gps=north))
    write_photograph(tmp_path / "1.jpg", exif=exif(gps=south))
    write_photograph(tmp_path / "2.jpg", exif=exif(gps={1: "N", 2: (33.0, 51.0)}))
    places = positions(found(tmp_path)[0])
    assert places is not None
    assert places[0] - places[1] == pytest.approx([0, 2 / 3600 * np.pi / 180 * 6_371_000, -10], abs=1e-3)
    assert np.isnan(places[2]).all()
    write_photograph(tmp_path / "none" / "0.jpg")
    write_photograph(tmp_path / "none" / "1.jpg")
    assert positions(found(tmp_path / "none")[0]) is None


def test_a_capture_with_poses_or_meant_to_have_some_lacks_none(photographs: Path, tmp_path: Path) -> None:
    assert lack_poses(photographs)
    (photographs / "transforms.json").write_text("{}")
    assert not lack_poses(photographs)
    (photographs / "transforms.json").unlink()
    (photographs / "sparse").mkdir()
    assert not lack_poses(photographs)
    assert not lack_poses(tmp_path / "nothing")
