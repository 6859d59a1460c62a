"""Files are known by what is in them: a wrong name is told, a missing one does no harm."""

import gzip
import io
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ksplat_files import written_ksplat
from PIL import Image
from splat_files import typical_scene

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import FORMATS, format_of_file, load, save

WRITTEN = {known.ending: known for known in FORMATS if known.save is not None and not known.folder}
FAMILIES = {".compressed.ply": ".ply", ".gltf": ".glb"}


def family(ending: str) -> str:
    return FAMILIES.get(ending, ending)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """A file of every format by its ending."""
    folder, contents = tmp_path_factory.mktemp("files"), {}
    for ending in WRITTEN:
        save(folder / f"a{ending}", typical_scene(40, 0))
        contents[ending] = (folder / f"a{ending}").read_bytes()
    contents[".ksplat"] = written_ksplat(typical_scene(7, 1), 0)
    return contents


@pytest.mark.parametrize("name", [known.ending for known in FORMATS if not known.folder])
def test_a_renamed_file_is_refused_by_what_it_is(files: dict[str, bytes], tmp_path: Path, name: str) -> None:
    for ending, content in files.items():
        (tmp_path / f"b{name}").write_bytes(content)
        if family(ending) == family(name):
            assert load(tmp_path / f"b{name}").num > 0
            continue
        with pytest.raises(DataError, match="this is") as refused:
            load(tmp_path / f"b{name}")
        assert f"Rename it so that it ends with {ending}." in str(refused.value)


def test_names_that_promise_nothing_do_no_harm(files: dict[str, bytes], tmp_path: Path) -> None:
    for ending, content in files.items():
        for name in ("scene", "scene.bin", "scene.ply.part"):
            (tmp_path / name).write_bytes(content)
            assert format_of_file(tmp_path / name).ending == ending
            assert load(tmp_path / name).num > 0


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


OTHERS = {
    "an empty file": b"",
    "a PNG image": png(),
    "a JPEG image": b"\xff\xd8\xff\xe0" + bytes(60),
    "a PLY file compressed with gzip": gzip.compress(b"ply\nformat ascii 1.0\n"),
    "something compressed with gzip": gzip.compress(b"hello world"),
    "a ZIP archive with images/a.png": zipped("images/a.png"),
    "a checkpoint of PyTorch": zipped("scene/data.pkl", "scene/data/0"),
    "an archive of NumPy arrays": zipped("means.npy", "scales.npy"),
    "a transforms.json of photographs": json.dumps({"frames": []}).encode(),
    "an SQLite database": b"SQLite format 3\0" + bytes(80),
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    "an HTML page": b"<!DOCTYPE html><html></html>",
    "a LAS point cloud": b"LASF" + bytes(100),
    "a WebP image": b"RIFF\x10\0\0\0WEBPVP8L" + bytes(20),
}


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("ending", [".ply", ".splat", ".spz", ".sog", ".bin"])
def test_what_is_no_splats_at_all_is_named(tmp_path: Path, what: str, ending: str) -> None:
    (tmp_path / f"a{ending}").write_bytes(OTHERS[what])
    with pytest.raises(DataError, match=f"this is {what}.*, not a splat file"):
        load(tmp_path / f"a{ending}")


@pytest.mark.parametrize(
    "content",
    [b"x y z opacity\n" * 32, np.random.default_rng(0).bytes(3200), bytes(range(256)) * 32],
    ids=["text", "noise", "bytes"],
)
def test_records_that_make_no_sense_are_no_splats(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.splat").write_bytes(content[: len(content) // 32 * 32])
    with pytest.raises(DataError, match=r"not a \.splat file"):
        load(tmp_path / "a.splat")


def test_neither_name_nor_content_is_known(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_bytes(b"\x07" * 100)
    with pytest.raises(UsageError, match="no file format has this ending"):
        load(tmp_path / "a.xyz")


def test_recognising_warns_of_nothing(files: dict[str, bytes], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ending, content in files.items():
            (tmp_path / f"a{ending}").write_bytes(content)
            load(tmp_path / f"a{ending}")


@pytest.mark.parametrize(
    "start", [b"\xff\xd8\xff\xbe", b"BZh\x3e", b"GSZ\x3f", b"\x80\x04\x95\x3e", b"ply\n"]
)
def test_a_splat_file_may_begin_like_any_signature(tmp_path: Path, start: bytes) -> None:
    save(tmp_path / "a.splat", typical_scene(40, 0))
    (tmp_path / "a.splat").write_bytes(start + (tmp_path / "a.splat").read_bytes()[4:])
    assert load(tmp_path / "a.splat").num == 40
