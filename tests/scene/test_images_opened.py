"""Opening an image starts no program: only listed formats are opened, whatever a file is called."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import os
import stat
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT
from PIL import EpsImagePlugin, Image
from tiny_scene import TinyScene

from gsplat_core.errors import DataError
from gsplat_core.io import webp
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.images import FORMATS, decode, read_header, turned_like
from gsplat_core.scene.masks import read_mask

Image.init()
SOURCES = sorted(path for folder in ("gsplat_core", "trainers") for path in (ROOT / folder).rglob("*.py"))
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile")
# A Ghostscript that leaves a mark beside itself.
GHOSTSCRIPT = '#!/bin/sh\ntouch "$(dirname "$0")/started"\n'

_started: list[str] | None = None


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _started is not None and event in PROGRAMS:
        _started.append(event)


sys.addaudithook(_watch)


@contextmanager
def programs_started() -> Iterator[list[str]]:
    """What the block starts; Python reports it before it happens."""
    global _started
    _started = []
    try:
        yield _started
    finally:
        _started = None


@pytest.fixture
def ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once Ghostscript was started."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "gs"
    program.write_text(GHOSTSCRIPT)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return folder / "started"


@cache
def written(form: str, size: tuple[int, int] = (32, 24)) -> bytes | None:
    """An image of a format; None where Pillow only reads it."""
    for mode in ("RGB", "L", "1", "P"):
        data = io.BytesIO()
        data.name = "a"
        try:
            Image.new(mode, size).save(data, format=form)
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            continue
        return data.getvalue()
    return None


def in_turned_photograph(path: Path) -> object:
    return turned_like(path, np.zeros((24, 32), np.uint8))


OPENERS: dict[str, Callable[[Path], object]] = {
    "header": read_header,
    "photograph": decode,
    "transparency": lambda path: decode(path, "keep"),
    "turned": lambda path: decode(path, exif_rotate=True),
    "mask": lambda path: read_mask(path, 32, 24),
    "mask of a turned photograph": in_turned_photograph,
    "numbers of a SOG": lambda path: webp.decode(path.read_bytes(), path, "means_l.webp"),
}


def refusal_by(opener: Callable[[Path], object], path: Path) -> DataError | None:
    try:
        opener(path)
    except DataError as error:
        return error
    return None


def test_the_trap_works(tmp_path: Path, ghostscript: Path) -> None:
    """What the other tests look for happens where Pillow is left alone."""
    path = tmp_path / "a.jpg"
    path.write_bytes(written("EPS"))
    with programs_started() as started, pytest.raises((OSError, SyntaxError, ValueError)):
        Image.open(path).load()
    assert started
    assert ghostscript.exists()


@pytest.mark.parametrize("form", sorted(set(Image.OPEN) | set(Image.SAVE)))
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_whatever_pillow_writes_starts_no_program(tmp_path: Path, ghostscript: Path, form: str) -> None:
    if (data := written(form)) is None:
        pytest.skip("Pillow does not write it")
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    for name, opener in OPENERS.items():
        with programs_started() as started:
            refusal = refusal_by(opener, path)
        assert not started, name
        if refusal is None:
            assert form in FORMATS or form == "MPO", name
        else:
            assert refusal.remedy or name == "numbers of a SOG"
    assert not ghostscript.exists()


@pytest.mark.parametrize("form", sorted(set(Image.OPEN) - set(FORMATS)))
def test_readers_of_other_formats_are_not_even_asked(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor those that Pillow cannot write: metafiles and the like, which it hands to whoever registered."""
    asked: list[str] = []

    def note(*_: object) -> bool:
        asked.append(form)
        return True

    monkeypatch.setitem(Image.OPEN, form, (note, note))
    path = tmp_path / "a.jpg"
    path.write_bytes(b"of no known kind" * 64)
    for name, opener in OPENERS.items():
        with pytest.raises(DataError):
            opener(path)
        assert not asked, name


