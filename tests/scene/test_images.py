"""Decoding: every kind of image becomes 8-bit RGB by the stated rule, or is refused by name."""

from __future__ import annotations

import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import PIL
import pytest
from damage import at_most_more_memory
from PIL import Image

from gsplat_core.errors import DataError
from gsplat_core.scene.images import _Room, decode, read_header, shrink


def gradient(width: int = 24, height: int = 16) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_rgb_is_kept_as_it_is(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(gradient()))
    np.testing.assert_array_equal(decode(path), gradient())
    assert read_header(path) == type(read_header(path))(24, 16, False)


# Pillow before 13 cannot read the YCbCr TIFF files that it writes.
pillow_12 = pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="needs Pillow 13")


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", pytest.param("YCbCr", marks=pillow_12)])
def test_other_colour_spaces_become_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(gradient()).convert(mode)
    ending = "tif" if mode in ("CMYK", "YCbCr") else "png"
    np.testing.assert_array_equal(
        decode(saved(tmp_path / f"a.{ending}", image)), np.asarray(image.convert("RGB"))
    )


def test_cmyk_jpeg(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)), quality=100)
    red = decode(path)
    assert red.shape == (16, 16, 3)
    assert abs(red.astype(int) - [255, 0, 0]).max() <= 3


def test_sixteen_bit_grey_is_rounded_to_eight(tmp_path: Path) -> None:
    values = np.array([[0, 127, 128, 257, 386, 65535, 32768]], np.uint16)
    path = saved(tmp_path / "a.png", Image.fromarray(values))
    expected = np.round(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(decode(path), np.repeat(expected[..., None], 3, axis=2))


def test_sixteen_bit_rgb(tmp_path: Path) -> None:
    # Pillow cannot write these; one PNG by hand.
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + struct.pack(">6H", 0, 0x8012, 0xFFFF, 0x0100, 0x2034, 0x40FF)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )
    assert decode(path).tolist() == [[[0, 0x80, 0xFF], [1, 0x20, 0x40]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_rules(tmp_path: Path, mode: str) -> None:
    pixel = (200, 100, 40, 128) if mode == "RGBA" else (200, 128)
    color = np.array(pixel[:3] if mode == "RGBA" else (200, 200, 200))
    path = saved(tmp_path / "a.png", Image.new(mode, (3, 2), pixel))
    assert abs(decode(path, "black") - color * 128 / 255).max() <= 1
    assert abs(decode(path, "white") - (color * 128 / 255 + 127)).max() <= 1
    assert (decode(path, "ignore") == color).all()


def test_kept_alpha_takes_any_background_later(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (12, 20, 4), dtype=np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(rgba))
    kept = decode(path, "keep")
    assert kept.shape == (12, 20, 4)
    np.testing.assert_array_equal(kept[..., 3], rgba[..., 3])
    np.testing.assert_array_equal(kept[..., :3], decode(path, "black"))
    # On white now and then averaged, or averaged first: the same.
    small = shrink(kept, 10, 6).astype(float)
    on_white = shrink(decode(path, "white"), 10, 6)
    assert abs(small[..., :3] + 255 - small[..., 3:] - on_white).max() <= 2


def test_opaque_images_have_no_alpha_to_keep(tmp_path: Path) -> None:
    opaque = saved(tmp_path / "a.png", Image.fromarray(gradient()).convert("RGBA"))
    np.testing.assert_array_equal(decode(opaque, "keep"), gradient())
    plain = saved(tmp_path / "b.png", Image.fromarray(gradient()))
    np.testing.assert_array_equal(decode(plain, "keep"), gradient())


def test_transparent_palette_colour_is_composited(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([250, 0, 0, 0, 250, 0])
    image.putpixel((1, 0), 1)
    path = saved(tmp_path / "a.png", image, transparency=0)
    assert decode(path, "black").tolist() == [[[0, 0, 0], [0, 250, 0]]]
    assert decode(path, "ignore").tolist() == [[[250, 0, 0], [0, 250, 0]]]


def test_exif_orientation_is_reported_and_applied_on_demand(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    path = saved(tmp_path / "a.png", Image.fromarray(gradient()), exif=exif)
    assert read_header(path).sideways
    np.testing.assert_array_equal(decode(path), gradient())
    np.testing.assert_array_equal(decode(path, exif_rotate=True), np.rot90(gradient(), -1))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.bmp"])
def test_files_cut_anywhere_are_found_from_the_header_check(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = saved(tmp_path / name, Image.fromarray(noise))
    whole = path.read_bytes()
    assert read_header(path).width == 40
    for size in range(0, len(whole) - 13, 97):  # 12 bytes are PNG's end chunk
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=name):
            read_header(path)


def test_a_jpeg_with_bytes_after_its_end_is_whole(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(gradient()))
    path.write_bytes(path.read_bytes() + b"trailer of some camera")
    assert read_header(path).width == 24


@pytest.mark.parametrize(
    ("image", "options", "name", "message"),
    [
        (Image.new("F", (4, 4)), {}, "a.tif", "floating-point images are not supported"),
        (Image.new("I", (4, 4)), {}, "a.tif", "32-bit integer images are not supported"),
        (
            Image.new("L", (4, 4)),
            {"save_all": True, "append_images": [Image.new("L", (4, 4), 9)]},
            "a.gif",
            "animated GIF",
        ),
    ],
)
def test_refused_kinds_are_named(
    tmp_path: Path, image: Image.Image, options: dict, name: str, message: str
) -> None:
    path = saved(tmp_path / name, image, **options)
    for function in (read_header, decode):
        with pytest.raises(DataError, match=message):
            function(path)


def test_decompression_bomb_is_refused_from_the_header(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (8, 8)))
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 200_000, 200_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"\(header\): image too large.*MAX_IMAGE_PIXELS"):
        read_header(path)


def test_what_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(DataError, match="not an image"):
        read_header(path)


def test_a_kind_that_no_photograph_has_is_not_opened(tmp_path: Path) -> None:
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, format="EPS")
    for function in (read_header, decode):
        with pytest.raises(DataError, match=r"a\.jpg: is not an image of a kind that is read"):
            function(path)


def test_shrinking_by_whole_factors_averages_areas() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 45, 3), dtype=np.uint8)
    expected = pixels.reshape(10, 3, 15, 3, 3).mean(axis=(1, 3))
    assert abs(shrink(pixels, 15, 10) - expected).max() < 0.6  # Pillow's fixed-point rounding
    assert shrink(pixels, 45, 30) is pixels


