"""Images and videos of renderings: values, sizes and names."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
import torch
from PIL import Image

from gsplat_core.errors import ResourceError
from trainers.media import is_video, png_names, save_png, to_uint8, write_video


def test_values_are_rounded_and_clipped() -> None:
    image = torch.tensor([-1.0, 0.0, 0.49 / 255, 0.51 / 255, 0.5, 254.6 / 255, 1.0, 3.0])
    assert to_uint8(image).tolist() == [0, 0, 0, 1, 128, 255, 255, 255]


def test_a_png_has_the_pixels(tmp_path: Path) -> None:
    image = torch.rand(5, 7, 3, generator=torch.Generator().manual_seed(0))
    save_png(tmp_path / "folder" / "a.png", image)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "folder" / "a.png")), to_uint8(image))
    with pytest.raises(ResourceError, match="cannot be created"):
        save_png(tmp_path / "folder" / "a.png" / "b" / "c.png", image)


@pytest.mark.parametrize(("ending", "shape"), [(".gif", (15, 21, 3)), (".mp4", (14, 20, 3))])
def test_videos_have_every_frame_at_a_size_they_can_hold(tmp_path: Path, ending: str, shape: tuple) -> None:
    path = tmp_path / f"a{ending}"
    assert is_video(path)
    grey = [torch.full((15, 21, 3), value) for value in (0.2, 0.5, 0.8)]
    write_video(path, grey, fps=10)
    frames = imageio.mimread(path)
    assert len(frames) == 3
    for frame, value in zip(frames, (51, 128, 204), strict=True):
        assert frame.shape[:2] == shape[:2]
        assert abs(float(frame[..., :3].mean()) - value) < 6
    metadata = imageio.get_reader(path).get_meta_data()
    assert metadata.get("fps", 10) == 10
    assert metadata.get("duration", 100) in (100, pytest.approx(0.3))


def test_renderings_are_named_as_their_photographs() -> None:
    names = png_names(["a.jpg", "sub/b.TIF", "frame.0001", "c.png"])
    assert names == [Path("a.png"), Path("sub/b.png"), Path("frame.0001.png"), Path("c.png")]
    assert png_names(["a.jpg", "a.tif", "b.jpg"]) == [Path("a.jpg.png"), Path("a.tif.png"), Path("b.png")]
    assert not is_video(Path("a.png"))
    assert is_video(Path("a.MP4"))


@pytest.mark.parametrize(
    "names",
    [
        ["a.jpg", "a.png"],
        ["a.jpg", "a.png", "a.jpg.png"],
        ["a.jpg", "a.jpg.png", "a.png", "a.png.png", "a.jpg_2.png"],
        ["A.jpg", "a.jpg", "a.PNG"],
        ["a.jpg", "a.png/b.jpg"],
        ["sub/../a.jpg", "a.tif", "./a.png"],
        ["caf\u00e9.jpg", "cafe\u0301.png"],
        ["a", "a.png", "a.jpg"],
    ],
)
def test_no_two_renderings_share_a_name_on_any_file_system(tmp_path: Path, names: list[str]) -> None:
    paths = png_names(names)
    assert all(path.suffix == ".png" and ".." not in path.parts for path in paths)
    folded = [unicodedata.normalize("NFC", str(path)).lower() for path in paths]
    assert len(set(folded)) == len(names)
    for number, path in enumerate(paths):
        save_png(tmp_path / path, torch.full((2, 2, 3), number / 255))
    assert [int(np.asarray(Image.open(tmp_path / path))[0, 0, 0]) for path in paths] == [*range(len(names))]