@pytest.mark.parametrize("form", FORMATS)
def test_readers_of_the_listed_formats_contain_no_way_to_start_one(form: str) -> None:
    """A reader of a new Pillow that did would be noticed; what only writing does, and `djpeg` on demand, is
    known."""
    if form not in Image.OPEN:
        pytest.skip("not in this Pillow")
    module = importlib.import_module(Image.OPEN[form][0].__module__)
    known = {"load_djpeg", "_save_netpbm"}
    tree = ast.parse(inspect.getsource(module))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    starting = {
        function.name
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (
            node.value.id == "subprocess" or (node.value.id, node.attr) in {("os", "system"), ("os", "popen")}
        )
    }
    assert starting <= known


def test_all_of_a_capture_is_opened_so(tmp_path: Path, ghostscript: Path) -> None:
    """Photographs and masks that are PostScript under other names."""
    scene = TinyScene()
    scene.cameras[0] = (1, "OPENCV", 32, 24, (30.0, 31.0, 16.0, 12.0, 0.05, 0.0, 0.0, 0.0))
    folder = scene.write(tmp_path / "capture")
    trap = written("EPS", (32, 24))
    with programs_started() as started:
        (folder / "images" / "b.png").write_bytes(trap)
        data = Dataset.load(folder, test_every=0, prefetch=False)
        assert any("not an image of a kind that is read" in text for text in data.warnings)
        with pytest.raises(DataError, match="not an image of a kind that is read"):
            Dataset.load(folder, test_every=0, strict=True)
        (folder / "masks" / "sub").mkdir(parents=True)
        (folder / "masks" / "sub" / "a.png").write_bytes(trap)
        with pytest.raises(DataError, match="not an image of a kind that is read"):
            Dataset.load(folder, test_every=0)
    assert not started
    assert not ghostscript.exists()


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_opens_images_or_videos_without_naming_their_formats(path: Path) -> None:
    """imageio would choose among all of Pillow's formats, and hand videos to ffmpeg: it only writes here."""
    readers = {"imread", "mimread", "volread", "imiter", "get_reader", "imopen", "immeta", "improps"}
    for call in calls(path):
        assert isinstance(call.func, ast.Attribute)
        assert call.func.attr not in readers
        if (
            call.func.attr == "open"
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "Image"
        ):
            assert "formats" in {keyword.arg for keyword in call.keywords}


def test_the_scan_finds_what_opens_images() -> None:
    opening = {
        path.name
        for path in SOURCES
        for call in calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "open"
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "Image"
    }
    assert opening == {"images.py", "webp.py", "comparison.py", "compression.py"}


def claiming(form: str, width: int, height: int) -> bytes:
    """A small file whose header claims another size."""
    data = bytearray(written(form, (8, 8)) or b"")
    if form == "PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    elif form == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif form == "PPM":
        data = bytearray(f"P6\n{width} {height}\n255\n".encode())
    elif form == "TIFF":
        entries = struct.unpack_from("<H", data, struct.unpack_from("<I", data, 4)[0])[0]
        start = struct.unpack_from("<I", data, 4)[0] + 2
        for entry in range(start, start + 12 * entries, 12):
            tag = struct.unpack_from("<H", data, entry)[0]
            if tag in (256, 257):
                struct.pack_into("<HII", data, entry + 2, 4, 1, width if tag == 256 else height)
    elif form == "JPEG2000":
        place = data.index(b"ihdr") + 4
        struct.pack_into(">II", data, place, height, width)
        place = data.index(b"\xff\x51") + 6
        struct.pack_into(">II", data, place, width, height)
    elif form == "GIF":
        struct.pack_into("<HH", data, 6, width, height)
    elif form == "JPEG":
        place = data.index(b"\xff\xc0") + 5
        struct.pack_into(">HH", data, place, height, width)
    elif form == "TGA":
        struct.pack_into("<HH", data, 12, width, height)
    return bytes(data)


@pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF", "JPEG2000", "GIF", "JPEG", "TGA"])
@pytest.mark.parametrize("opener", [name for name in OPENERS if name != "numbers of a SOG"])
def test_bombs_of_every_format_are_refused_from_their_header(tmp_path: Path, form: str, opener: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(claiming(form, 60_000, 60_000))
    with pytest.raises(DataError, match=r"\(header\): image too large") as caught:
        OPENERS[opener](path)
    assert caught.value.remedy