def test_shrinking_by_other_factors_keeps_the_mean_and_does_not_alias() -> None:
    stripes = np.zeros((40, 300, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than any shrunk image can show: must become grey
    small = shrink(stripes, 113, 15)
    assert small.shape == (15, 113, 3)
    assert abs(small[:, 2:-2].astype(float) - 127.5).max() < 16


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(("name", "tolerance"), [("a.png", 0), ("a.jpg", 3)])
def test_decoding_in_another_size_is_decoding_and_shrinking(
    tmp_path: Path, name: str, tolerance: int, orientation: int
) -> None:
    """Sides of 999 and 501 are no multiple of what JPEG is reduced by."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / name, Image.fromarray(gradient(999, 501)), exif=exif, quality=95)
    whole = decode(path, exif_rotate=True)
    for factor in (1, 3, 9.7, 40):
        size = round(whole.shape[1] / factor), round(whole.shape[0] / factor)
        small = decode(path, exif_rotate=True, size=size)
        assert small.shape == (size[1], size[0], 3)
        difference = small.astype(int) - shrink(whole, *size)
        assert abs(difference).max() <= tolerance
        assert abs(difference.mean()) < 0.3


def test_a_jpeg_is_decoded_as_small_as_its_format_allows(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (8000, 6000)), quality=50)
    with at_most_more_memory(40 << 20):  # 144 MB as they are
        assert decode(path, size=(40, 30)).shape == (30, 40, 3)


def test_transparency_is_kept_in_another_size(tmp_path: Path) -> None:
    pixels = np.dstack([gradient(60, 40), np.linspace(0, 255, 2400).reshape(40, 60).astype(np.uint8)])
    path = saved(tmp_path / "a.png", Image.fromarray(pixels))
    np.testing.assert_array_equal(decode(path, "keep", size=(20, 10)), shrink(decode(path, "keep"), 20, 10))


def test_an_image_of_another_size_than_expected_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(gradient(24, 16)))
    assert decode(path, expected=(24, 16)).shape == (16, 24, 3)
    with pytest.raises(DataError, match="changed its size while in use"):
        decode(path, expected=(16, 24))


def test_huge_images_are_decoded_one_at_a_time_and_small_ones_together() -> None:
    room = _Room()
    with room.of(30, 100), room.of(70, 100):
        waiting = threading.Thread(target=lambda: room.of(1000, 100).__enter__(), daemon=True)
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_gif_that_ends_within_a_second_picture_is_refused(tmp_path: Path) -> None:
    """Pillow raises an IndexError when it is asked whether there is one."""
    path = saved(tmp_path / "a.gif", Image.fromarray(gradient()[..., 0]))
    path.write_bytes(path.read_bytes()[:-1] + b"," + bytes(9))
    with pytest.raises(DataError, match="cannot be decoded"):
        read_header(path)
